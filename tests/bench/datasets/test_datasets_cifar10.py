"""CIFAR-10 from archives of the official layout: pixels, order, checksums, and nothing unpickled."""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uqdm.bench.datasets import DataSetError, cifar10, content_fingerprint, dataset_files, open_dataset

N = 6
NAMES = [*cifar10.TRAIN, *cifar10.TEST]


def batch(images: np.ndarray, *, protocol: int = 2, **others: Any) -> bytes:
    """A batch in the official layout: rows of red, then green, then blue planes, with labels and file names."""
    rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    content = {b"batch_label": b"testing batch", b"labels": list(range(len(images))), b"data": rows, **others}
    return pickle.dumps(content, protocol=protocol)


def python2_batch(images: np.ndarray) -> bytes:
    """As Python 2 wrote it: strings are BINSTRING opcodes (protocol 2), which Python 3 no longer writes."""
    data = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).tobytes()
    text = b"data"
    return b"".join([b"\x80\x02}", b"U", bytes([len(text)]), text, b"T", len(data).to_bytes(4, "little"), data, b"s."])


def pack(path: Path, files: dict[str, bytes], folder: str = cifar10.FOLDER) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def publish(monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> None:
    """Makes these batches the official ones."""
    md5 = {name: hashlib.md5(data).hexdigest() for name, data in files.items()}
    monkeypatch.setattr(cifar10, "PER_BATCH", N)
    for table in (cifar10.TEST, cifar10.TRAIN):
        for name in table:
            monkeypatch.setitem(table, name, md5[name])


@pytest.fixture
def images_uint8() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(3)
    return {name: generator.integers(0, 256, (N, 32, 32, 3), dtype=np.uint8) for name in NAMES}


@pytest.fixture
def files(images_uint8: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    files = {name: batch(images) for name, images in images_uint8.items()}
    publish(monkeypatch, files)
    return {"batches.meta": b"junk", **files}


@pytest.fixture
def archive(files: dict[str, bytes], tmp_path: Path) -> Path:
    return pack(tmp_path / cifar10.ARCHIVE, files)


def test_the_test_images_are_those_of_the_test_batch(archive: Path, images_uint8: dict[str, np.ndarray]) -> None:
    dataset = open_dataset(f"cifar10:{archive}")
    assert dataset.name == "cifar10"
    assert dataset.ids == tuple(f"{index:05d}" for index in range(N))
    np.testing.assert_array_equal([dataset.load(index) for index in range(N)], images_uint8["test_batch"])
    assert dataset.fingerprint == content_fingerprint(images_uint8["test_batch"])
    assert open_dataset(dataset.spec).fingerprint == dataset.fingerprint
    assert dataset.origin is not None
    assert (dataset.origin.release, dataset.origin.proof) == ("cifar10-test", "MD5 of test_batch as published")


def test_training_images_are_in_the_order_of_the_batches(archive: Path, images_uint8: dict[str, np.ndarray]) -> None:
    dataset = open_dataset(f"cifar10:{archive}#train", limit=N + 1)
    assert (dataset.name, len(dataset)) == ("cifar10-train", N + 1)
    np.testing.assert_array_equal(dataset.load(0), images_uint8["data_batch_1"][0])
    np.testing.assert_array_equal(dataset.load(N), images_uint8["data_batch_2"][0])
    assert open_dataset(dataset.spec, limit=N + 1).fingerprint == dataset.fingerprint


@pytest.mark.parametrize("inside", ["", cifar10.FOLDER])
def test_an_unpacked_folder_gives_the_same_images(
    inside: str, files: dict[str, bytes], archive: Path, tmp_path: Path
) -> None:
    root = tmp_path / "unpacked"
    (root / inside).mkdir(parents=True)
    for name, data in files.items():
        (root / inside / name).write_bytes(data)
    assert open_dataset(f"cifar10:{root}").fingerprint == open_dataset(f"cifar10:{archive}").fingerprint
    assert open_dataset(f"cifar10:{archive.parent}").fingerprint == open_dataset(f"cifar10:{archive}").fingerprint


def test_strings_of_python_2_are_read(
    images_uint8: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = {name: python2_batch(images) for name, images in images_uint8.items()}
    # An independent reader, Python's own unpickler: these tests wrote the file.
    assert set(pickle.loads(files["test_batch"], encoding="bytes")) == {b"data"}
    publish(monkeypatch, files)
    dataset = open_dataset(f"cifar10:{pack(tmp_path / 'python2.tar.gz', files)}")
    np.testing.assert_array_equal(dataset.load(N - 1), images_uint8["test_batch"][N - 1])


def test_the_default_path_is_the_data_folder(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UQDM_DATA", str(archive.parent))
    assert open_dataset("cifar10").fingerprint == open_dataset(f"cifar10:{archive}").fingerprint
    assert open_dataset("cifar10:#train").name == "cifar10-train"
    assert dataset_files("cifar10") == [archive]


@pytest.mark.parametrize("spec", ["cifar10", "cifar10:{}/nowhere.tar.gz", "cifar10:#train"])
def test_a_missing_archive_says_what_to_fetch_and_where_to_put_it(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UQDM_DATA", str(tmp_path / "data"))
    with pytest.raises(DataSetError) as caught:
        open_dataset(spec.format(tmp_path))
    message = str(caught.value)
    assert "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz" in message
    assert "c58f30108f718f92721af3b95e74349a" in message
    assert str(tmp_path / "data") in message


def test_a_batch_with_a_wrong_hash_is_refused_before_it_is_parsed(
    archive: Path, files: dict[str, bytes], tmp_path: Path, images_uint8: dict[str, np.ndarray]
) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    files["test_batch"] = batch(images_uint8["test_batch"], trap=Trap())
    with pytest.raises(DataSetError, match=r"test_batch is not the official one .*npz:PATH"):
        open_dataset(f"cifar10:{pack(tmp_path / 'other.tar.gz', files)}")
    assert not (tmp_path / "sprung").exists()


def test_a_batch_with_a_forged_hash_is_never_unpickled(
    images_uint8: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    files = {name: batch(images, trap=Trap()) for name, images in images_uint8.items()}
    publish(monkeypatch, files)
    dataset = open_dataset(f"cifar10:{pack(tmp_path / 'trap.tar.gz', files)}")
    np.testing.assert_array_equal(dataset.load(0), images_uint8["test_batch"][0])
    assert not (tmp_path / "sprung").exists()


def test_members_are_found_by_their_last_name_and_nothing_is_unpacked(files: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    path = pack(tmp_path / "inside" / "climbing.tar.gz", files, folder="../../elsewhere")
    assert len(open_dataset(f"cifar10:{path}")) == N
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "inside", path]


def test_links_in_an_archive_are_not_followed(files: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "links.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("test_batch")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(DataSetError, match="holds no test_batch"):
        open_dataset(f"cifar10:{path}")


@pytest.mark.parametrize("content", [b"", b"junk", None])
def test_a_file_that_is_no_archive_is_reported(content: bytes | None, archive: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(archive.read_bytes()[:5000] if content is None else content)
    with pytest.raises(DataSetError, match=r"x\.tar\.gz: (does not read as an archive|holds no)"):
        open_dataset(f"cifar10:{path}")


def test_an_unknown_part_is_reported(archive: Path) -> None:
    with pytest.raises(DataSetError, match="after # comes 'train'"):
        open_dataset(f"cifar10:{archive}#trian")

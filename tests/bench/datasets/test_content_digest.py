"""The digest by which a workflow detects changed images: names and content of their files, not their times."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uqdm.bench.datasets import DataSetError, content_digest, write_digest
from uqdm.bench.datasets import _file_hashes as hashes


@pytest.fixture
def folder(tmp_path: Path, photographs_uint8: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three images, one in a subfolder and one in a folder behind a link; hashes are stored without a delay."""
    monkeypatch.setattr(hashes, "_SETTLED_NS", -(10**12))
    root, elsewhere = tmp_path / "images", tmp_path / "elsewhere"
    (root / "sub").mkdir(parents=True)
    elsewhere.mkdir()
    (root / "link").symlink_to(elsewhere)
    for path, pixels in zip((root / "a.bmp", root / "sub/b.bmp", elsewhere / "c.bmp"), photographs_uint8, strict=False):
        Image.fromarray(pixels).save(path)
    return root


def overwrite(path: Path) -> None:
    """Other bytes of the same length, with the old time, as `rsync -t` and `cp -p` leave them."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def exchange(folder: Path) -> None:
    (folder / "a.bmp").rename(folder / "spare")
    (folder / "sub/b.bmp").rename(folder / "a.bmp")
    (folder / "spare").rename(folder / "sub/b.bmp")


def aim_elsewhere(folder: Path) -> None:
    shutil.copytree(folder.parent / "elsewhere", folder.parent / "other")
    overwrite(folder.parent / "other/c.bmp")
    (folder / "link").unlink()
    (folder / "link").symlink_to(folder.parent / "other")


CHANGES: dict[str, Callable[[Path], object]] = {
    "overwritten": lambda folder: overwrite(folder / "a.bmp"),
    "overwritten in a subfolder": lambda folder: overwrite(folder / "sub/b.bmp"),
    "overwritten behind a link": lambda folder: overwrite(folder.parent / "elsewhere/c.bmp"),
    "replaced by an older file": lambda folder: shutil.copy2(folder.parent / "elsewhere/c.bmp", folder / "a.bmp"),
    "added": lambda folder: shutil.copy(folder / "a.bmp", folder / "sub/z.bmp"),
    "removed": lambda folder: (folder / "sub/b.bmp").unlink(),
    "renamed": lambda folder: (folder / "a.bmp").rename(folder / "z.bmp"),
    "exchanged": exchange,
    "linked to another folder": aim_elsewhere,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_of_images_changes_the_digest(
    change: Callable[[Path], object], folder: Path, tmp_path: Path
) -> None:
    memory = tmp_path / "memory.json"
    before = content_digest(f"folder:{folder}", memory=memory)
    assert memory.is_file()
    change(folder)
    after = content_digest(f"folder:{folder}", memory=memory)
    assert after != before
    assert after == content_digest(f"folder:{folder}")  # the same as without a memory


def test_the_digest_does_not_depend_on_times_and_the_working_directory(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    memory = tmp_path / "memory.json"
    before = content_digest("folder:images", memory=memory)
    (folder / "a.bmp").touch()
    (folder / "sub").touch()
    (folder / ".hidden").write_text("no image")
    assert content_digest("folder:images", memory=memory) == before
    memory.write_text('{"damaged": 1}')
    assert content_digest("folder:images", memory=memory) == before
    assert content_digest("folder:images", memory=Path("/proc/nowhere/memory.json")) == before


def test_stored_hashes_are_reused(folder: Path, tmp_path: Path) -> None:
    memory = tmp_path / "memory.json"
    content_digest(f"folder:{folder}", memory=memory)
    kept = memory.read_text().replace('"]', 'x"]')  # another hash of each file
    memory.write_text(kept)
    assert content_digest(f"folder:{folder}", memory=memory) != content_digest(f"folder:{folder}")


def test_with_a_limit_only_the_first_images_count(folder: Path) -> None:
    first, whole = (content_digest(f"folder:{folder}", limit) for limit in (1, None))
    overwrite(folder / "sub/b.bmp")
    assert content_digest(f"folder:{folder}", 1) == first
    assert content_digest(f"folder:{folder}") != whole


def test_a_changed_array_changes_the_digest(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> None:
    path = tmp_path / "set#1.npz"
    found = []
    for first in (0, 1):
        np.savez(path, test=np.stack([photographs_uint8[first]]))
        found.append(content_digest(f"npz:{path}#test"))
    assert len(set(found)) == 2


def test_an_absent_or_irregular_file_is_named(folder: Path) -> None:
    with pytest.raises(DataSetError, match=r"nowhere\.npz: cannot be read"):
        content_digest("npz:nowhere.npz")
    os.mkfifo(folder / "pipe.png")
    with pytest.raises(DataSetError, match=r"pipe\.png: not a regular file"):
        content_digest(f"folder:{folder}")


def test_the_digest_file_is_rewritten_only_when_images_change(folder: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    file = write_digest(f"folder:{folder}", None, notes)
    os.utime(file, ns=(0, 0))
    (folder / "a.bmp").touch()
    assert write_digest(f"folder:{folder}", None, notes).stat().st_mtime_ns == 0
    overwrite(folder / "a.bmp")
    assert write_digest(f"folder:{folder}", None, notes).stat().st_mtime_ns > 0

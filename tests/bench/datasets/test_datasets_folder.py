"""A folder of images: order, the rule for pixels, and bad files named before work starts."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uqdm.bench.datasets import DataSetError, content_fingerprint, open_dataset

ORIENTATION = 0x0112  # EXIF 2.3, table 4
ICC = b"a colour profile that nothing reads"


@pytest.fixture
def folder(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> Path:
    """Four images: b/2.png, a10.png, a9.bmp and c.webp, of different sizes."""
    root = tmp_path / "photographs"
    (root / "b").mkdir(parents=True)
    for index, name in enumerate(["a10.png", "a9.bmp", "b/2.png", "c.webp"]):
        image = Image.fromarray(photographs_uint8[index][: 64 - index, : 50 + index])
        image.save(root / name, **({"lossless": True} if name.endswith("webp") else {}))
    return root


def test_images_of_any_size_are_ordered_by_relative_path(folder: Path, photographs_uint8: list[np.ndarray]) -> None:
    dataset = open_dataset(f"folder:{folder}")
    assert dataset.name == "photographs"
    assert dataset.ids == ("a10.png", "a9.bmp", "b/2.png", "c.webp")
    for index in range(4):
        np.testing.assert_array_equal(dataset.load(index), photographs_uint8[index][: 64 - index, : 50 + index])


def test_the_spec_opens_the_same_from_another_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    dataset = open_dataset("folder:photographs")
    monkeypatch.chdir("/")
    assert open_dataset(dataset.spec).fingerprint == dataset.fingerprint
    assert dataset.load(0).shape == (64, 50, 3)


def test_the_fingerprint_does_not_depend_on_names(folder: Path) -> None:
    before = open_dataset(f"folder:{folder}").fingerprint
    (folder / "a10.png").rename(folder / "A.png")
    assert open_dataset(f"folder:{folder}").fingerprint == before


def test_a_limit_reads_only_the_first_files(folder: Path) -> None:
    (folder / "z.png").write_bytes(b"junk")
    dataset = open_dataset(f"folder:{folder}", limit=2)
    assert dataset.ids == ("a10.png", "a9.bmp")
    assert dataset.fingerprint == content_fingerprint([dataset.load(0), dataset.load(1)])


def test_hidden_files_and_folders_are_ignored(folder: Path) -> None:
    (folder / ".cache").mkdir()
    (folder / ".cache" / "x.png").write_bytes(b"junk")
    (folder / ".DS_Store").write_bytes(b"junk")
    assert len(open_dataset(f"folder:{folder}")) == 4


def test_all_bad_files_are_listed_in_one_error(folder: Path) -> None:
    whole = (folder / "a10.png").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1  # in the compressed pixels: only the checksum shows it
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "flipped.png").write_bytes(flipped)
    (folder / "b" / "notes.txt").write_text("not an image")
    (folder / "empty.jpg").touch()
    with pytest.raises(DataSetError) as caught:
        open_dataset(f"folder:{folder}")
    message = str(caught.value)
    assert "4 of 8 cannot be used as images" in message
    assert all(f"\n  {name}: " in message for name in ["cut.png", "flipped.png", "b/notes.txt", "empty.jpg"])
    assert "a10.png" not in message
    assert "Remove, repair or convert" in message


def test_a_file_damaged_after_the_check_is_named_when_it_is_loaded(folder: Path) -> None:
    dataset = open_dataset(f"folder:{folder}")
    (folder / "a9.bmp").write_bytes(b"junk")
    with pytest.raises(DataSetError, match=r"a9\.bmp: not an image"):
        dataset.load(1)


@pytest.mark.parametrize(
    ("make", "reason"), [("none", "no such folder"), ("file", "not a folder"), ("empty", "no images")]
)
def test_a_path_without_images_is_refused(tmp_path: Path, make: str, reason: str) -> None:
    path = tmp_path / "x"
    if make == "file":
        path.touch()
    if make == "empty":
        path.mkdir()
    with pytest.raises(DataSetError, match=reason):
        open_dataset(f"folder:{path}")


def test_links_are_followed_and_a_loop_is_named(folder: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "all").symlink_to(folder)
    assert open_dataset(f"folder:{linked}").fingerprint == open_dataset(f"folder:{folder}").fingerprint
    (folder / "b" / "up").symlink_to(folder)
    with pytest.raises(DataSetError, match="b/up is a link to a folder that holds it"):
        open_dataset(f"folder:{folder}")


def test_a_file_name_that_is_not_text_is_refused(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.png")).write_bytes((folder / "a10.png").read_bytes())
    with pytest.raises(DataSetError, match="not valid UTF-8"):
        open_dataset(f"folder:{folder}")

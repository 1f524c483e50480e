"""Kodak's photographs: identified by their hashes, in order; missing and wrong files are named."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uqdm.bench.datasets import DataSetError, dataset_files, kodak, open_dataset


@pytest.fixture
def folder(tmp_path: Path, photographs_uint8: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> Path:
    """24 small files with the official names, whose hashes replace the official ones, and one other file."""
    root = tmp_path / "kodak"
    root.mkdir()
    for number in range(1, 25):
        image = photographs_uint8[number % 8][: 8 + number]
        Image.fromarray(image).save(root / f"kodim{number:02d}.png")
    (root / "readme.txt").write_text("not an image")
    paths = [root / f"kodim{number:02d}.png" for number in range(1, 25)]
    monkeypatch.setattr(kodak, "SHA256", tuple(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths))
    return root


def test_hashes_equal_the_published_list() -> None:
    lines = [f"{sha256}  kodim{number:02d}.png\n" for number, sha256 in enumerate(kodak.SHA256, start=1)]
    # Published by others for the files that they fetched, as `sha256sum kodim*.png | sha256sum`.
    expected = "3eaa5bd52eb8c894d351cf607028f5d3d80e778fd0267eeff8c73d66539a25d5"
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == expected


def test_photographs_are_in_the_published_order(folder: Path, photographs_uint8: list[np.ndarray]) -> None:
    dataset = open_dataset(f"kodak:{folder}")
    assert (dataset.name, len(dataset)) == ("kodak", 24)
    assert dataset.ids == tuple(f"kodim{number:02d}" for number in range(1, 25))
    np.testing.assert_array_equal(dataset.load(9), photographs_uint8[10 % 8][:18])
    assert open_dataset(dataset.spec).fingerprint == dataset.fingerprint


def test_the_default_path_is_the_data_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UQDM_DATA", str(folder.parent))
    assert open_dataset("kodak").spec == f"kodak:{folder}"
    assert dataset_files("kodak") == [folder]


def test_all_missing_and_wrong_files_are_listed_in_one_error(folder: Path) -> None:
    (folder / "kodim03.png").unlink()
    Image.new("RGB", (768, 512)).save(folder / "kodim20.png")
    with pytest.raises(DataSetError) as caught:
        open_dataset(f"kodak:{folder}")
    message = str(caught.value)
    assert "kodim03.png cannot be read (No such file or directory); kodim20.png is another file (SHA-256" in message
    assert "https://r0k.us/graphics/kodak/kodak/" in message
    assert "folder:PATH" in message
    assert len(open_dataset(f"kodak:{folder}", limit=2)) == 2  # the requested files are there


def test_a_missing_folder_says_what_to_fetch_and_where_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UQDM_DATA", str(tmp_path / "data"))
    with pytest.raises(DataSetError, match=r"https://r0k\.us/.*Put it into .*data .*kodak:PATH"):
        open_dataset("kodak")

"""Original images: a failed read is tried again, and affects only its own image; what reading changed is recorded."""

from pathlib import Path

import numpy as np
import pytest
import small_run
from PIL import Image
from toy_images import MemoryImages

from uqdm.bench.datasets import open_dataset
from uqdm.bench.evaluation import original_images
from uqdm.bench.evaluation.original_images import Unreadable, changes_notes, changes_of_originals, read_originals
from uqdm.bench.run.rows_reader import read_rows


def test_an_unreadable_image_is_tried_again_and_affects_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(original_images, "_PAUSE_SECONDS", 0)
    dataset = MemoryImages([np.full((8, 8, 3), index, np.uint8) for index in range(3)])
    tries = {1: 0, 2: 0}
    load = dataset.load

    def flaky(index: int) -> np.ndarray:
        if index in tries:
            tries[index] += 1
            if index == 1 or tries[index] == 1:
                raise OSError(f"image {index} is away")
        return load(index)

    monkeypatch.setattr(dataset, "load", flaky)
    first, second, third = read_originals(dataset, range(3))
    assert isinstance(first, np.ndarray)
    assert second == Unreadable("cannot be read: OSError: image 1 is away")
    assert isinstance(third, np.ndarray)
    assert tries == {1: 3, 2: 2}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images: one with alpha, one with alpha that is turned as well, one as it is."""
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGBA", (9, 8), (10, 20, 30, 40)).save(folder / "a.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # EXIF 2.3, table 4
    Image.new("RGBA", (9, 8), (10, 20, 30, 40)).save(folder / "b.png", exif=exif)
    Image.new("RGB", (9, 8), (10, 20, 30)).save(folder / "c.png")
    return folder


ALPHA, TURNED = "alpha composited on white", "turned as its orientation says"


@pytest.mark.parametrize("check", [True, False])
def test_changes_by_reading_are_known_of_every_image_of_a_folder(folder: Path, check: bool) -> None:
    dataset = open_dataset(f"folder:{folder}", check=check)
    assert changes_of_originals(dataset, range(3)) == {0: ALPHA, 1: f"{ALPHA}; {TURNED}", 2: ""}
    what = "rates and metrics are of these pixels, not of the files"
    assert changes_notes(dataset) == [
        f"2 of 3 images: {ALPHA} (a.png, b.png); {what}",
        f"1 of 3 images: {TURNED} (b.png); {what}",
    ]


def test_arrays_are_not_changed_and_of_other_data_sets_it_is_not_known() -> None:
    assert changes_of_originals(open_dataset("demo", 2), range(2)) == {0: "", 1: ""}
    assert changes_of_originals(MemoryImages([np.zeros((8, 8, 3), np.uint8)]), range(1)) == {}


def test_an_image_that_cannot_be_read_any_more_has_no_changes(folder: Path) -> None:
    dataset = open_dataset(f"folder:{folder}", check=False)
    (folder / "b.png").write_bytes(b"no image")
    assert changes_of_originals(dataset, range(3)) == {0: ALPHA, 2: ""}


def test_the_rows_say_what_reading_changed(toys: Path, folder: Path, tmp_path: Path) -> None:
    small_run.evaluate_here(tmp_path / "run", open_dataset(f"folder:{folder}"), "toy-raw:drop=0", "jpeg:quality=50")
    rows = read_rows(tmp_path / "run", ["codec", "image_index", "original_changes"]).sort_values("image_index")
    for _, of_codec in rows.groupby("codec"):
        assert of_codec.original_changes.tolist() == [ALPHA, f"{ALPHA}; {TURNED}", ""]
    small_run.evaluate_here(tmp_path / "other", MemoryImages([np.zeros((8, 8, 3), np.uint8)]), "toy-raw:drop=0")
    assert read_rows(tmp_path / "other", ["original_changes"]).original_changes.isna().all()

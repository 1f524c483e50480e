"""Guards that originals come from the data set or from the run, and are those that were evaluated."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_run import evaluate_here

from uqdm.bench.datasets import open_dataset
from uqdm.bench.run import originals
from uqdm.bench.run.layout import originals_path
from uqdm.bench.run.originals import keep_originals
from uqdm.bench.run.pictures import RunPictures
from uqdm.bench.run.tables import records

pytestmark = pytest.mark.slow

N_IMAGES = 3


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images, and a run of a lossy codec on them that keeps no originals yet."""
    folder = tmp_path_factory.mktemp("originals")
    demo, images = open_dataset("demo", N_IMAGES), folder / "images"
    images.mkdir()
    for index in range(N_IMAGES):
        Image.fromarray(demo.load(index)).save(images / f"{index}.png")
    evaluate_here(folder / "run", open_dataset(f"folder:{images}"), "jpeg:quality=50")
    return folder


@pytest.fixture
def images(source: Path) -> Path:
    """The folder of images; a test may change it."""
    kept = source / "kept"
    shutil.copytree(source / "images", kept, dirs_exist_ok=True)
    return source / "images"


@pytest.fixture(autouse=True)
def restored(source: Path) -> object:
    yield
    if (source / "kept").exists():
        shutil.rmtree(source / "images", ignore_errors=True)
        shutil.move(source / "kept", source / "images")


@pytest.fixture
def run_dir(source: Path, tmp_path: Path) -> Path:
    return shutil.copytree(source / "run", tmp_path / "run")


def expected(index: int) -> np.ndarray:
    return open_dataset("demo", N_IMAGES).load(index)


def keep(run_dir: Path, images: Path) -> None:
    keep_originals(run_dir, open_dataset(f"folder:{images}"))


def test_a_run_of_lossy_codecs_has_originals_from_its_data_set(run_dir: Path) -> None:
    run = RunPictures(run_dir, "images")
    for index in range(N_IMAGES):
        np.testing.assert_array_equal(run.original(index), expected(index))
    assert run.original_faults == []


def test_rows_beside_those_of_a_skipped_codec_name_their_originals(toys: Path, tmp_path: Path) -> None:
    demo = open_dataset("demo", N_IMAGES)
    evaluate_here(tmp_path / "run", demo, "jpeg:quality=50", "toy-absent")
    run = RunPictures(tmp_path / "run", "demo")
    for row in records(run.rows):
        np.testing.assert_array_equal(run.original(row["image_index"]), demo.load(row["image_index"]))
    assert run.original_faults == []


def test_without_its_data_set_the_run_s_own_originals_are_used_and_the_reason_is_known(
    run_dir: Path, images: Path
) -> None:
    keep(run_dir, images)
    shutil.rmtree(images)
    run = RunPictures(run_dir, "images")
    np.testing.assert_array_equal(run.original(1), expected(1))
    np.testing.assert_array_equal(run.original(2), expected(2))
    assert run.original_faults == [f"folder:{images}: no such folder"]


def test_an_image_that_changed_is_never_taken_for_the_original(run_dir: Path, images: Path) -> None:
    changed = expected(1).copy()
    changed[5, 5, 1] ^= 1
    Image.fromarray(changed).save(images / "1.png")
    run = RunPictures(run_dir, "images")
    assert run.original(1) is None
    np.testing.assert_array_equal(run.original(0), expected(0))
    assert run.original_faults == [f"1.png in folder:{images} is not the image that was evaluated"]
    Image.fromarray(expected(1)).save(images / "1.png")
    keep(run_dir, images)
    Image.fromarray(changed).save(images / "1.png")
    np.testing.assert_array_equal(RunPictures(run_dir, "images").original(1), expected(1))


def test_originals_of_other_images_or_damaged_ones_are_not_used(run_dir: Path, images: Path) -> None:
    for index in range(N_IMAGES):
        Image.fromarray(expected(index)[::-1]).save(images / f"{index}.png")
    keep(run_dir, images)  # the images are others, so their fingerprint is
    assert RunPictures(run_dir, "images").original(1) is None
    for index in range(N_IMAGES):
        Image.fromarray(expected(index)).save(images / f"{index}.png")
    keep(run_dir, images)  # written anew, since the kept ones are of other images
    shutil.rmtree(images)
    np.testing.assert_array_equal(RunPictures(run_dir, "images").original(1), expected(1))
    path = originals_path(run_dir)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    found = [RunPictures(run_dir, "images").original(index) for index in range(N_IMAGES)]
    assert sum(image is None for image in found) == 1


def test_kept_originals_are_written_once_and_bounded(
    run_dir: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = (images / "0.png").stat().st_size + 10
    monkeypatch.setattr(originals, "MOST_BYTES", bound)
    keep(run_dir, images)
    written = originals_path(run_dir).stat().st_mtime_ns
    keep(run_dir, images)
    assert originals_path(run_dir).stat().st_mtime_ns == written
    shutil.rmtree(images)
    found = [RunPictures(run_dir, "images").original(index) for index in range(N_IMAGES)]
    assert [image is None for image in found] == [False, True, True]

"""The demo's tiles are the same on every machine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import uqdm.bench.datasets.demo as demo
from uqdm.bench.datasets import DataSetError, content_fingerprint, open_dataset

# Made with Pillow 13.0.0 (libjpeg-turbo 3.2.0); three of the seven photographs are JPEG files.
FINGERPRINT = "128-b428b615e16527e1"
PNG_FINGERPRINT = "76-50b1d385730a36bb"


def test_the_demo_has_128_different_tiles_of_64x64() -> None:
    dataset = open_dataset("demo")
    tiles = [dataset.load(index) for index in range(len(dataset))]
    assert len(tiles) == 128
    assert {tile.shape for tile in tiles} == {(64, 64, 3)}
    assert len({tile.tobytes() for tile in tiles}) == 128


def test_the_pixels_from_png_files_are_golden() -> None:
    dataset = open_dataset("demo")
    jpeg = {Path(photograph.path).stem for photograph in demo.PHOTOGRAPHS if photograph.path.endswith(".jpg")}
    kept = [index for index, name in enumerate(dataset.ids) if name.split("-")[0] not in jpeg]
    assert content_fingerprint(dataset.load(index) for index in kept) == PNG_FINGERPRINT


def test_the_fingerprint_is_golden_where_pillow_decodes_with_libjpeg_turbo() -> None:
    from PIL import features

    if not features.check_feature("libjpeg_turbo"):
        pytest.skip("this Pillow has another libjpeg, whose pixels may differ by a grey level")
    assert open_dataset("demo").fingerprint == FINGERPRINT


def test_a_limit_takes_the_first_tiles_and_their_fingerprint() -> None:
    whole, part = open_dataset("demo"), open_dataset("demo", limit=7)
    assert part.ids == whole.ids[:7]
    assert part.fingerprint == content_fingerprint(whole.load(index) for index in range(7))
    assert len({name.split("-")[0] for name in part.ids}) == 7  # one tile of each photograph


def test_a_reduced_pixel_is_the_rounded_mean_of_its_box() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    reduced = demo._box_reduce(image, 3)
    cut = image[:, 1:10].astype(float)  # 11 columns: one is left over on each side
    mean = cut.reshape(3, 3, 3, 3, 3).mean((1, 3))
    np.testing.assert_array_equal(reduced, np.floor(mean + 0.5))


def _installed_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = SimpleNamespace(submodule_search_locations=[str(folder)])
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: found)


def test_another_photograph_of_the_same_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    Image.new("RGB", (512, 512)).save(tmp_path / "data" / "astronaut.png")
    _installed_in(tmp_path, monkeypatch)
    with pytest.raises(DataSetError, match=r"astronaut\.png is not the file .* pip install"):
        open_dataset("demo")


def test_a_photograph_that_is_absent_from_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _installed_in(tmp_path, monkeypatch)
    with pytest.raises(DataSetError, match=r"skimage has no data/astronaut\.png; .* pip install"):
        open_dataset("demo")

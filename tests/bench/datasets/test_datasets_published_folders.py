"""Published sets of image files: number, names and sizes are checked, and what is missing is said."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uqdm.bench.datasets import DataSetError, dataset_class, dataset_files, open_dataset
from uqdm.bench.datasets.clic2020_pro_valid import PIXELS, Clic2020ProValid
from uqdm.bench.datasets.clic2020_test import Clic2020Test
from uqdm.bench.datasets.div2k_val import Div2kVal
from uqdm.bench.datasets.tecnick import Tecnick

KINDS = {"clic2020-pro-valid": 41, "clic2020-test": 428, "div2k-val": 100, "tecnick": 100, "mscoco-30k-256": 30_000}


def write(folder: Path, names: Iterable[str], size: tuple[int, int] = (1, 1)) -> Path:
    """Links of one small picture under many names."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / ".picture.png"
    Image.new("RGB", size, (9, 8, 7)).save(source)
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        os.link(source, folder / name)
    return folder


@pytest.mark.parametrize(("kind", "count"), KINDS.items())
def test_each_kind_says_how_many_images_it_has_and_what_to_fetch(
    kind: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = dataset_class(kind)
    assert found.origin is not None
    assert (found.origin.release, found.origin.proof) == (kind, "")
    assert getattr(found, "n_images", None) == count
    monkeypatch.setenv("UQDM_DATA", str(tmp_path / "data"))
    with pytest.raises(DataSetError, match=rf"{kind}: .*Fetch .*https?://.* Put it into .*data .*{kind}:PATH"):
        open_dataset(kind)


def test_tecnick_is_read_from_the_unpacked_archive_in_the_order_of_its_names(tmp_path: Path) -> None:
    folder = write(tmp_path / "TESTIMAGES" / "RGB" / "RGB_OR_1200x1200", Tecnick.file_names, (1200, 1200))
    write(tmp_path / "TESTIMAGES" / "GRAY", ["other.png"])
    for root in (tmp_path, tmp_path / "TESTIMAGES", folder):
        assert dataset_files(f"tecnick:{root}") == [folder]
    dataset = open_dataset(f"tecnick:{tmp_path}", limit=2)
    assert (dataset.name, list(dataset.ids)) == ("tecnick", ["RGB_OR_1200x1200_001", "RGB_OR_1200x1200_002"])
    np.testing.assert_array_equal(dataset.load(0), np.full((1200, 1200, 3), (9, 8, 7)))
    assert dataset.changes(0) == ()
    assert open_dataset(dataset.spec, limit=2).fingerprint == dataset.fingerprint


def test_missing_files_are_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "tecnick", [name for name in Tecnick.file_names if not name.endswith("07.png")])
    with pytest.raises(DataSetError, match=r"tecnick:.*: no RGB_OR_1200x1200_007\.png\. Fetch https://sourceforge"):
        open_dataset(f"tecnick:{folder}", limit=2)


def test_an_image_of_another_size_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "tecnick", Tecnick.file_names)
    with pytest.raises(
        DataSetError, match=r"001 has 1 x 1 pixels, not 1200 x 1200; and 99 more have other sizes\. Fetch .*folder:PATH"
    ):
        open_dataset(f"tecnick:{folder}")


def test_both_parts_of_clic_2020_make_one_set_together_or_apart(tmp_path: Path) -> None:
    parts = {"professional": [f"p{number}.png" for number in range(250)], "mobile": [f"m{n}.png" for n in range(178)]}
    apart = write(tmp_path / "apart", [f"{part}/{name}" for part, names in parts.items() for name in names])
    together = write(tmp_path / "together", [name for names in parts.values() for name in names])
    opened = [open_dataset(f"clic2020-test:{folder}", limit=3) for folder in (apart, together)]
    assert opened[0].ids == opened[1].ids == ("m0", "m1", "m10")
    with pytest.raises(DataSetError, match=r"sizes that give 0 patches of 256 x 256 pixels, not 28,650\. Fetch"):
        open_dataset(f"clic2020-test:{together}")
    (together / "p7.png").unlink()
    with pytest.raises(DataSetError, match=r"427 image files, but the set has 428\. .*250 images.*178 images"):
        open_dataset(f"clic2020-test:{together}", limit=3)


def test_an_archive_that_is_not_unpacked_is_refused(tmp_path: Path) -> None:
    (tmp_path / "DIV2K_valid_HR.zip").write_bytes(b"PK")
    with pytest.raises(DataSetError, match=r"DIV2K_valid_HR\.zip: a file; unpack it, and give the folder"):
        open_dataset(f"div2k-val:{tmp_path / 'DIV2K_valid_HR.zip'}")


def test_the_sizes_of_div2k_are_checked(tmp_path: Path) -> None:
    write(tmp_path / "DIV2K_valid_HR", Div2kVal.file_names, (8, 8))
    with pytest.raises(DataSetError, match="0801 has 8 x 8 pixels, not 2040 on the longer side"):
        open_dataset(f"div2k-val:{tmp_path}")
    dataset = open_dataset(f"div2k-val:{tmp_path}", limit=1, check=False)
    assert isinstance(dataset, Div2kVal)
    # 1356 rows of 2040 pixels: 5 x 7 and 4 x 7 patches. 104.33 such images would give the published number.
    right = dict.fromkeys(map(str, range(100)), (1356, 2040))
    assert dataset.size_fault(right) == "the images have sizes that give 6,300 patches of 256 x 256 pixels, not 6,573"
    assert dataset.size_fault({"0801": (1356, 2040)}) == ""  # of a part the number is not known


def test_the_numbers_of_pixels_of_clic_2020_agree_with_the_challenge() -> None:
    assert (len(PIXELS), len(Clic2020ProValid.file_names)) == (41, 41)
    # The challenge's page (2021) allows these bytes at 0.075, 0.15 and 0.3 bits per pixel.
    allowed = {0.075: 857_362, 0.15: 1_714_724, 0.3: 3_429_448}
    assert {bpp: math.ceil(bpp * sum(PIXELS.values()) / 8) for bpp in allowed} == allowed


def test_an_image_of_clic_2020_has_the_pixels_of_its_name(tmp_path: Path) -> None:
    folder = write(tmp_path / "valid", Clic2020ProValid.file_names)
    with pytest.raises(DataSetError, match="alberto-montalesi-176097 has 1 x 1 pixels, not 2,791,424 in all"):
        open_dataset(f"clic2020-pro-valid:{folder}", limit=1)
    dataset = open_dataset(f"clic2020-pro-valid:{folder}", limit=1, check=False)
    assert isinstance(dataset, Clic2020ProValid)
    assert dataset.size_fault({"schicka-307": (384, 512)}) == ""


def test_coco_is_30_000_squares(tmp_path: Path) -> None:
    folder = write(tmp_path / "coco", [f"{number}.png" for number in range(7)], (256, 256))
    with pytest.raises(DataSetError, match=r"7 image files, but the set has 30,000\. Fetch .*val2014\.zip"):
        open_dataset(f"mscoco-30k-256:{folder}", limit=1)


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    names = [f"a/{number}.png" for number in range(214)] + [f"b/{number}.png" for number in range(214)]
    folder = write(tmp_path / "test", names)
    assert Clic2020Test.n_images == len(names)
    with pytest.raises(DataSetError, match="two images have the same name"):
        open_dataset(f"clic2020-test:{folder}")

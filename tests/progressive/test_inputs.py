"""Images and files in the forms in which callers have them: one or several, arrays, Pillow images, paths."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import uqdm
from uqdm.progressive import UQDM, Compressed
from uqdm.progressive.inputs import as_files, as_images


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    """uint8 [4, 6, 3]."""
    return np.arange(72, dtype=np.uint8).reshape(4, 6, 3)


def forms_of_one(image: np.ndarray, folder: Path) -> list[Any]:
    path = folder / "image.png"
    Image.fromarray(image).save(path)
    chw = image.transpose(2, 0, 1)
    return [image, chw, torch.from_numpy(image), torch.from_numpy(chw.copy()), Image.fromarray(image), path, str(path)]


def test_every_form_of_one_image_is_taken(image: np.ndarray, tmp_path: Path) -> None:
    for given in forms_of_one(image, tmp_path):
        (found,), is_one = as_images(given)
        assert is_one
        np.testing.assert_array_equal(found, image)
        assert found.flags.c_contiguous


def test_every_form_of_several_images_is_taken(image: np.ndarray, tmp_path: Path) -> None:
    forms = forms_of_one(image, tmp_path)
    batch = np.stack([image, image])
    for given in (forms, tuple(forms), iter(forms), batch, batch.transpose(0, 3, 1, 2), torch.from_numpy(batch)):
        found, is_one = as_images(given)
        assert not is_one
        assert len(found) in (2, len(forms))
        assert all(np.array_equal(one, image) for one in found)
    assert as_images([]) == ([], False)


@pytest.mark.parametrize("mode", ["L", "P", "1"])
def test_pillow_images_of_exact_modes_are_taken(image: np.ndarray, mode: str) -> None:
    converted = Image.fromarray(image).convert(mode)
    np.testing.assert_array_equal(as_images(converted)[0][0], np.asarray(converted.convert("RGB")))


def test_a_list_of_one_settles_which_axis_is_colour() -> None:
    small = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    with pytest.raises(ValueError, match=r"\[3, 3, 3\] can be .* write \[image\] if the last axis is colour"):
        as_images(small)
    np.testing.assert_array_equal(as_images([small])[0][0], small)
    np.testing.assert_array_equal(as_images(small[None])[0][0], small)


def wrong_images() -> list[tuple[Any, str]]:
    """What is not taken, and the remedy in the message."""
    rgb = np.zeros((4, 6, 3))
    return [
        (rgb.astype(np.float32), "(255 * images).round().astype(np.uint8) for values in 0..1"),
        (rgb - 1, "(127.5 * (images + 1)).round().astype(np.uint8) for values in -1..1"),
        (rgb + 200, "images.round().astype(np.uint8) for values in 0..255"),
        (rgb.astype(np.int64), "images.astype(np.uint8)"),
        (rgb.astype(np.uint16) + 60000, "(images / 257).round().astype(np.uint8) for values of 16 bits"),
        (rgb > 0, "255 * images.astype(np.uint8)"),
        ([rgb], "(255 * image).round().astype(np.uint8)"),
        (rgb.astype(complex), "uint8 values in 0..255"),
        (np.zeros((4, 6), np.uint8), "np.stack([image] * 3, axis=-1)"),
        (np.zeros((4, 6, 1), np.uint8), "image.repeat(3, axis=2)"),
        (np.zeros((1, 4, 6), np.uint8), "image.repeat(3, axis=0)"),
        (np.zeros((4, 6, 4), np.uint8), "image[:, :, :3]"),
        (np.zeros((4, 5, 6), np.uint8), "is not [H, W, 3]"),
        (np.zeros((0, 6, 3), np.uint8), "it has no pixels"),
        (np.zeros((2, 4, 6, 4), np.uint8), "image 0: [4, 6, 4] is not [H, W, 3]: write image[:, :, :3]"),
        (np.zeros(3, np.uint8), "is not [H, W, 3]"),
        (Image.new("RGBA", (6, 4)), "write image.convert('RGB') to drop alpha"),
        (Image.new("LA", (6, 4)), "write image.convert('RGB') to drop alpha"),
        (Image.new("CMYK", (6, 4)), "write image.convert('RGB')"),
        (Image.new("I;16", (6, 4)), "not of 8 bits"),
        (Image.new("F", (6, 4)), "not of 8 bits"),
        (torch.zeros(4, 6, 3, requires_grad=True), ".detach().cpu()"),
        (b"\x89PNG", "PIL.Image.open(io.BytesIO(images))"),
        ([b"\x89PNG"], "image 0: bytes: write a uint8 array"),
        ([[[0, 0, 0]]], "image 0: list: write a uint8 array"),
        (None, "images: None: write one of them, or a list"),
        (7, "images: int: write one of them, or a list"),
    ]


@pytest.mark.parametrize(("given", "remedy"), wrong_images(), ids=lambda value: type(value).__name__)
def test_anything_else_is_refused_with_what_to_write(given: Any, remedy: str) -> None:
    with pytest.raises(ValueError, match=r"write|is not") as raised:
        as_images(given)
    assert remedy in str(raised.value)
    assert "\n" not in str(raised.value)


REPAIRS = [
    (np.float32([[[0.1, 0.5, 1.0]] * 5]), "images"),
    (np.float64([[[-1.0, 0.0, 1.0]] * 5]), "images"),
    (np.uint16([[[0, 257, 65535]] * 5]), "images"),
    (np.int32([[[0, 1, 255]] * 5]), "images"),
    (np.ones((4, 6, 3), bool), "images"),
    (np.zeros((4, 6), np.uint8), "image"),
    (np.zeros((4, 6, 1), np.uint8), "image"),
    (np.zeros((1, 4, 6), np.uint8), "image"),
    (np.zeros((4, 6, 4), np.uint8), "image"),
    (np.zeros((4, 4, 6), np.uint8), "image"),
    (Image.new("RGBA", (6, 4)), "image"),
    (Image.new("CMYK", (6, 4)), "image"),
]


@pytest.mark.parametrize(("given", "name"), REPAIRS, ids=lambda value: str(getattr(value, "dtype", value))[:20])
def test_what_the_message_says_to_write_is_taken(given: Any, name: str) -> None:
    with pytest.raises(ValueError, match="write ") as raised:
        as_images(given)
    expression = str(raised.value).partition("write ")[2]
    for end in (" for values", " if it is", " to drop", ", or the"):
        expression = expression.partition(end)[0]
    repaired = eval(expression, {"np": np, name: given})
    assert len(as_images(repaired)[0]) == 1


def test_forms_of_files(tmp_path: Path) -> None:
    path = tmp_path / "a.uqdm"
    path.write_bytes(b"UQ1")
    one: list[Any] = [b"UQ1", bytearray(b"UQ1"), memoryview(b"UQ1"), path, str(path)]
    assert all(as_files(given) == ([b"UQ1"], True) for given in one)
    assert as_files(one) == as_files(iter(one)) == ([b"UQ1"] * 5, False)
    wrong: list[tuple[Any, str]] = [
        (np.zeros(3, np.uint8), "an array: write bytes"),
        ([7], "file 0: int: write bytes or a path"),
        (None, "None: write one of them"),
        ([Compressed(b"UQ", [], 0)], r"write its \.stream"),
    ]
    for given, message in wrong:
        with pytest.raises(ValueError, match=message):
            as_files(given)
    with pytest.raises(FileNotFoundError):
        as_files(tmp_path / "gone")


def test_compress_and_decompress_one_or_several(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> None:
    model: UQDM = uqdm.load_model("uqdm-pixel")
    image = photographs_uint8[0][:20, :24]
    files = model.compress([image, image[:10]])
    for form in forms_of_one(image, tmp_path):
        assert model.compress(form) == files[0]
    path = tmp_path / "image.uqdm"
    path.write_bytes(files[0])
    for given in (files[0], bytearray(files[0]), path, str(path)):
        np.testing.assert_array_equal(model.decompress(given), image)
    again = model.decompress([path, files[1]])
    assert isinstance(again, list)
    assert [one.shape for one in again] == [(20, 24, 3), (10, 24, 3)]
    assert model.decompress(files[:1]).shape == (1, 20, 24, 3)
    assert model.decompress(files[0], step=2).shape == (20, 24, 3)
    with pytest.raises(ValueError, match="not a UQDM file"):
        model.decompress(tmp_path / "image.png")
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    with pytest.raises(ValueError, match=r"PIL\.Image\.open"):
        model.compress(buffer.getvalue())


def test_reprs_are_one_line(photographs_uint8: list[np.ndarray]) -> None:
    model = uqdm.load_model("uqdm-pixel")
    assert repr(model).startswith("UQDM(uqdm-pixel, 4 steps, ")
    assert repr(model).endswith(f" parameters, cpu, weights sha256:{model.model.sha256[:16]})")
    (made,) = model.compress_detailed([photographs_uint8[0][:20, :24]])
    assert repr(made).startswith(f"Compressed({len(made.stream)} bytes, ")
    pictures = model.pictures(made.stream)
    assert repr(pictures[-1]).startswith("Picture(lossless, 24x20 pixels, ")
    assert repr(pictures[1]).startswith("Picture(step 1, denoise, 24x20 pixels, ")
    for shown in (model, model.model, made, model.open(made.stream), *pictures):
        assert len(repr(shown)) < 120


def test_dir_lists_what_is_imported_on_demand() -> None:
    assert {"load_model", "__version__"} <= set(dir(uqdm))
    assert "UQDM" in dir(uqdm.progressive)

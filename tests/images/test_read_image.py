"""The rule by which an image file becomes pixels: depths, colours, transparency, orientation, damage, bounds."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uqdm.images import read_image

ORIENTATION = 0x0112  # EXIF 2.3, table 4
ICC = b"a colour profile that nothing reads"


def _save(path: Path, image: Image.Image, **options: object) -> np.ndarray:
    image.save(path, **options)
    return read_image(path)


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey_is_replicated(tmp_path: Path, mode: str, photographs_uint8: list[np.ndarray]) -> None:
    grey = Image.fromarray(photographs_uint8[0]).convert(mode)
    pixels = _save(tmp_path / "x.png", grey)
    np.testing.assert_array_equal(pixels, np.repeat(np.asarray(grey.convert("L"))[..., None], 3, axis=2))


def test_a_palette_is_looked_up(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> None:
    palette = Image.fromarray(photographs_uint8[0]).quantize(32)
    np.testing.assert_array_equal(_save(tmp_path / "x.gif", palette), np.asarray(palette.convert("RGB")))


def test_opaque_alpha_changes_nothing(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> None:
    rgba = Image.fromarray(photographs_uint8[0]).convert("RGBA")
    np.testing.assert_array_equal(_save(tmp_path / "x.png", rgba), photographs_uint8[0])


@pytest.mark.parametrize(
    ("pixel", "expected"),
    [((10, 200, 30, 0), (255, 255, 255)), ((0, 255, 100, 128), (127, 255, 177)), ((9, 8, 7, 255), (9, 8, 7))],
)
def test_alpha_is_composited_on_white(tmp_path: Path, pixel: tuple[int, ...], expected: tuple[int, ...]) -> None:
    # c a + 255 (1 - a), a = 128 / 255: 0 -> 127.0, 100 -> 177.2
    pixels = _save(tmp_path / "x.png", Image.new("RGBA", (3, 2), pixel))
    assert pixels.shape == (2, 3, 3)
    assert {tuple(map(int, value)) for value in pixels.reshape(-1, 3)} == {expected}


def test_grey_and_palette_with_transparency_are_composited_on_white(tmp_path: Path) -> None:
    assert _save(tmp_path / "x.png", Image.new("LA", (1, 1), (0, 0))).tolist() == [[[255, 255, 255]]]
    palette = Image.new("P", (1, 1), 0)
    palette.putpalette([1, 2, 3])
    assert _save(tmp_path / "y.png", palette, transparency=0).tolist() == [[[255, 255, 255]]]


def test_exif_orientation_is_applied(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # the top of the scene is the right edge of the stored pixels
    stored = photographs_uint8[0][:40]
    pixels = _save(tmp_path / "x.png", Image.fromarray(stored), exif=exif)
    np.testing.assert_array_equal(pixels, np.rot90(stored, -1))


def test_colour_profiles_and_gamma_are_ignored(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> None:
    from PIL.PngImagePlugin import PngInfo

    gamma = PngInfo()
    gamma.add(b"gAMA", struct.pack(">I", 100_000))  # linear light
    image = Image.fromarray(photographs_uint8[0])
    pixels = _save(tmp_path / "x.png", image, icc_profile=ICC, pnginfo=gamma)
    assert Image.open(tmp_path / "x.png").info["icc_profile"] == ICC
    np.testing.assert_array_equal(pixels, photographs_uint8[0])


def test_an_animation_gives_its_first_frame(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> None:
    first, second = (Image.fromarray(image) for image in photographs_uint8[:2])
    pixels = _save(tmp_path / "x.png", first, save_all=True, append_images=[second])
    np.testing.assert_array_equal(pixels, photographs_uint8[0])


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_16_bit_grey_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="16 bits a channel, more than the 8"):
        _save(tmp_path / name, Image.fromarray(np.zeros((4, 4), np.uint16)))


def test_16_bit_colour_is_refused_though_pillow_would_cut_it_to_8(tmp_path: Path) -> None:
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)  # 2 x 1 pixels, 16 bits, RGB (PNG specification, 11.2.2)
    body = zlib.compress(bytes([0, *range(12)]))
    path = tmp_path / "x.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b""))
    assert Image.open(path).mode == "RGB"
    with pytest.raises(ValueError, match="16 bits a channel, more than the 8"):
        read_image(path)


@pytest.mark.parametrize(("mode", "name"), [("CMYK", "x.jpg"), ("CMYK", "x.tif"), ("LAB", "x.tif")])
def test_other_colour_spaces_are_refused(tmp_path: Path, mode: str, name: str) -> None:
    with pytest.raises(ValueError, match=f"colour mode {mode}"):
        _save(tmp_path / name, Image.new(mode, (4, 4)))


def test_a_picture_with_too_many_pixels_is_refused_by_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UQDM_MAX_PIXELS", "100")
    with pytest.raises(ValueError, match="11 x 10 pixels, more than the 100"):
        _save(tmp_path / "x.png", Image.new("RGB", (11, 10)))

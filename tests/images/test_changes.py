"""What reading changes by rule is said, in every format; what it does not change is not said."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, features
from PIL.PngImagePlugin import PngInfo

from uqdm.images import Change, read_image, read_with_changes

ORIENTATION = 0x0112  # EXIF 2.3, table 4
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
OTHER = SRGB.replace(b"s\0R\0G\0B\0", b"w\0i\0d\0e\0").replace("sRGB".encode("utf-16-be"), "wide".encode("utf-16-be"))
WITH_PROFILES = ("PNG", "JPEG", "WEBP", "TIFF", "AVIF")
SUPPORTED = [
    kind
    for kind in ("PNG", "WEBP", "TIFF", "AVIF", "JPEG2000")
    if kind not in ("AVIF", "JPEG2000") or features.check({"AVIF": "avif", "JPEG2000": "jpg_2000"}[kind])
]


def file_of(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    lossless = {"lossless": True} if kind == "WEBP" else {}
    image.save(buffer, kind, **lossless, **options)
    return buffer.getvalue()


def changes(data: bytes) -> tuple[Change, ...]:
    pixels, found = read_with_changes(data)
    np.testing.assert_array_equal(pixels, read_image(data))
    return found


def photo(mode: str = "RGB") -> Image.Image:
    values = np.arange(8 * 10 * 3, dtype=np.uint8).reshape(8, 10, 3)
    return Image.fromarray(values).convert(mode)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM", "GIF", *SUPPORTED[3:]])
def test_a_plain_file_is_not_changed(kind: str) -> None:
    assert changes(file_of(photo("P" if kind == "GIF" else "RGB"), kind)) == ()


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_grey_and_palettes_are_not_changes(mode: str) -> None:
    assert changes(file_of(photo(mode), "PNG")) == ()


@pytest.mark.parametrize("kind", SUPPORTED)
@pytest.mark.parametrize("alpha", [255, 254, 0])
def test_alpha_is_a_change_unless_it_is_opaque_everywhere(kind: str, alpha: int) -> None:
    image = photo("RGBA")
    image.putpixel((3, 2), (1, 2, 3, alpha))
    options = {"quality": 100} if kind == "AVIF" else {}
    assert changes(file_of(image, kind, **options)) == ((Change.ALPHA,) if alpha < 255 else ())


def test_transparent_colours_are_a_change_where_a_pixel_has_them() -> None:
    palette, grey = photo("P"), photo("L")
    used = palette.getpixel((0, 0))
    assert changes(file_of(palette, "PNG", transparency=used)) == (Change.ALPHA,)
    assert changes(file_of(grey, "PNG", transparency=grey.getpixel((0, 0)))) == (Change.ALPHA,)
    assert 2 not in np.asarray(grey)
    assert changes(file_of(grey, "PNG", transparency=2)) == ()
    assert changes(file_of(palette, "GIF", transparency=used)) == (Change.ALPHA,)


@pytest.mark.parametrize(("channels", "kind"), [(2, "GRAYSCALE_ALPHA"), (4, "RGB_ALPHA")])
def test_alpha_of_a_pam_file(channels: int, kind: str) -> None:
    head = f"P7\nWIDTH 2\nHEIGHT 1\nDEPTH {channels}\nMAXVAL 255\nTUPLTYPE {kind}\nENDHDR\n".encode()
    assert changes(head + bytes([9] * channels + [255] * channels)) == (Change.ALPHA,)
    assert changes(head + bytes([255] * 2 * channels)) == ()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", *SUPPORTED[3:4]])
def test_an_orientation_is_a_change(kind: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    assert changes(file_of(photo(), kind, exif=exif)) == (Change.ORIENTATION,)
    exif[ORIENTATION] = 1
    assert changes(file_of(photo(), kind, exif=exif)) == ()


@pytest.mark.parametrize("kind", [kind for kind in WITH_PROFILES if kind == "JPEG" or kind in SUPPORTED])
def test_a_profile_is_a_change_unless_it_is_srgb(kind: str) -> None:
    assert OTHER != SRGB
    assert changes(file_of(photo(), kind, icc_profile=OTHER)) == (Change.PROFILE,)
    assert changes(file_of(photo(), kind, icc_profile=SRGB)) == ()


def test_a_profile_in_a_bmp_or_jpeg_2000_file() -> None:
    header = bytearray(file_of(photo(), "BMP"))
    body, fields = bytes(header[54:]), bytes(header[18:54])
    long = struct.pack("<I", 124) + fields + bytes(124 - 40)
    file = b"BM" + bytes(8) + struct.pack("<I", 14 + 124) + long + body
    profiled = bytearray(file + OTHER)
    profiled[70:74] = b"DEBM"
    struct.pack_into("<II", profiled, 126, 124 + len(body), len(OTHER))
    assert changes(bytes(profiled)) == (Change.PROFILE,)
    assert changes(file) == ()
    if "JPEG2000" in SUPPORTED:
        data = file_of(photo(), "JPEG2000")
        place = data.index(b"colr") - 4
        colour = b"colr" + b"\x02\0\0" + OTHER
        body = data[:place] + struct.pack(">I", 4 + len(colour)) + colour + data[place + 15 :]
        start = body.index(b"jp2h") - 4
        (length,) = struct.unpack_from(">I", body, start)
        longer = struct.pack(">I", length + len(colour) + 4 - 15)
        assert changes(body[:start] + longer + body[start + 4 :]) == (Change.PROFILE,)


def test_gamma_of_a_png_is_a_change_unless_it_is_that_of_srgb() -> None:
    for value, expected in ((100_000, (Change.PROFILE,)), (45_455, ())):
        info = PngInfo()
        info.add(b"gAMA", struct.pack(">I", value))
        assert changes(file_of(photo(), "PNG", pnginfo=info)) == expected
    info = PngInfo()
    info.add(b"sRGB", b"\0")
    info.add(b"gAMA", struct.pack(">I", 100_000))
    assert changes(file_of(photo(), "PNG", pnginfo=info)) == ()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF", *SUPPORTED[3:4]])
def test_further_pictures_are_a_change(kind: str) -> None:
    further = Image.eval(photo(), lambda value: 255 - value)
    several = {"save_all": True, "append_images": [further]}
    assert changes(file_of(photo(), kind, **several)) == (Change.FIRST,)


@pytest.mark.parametrize(("maximum", "is_change"), [(1, False), (3, False), (15, False), (31, True), (100, True)])
def test_fewer_bits_are_a_change_where_values_are_rounded(maximum: int, is_change: bool) -> None:
    data = b"P6 1 1 %d " % maximum + bytes([0, 1, maximum])
    assert changes(data) == ((Change.DEPTH,) if is_change else ())


def test_a_bmp_of_5_6_5_bits_is_a_change() -> None:
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    info = struct.pack("<IiiHHIIiiII", 40, 2, 1, 1, 16, 3, 4, 0, 0, 0, 0)
    data = b"BM" + struct.pack("<IHHI", 14 + 40 + 12 + 4, 0, 0, 14 + 40 + 12) + info + masks + bytes(4)
    assert changes(data) == (Change.DEPTH,)


def test_several_changes_are_all_said() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 3
    image = Image.new("RGBA", (3, 2), (10, 20, 30, 40))
    found = changes(file_of(image, "PNG", icc_profile=OTHER, exif=exif))
    assert set(found) == {Change.ALPHA, Change.PROFILE, Change.ORIENTATION}


def test_a_damaged_profile_is_taken_for_another_than_srgb() -> None:
    data = file_of(photo(), "PNG", icc_profile=SRGB)
    place = data.index(b"iCCP")
    (length,) = struct.unpack_from(">I", data, place - 4)
    body = b"iCCP" + b"name\0\0" + bytes(length - 6)
    damaged = data[:place] + body + struct.pack(">I", zlib.crc32(body)) + data[place + 8 + length :]
    assert changes(damaged) == (Change.PROFILE,)

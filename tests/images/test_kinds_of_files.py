"""The rule for images, by kinds of files: true depth, damage, metadata, irregular files, bounds."""

from __future__ import annotations

import io
import os
import resource
import socket
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, features

from uqdm.images import ImageError, image_names, read_image


@pytest.fixture(scope="module")
def photo(photographs_uint8: list[np.ndarray]) -> np.ndarray:
    return np.ascontiguousarray(photographs_uint8[0][:50, :60])


def saved(image: np.ndarray, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(array: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, metadata=None, **options)
    return buffer.getvalue()


def png(rows: list[bytes], width: int, bits: int, colour: int, extra: bytes = b"") -> bytes:
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    header = struct.pack(">IIBBBBB", width, len(rows), bits, colour, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def chunk(kind: bytes, data: bytes, checksum: int | None = None) -> bytes:
    right = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", right if checksum is None else checksum)


def bmp(words: bytes, bits: int, masks: tuple[int, int, int]) -> bytes:
    """One row of words with masks (BITMAPINFOHEADER, BI_BITFIELDS)."""
    header = struct.pack("<IiiHHIIiiII", 40, 8 * len(words) // bits, 1, 1, bits, 3, len(words), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 66 + len(words), 0, 0, 66) + header + struct.pack("<III", *masks) + words


# ---- depth ----------------------------------------------------------------------------------------------------


def deep_files() -> dict[str, bytes]:
    grey = np.arange(96, dtype=np.uint16).reshape(8, 12) * 600
    colours = np.stack([grey, grey, grey])
    return {
        "16-bit PGM": b"P5 2 1 65535\n" + bytes(4),
        "10-bit PPM": b"P6 1 1 1023\n" + bytes(6),
        "9-bit plain PGM": b"P2 1 1 256\n5\n",
        "16-bit PAM": b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 65535\nTUPLTYPE GRAYSCALE\nENDHDR\n" + bytes(2),
        "16-bit PNG with alpha": png([bytes(8)], 1, 16, 6),
        "16-bit TIFF": tiff(grey, photometric="minisblack"),
        "16-bit planar TIFF": tiff(colours, photometric="rgb", planarconfig="separate"),
        "32-bit TIFF": tiff(grey.astype(np.uint32), photometric="minisblack"),
        "16-bit JPEG 2000": saved(grey, "JPEG2000"),
        "16-bit codestream of JPEG 2000": saved(grey, "JPEG2000", no_jp2=True),
        "12-bit JPEG": saved(np.zeros((8, 8), np.uint8), "JPEG").replace(
            b"\xff\xc0\x00\x0b\x08", b"\xff\xc1\x00\x0b\x0c"
        ),
        "10-bit BMP": bmp(bytes(4), 32, (0x3FF00000, 0xFFC00, 0x3FF)),
    }


@pytest.mark.parametrize("kind", list(deep_files()))
def test_more_than_8_bits_are_refused_with_the_depth_and_a_remedy(kind: str) -> None:
    bits = kind.split("-")[0]
    with pytest.raises(ImageError, match=f"^{kind}: {bits} bits a channel, more than the 8 .*convert it"):
        read_image(deep_files()[kind], name=kind)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int16", "complex64"])
def test_tiff_of_anything_but_unsigned_integers_is_refused(dtype: str) -> None:
    with pytest.raises(ImageError, match=r"floating-point|signed integers|complex"):
        read_image(tiff(np.zeros((4, 4), dtype), photometric="minisblack"))


@pytest.mark.parametrize("maximum", [1, 3, 15, 31, 100, 254])
def test_fewer_bits_are_scaled_to_255_and_rounded(maximum: int) -> None:
    values = np.arange(maximum + 1, dtype=np.uint8)
    expected = [int(255 * value / maximum + 0.5) for value in range(maximum + 1)]
    numbers = b" ".join(b"%d" % value for value in values)
    for data in (b"P5 %d 1 %d\n" % (values.size, maximum) + values.tobytes(),
                 b"P2 %d 1 %d\n# text\n" % (values.size, maximum) + numbers):  # fmt: skip
        assert read_image(data)[0, :, 0].tolist() == expected


def test_a_bmp_of_5_6_5_bits_is_accepted() -> None:
    pixel = (10 << 11) | (20 << 5) | 7
    expected = [round(255 * value / most) for value, most in ((10, 31), (20, 63), (7, 31))]
    assert read_image(bmp(struct.pack("<HH", 0xFFFF, pixel), 16, (0xF800, 0x7E0, 0x1F)))[0].tolist() == [
        [255, 255, 255],
        expected,
    ]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_only_the_transparent_grey_of_a_png_becomes_white(bits: int) -> None:
    row = bytes([0]) if bits < 8 else bytes([0, 1])  # two pixels or more; the first is 0
    row = bytes([1 << (8 - 2 * bits)]) if bits < 8 else row  # 0, then 1
    pixels = read_image(png([row], 2, bits, 0, chunk(b"tRNS", struct.pack(">H", 1))))
    assert pixels[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_tiff_in_every_layout_has_the_same_pixels(photo: np.ndarray, byteorder: str, bigtiff: bool) -> None:
    planes = np.ascontiguousarray(np.moveaxis(photo, -1, 0))
    for options in ({}, {"tile": (16, 16)}, {"rowsperstrip": 7}, {"compression": "zlib", "predictor": True}):
        layout = {"byteorder": byteorder, "bigtiff": bigtiff, **options}
        np.testing.assert_array_equal(read_image(tiff(photo, photometric="rgb", **layout)), photo)
        if "predictor" not in options:
            separate = tiff(planes, photometric="rgb", planarconfig="separate", **layout)
            np.testing.assert_array_equal(read_image(separate), photo)


# ---- damage ---------------------------------------------------------------------------------------------------

JPEGS = [
    {"quality": quality, "progressive": progressive, "subsampling": subsampling, **restarts}
    for quality in (5, 75, 100)
    for progressive in (False, True)
    for subsampling in (0, 1, 2)
    for restarts in ({}, {"restart_marker_blocks": 3})
]


@pytest.mark.parametrize("size", [(1, 1), (9, 17), (50, 60)])
def test_every_complete_jpeg_is_accepted(photo: np.ndarray, size: tuple[int, int]) -> None:
    image = photo[: size[0], : size[1]]
    for source in (image, image[..., 0]):
        for options in JPEGS:
            data = saved(source, "JPEG", **options) + b"a preview or a video behind the end" + b"\xff\xd8\xff"
            expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
            np.testing.assert_array_equal(read_image(data), expected)


def test_a_jpeg_of_4_1_1_is_accepted(photo: np.ndarray) -> None:
    data = bytearray(saved(photo[:32, :32], "JPEG", subsampling=2))  # 6 blocks a unit, as 4:1:1 has
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 12] = struct.pack(">HHBBB", 16, 64, 3, 1, 0x41)
    np.testing.assert_array_equal(read_image(bytes(data)), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_with_a_libjpeg_warning_is_refused(photo: np.ndarray, progressive: bool) -> None:
    data = saved(photo, "JPEG", progressive=progressive, restart_marker_blocks=4)
    start = data.index(b"\xff\xda") + 20
    middle = (start + len(data)) // 2
    marker = data.index(b"\xff\xd1", start)
    damaged = {
        "cut": data[:middle],
        "cut, and ended": data[:middle] + b"\xff\xd9",
        "end missing": data[:-2],
        "restart inside": data[:middle] + b"\xff\xd3" + data[middle:],
        "restart lost": data[:marker] + data[marker + 2 :],
        "bytes left over": data[:-2] + bytes(9) + b"\xff\xd9",
        "a piece lost": data[: marker + 2] + data[marker + 12 :],
    }
    assert read_image(data).shape == photo.shape
    for name, stream in damaged.items():
        with pytest.raises(ImageError, match=f"^{name}: damaged or cut short"):
            read_image(stream, name=name)


def test_a_progressive_jpeg_without_its_last_scan_is_refused(photo: np.ndarray) -> None:
    data = saved(photo, "JPEG", progressive=True)
    with pytest.raises(ImageError, match=r"scans were lost"):
        read_image(data[: data.rindex(b"\xff\xda")] + b"\xff\xd9")


def whole_files(photo: np.ndarray) -> dict[str, bytes]:
    indexed = Image.fromarray(photo).quantize(32)
    more = [indexed.rotate(90)]
    animated = io.BytesIO()
    indexed.save(animated, "GIF", save_all=True, append_images=more)
    return {
        "PNG": saved(photo, "PNG"),
        "GIF": animated.getvalue(),
        "BMP": saved(photo, "BMP"),
        "PPM": saved(photo, "PPM"),
        "TIFF": saved(photo, "TIFF"),
        "TIFF by LZW": saved(photo, "TIFF", compression="tiff_lzw"),
        "TIFF by deflate": saved(photo, "TIFF", compression="tiff_deflate"),
        "TIFF by JPEG": saved(photo, "TIFF", compression="jpeg"),
        "WebP": saved(photo, "WEBP", lossless=True),
        "AVIF": saved(photo, "AVIF"),
        "JPEG 2000": saved(photo, "JPEG2000"),
    }


def test_every_cut_file_is_refused(photo: np.ndarray) -> None:
    for kind, data in whole_files(photo).items():
        assert read_image(data).shape == photo.shape
        cuts = [*range(0, len(data) - 1, max(1, len(data) // 40)), len(data) - 2]
        for cut in cuts:
            with pytest.raises(ImageError):
                print(kind, cut, read_image(data[:cut]).shape)


def test_wrong_checksums_are_detected(photo: np.ndarray) -> None:
    generator = np.random.default_rng(0)
    for data, first in ((saved(photo, "PNG"), 60), (saved(photo, "TIFF", compression="tiff_deflate"), 12)):
        for _ in range(50):
            flipped = bytearray(data)
            flipped[int(generator.integers(first, len(data) // 2))] ^= 1 << int(generator.integers(8))
            with pytest.raises(ImageError):
                read_image(bytes(flipped))


def test_a_png_with_too_few_rows_or_colours_is_refused() -> None:
    whole = png([bytes(3)] * 4, 1, 8, 2)
    short = whole.replace(whole[8:33], chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 5, 8, 2, 0, 0, 0)))
    with pytest.raises(ImageError, match="16 bytes of pixels after decompression, expected 20"):
        read_image(short)
    with pytest.raises(ImageError, match="not among the 1 of the palette"):
        read_image(png([bytes([0, 1])], 2, 8, 3, chunk(b"PLTE", bytes(3))))


def palette_bmp(bits: int, pixels: bytes, colours: list[tuple[int, int, int]], compression: int = 0) -> bytes:
    """Four pixels in one row, by a palette of RGB."""
    table = b"".join(bytes((*colour[::-1], 0)) for colour in colours)
    header = struct.pack("<IiiHHIIiiII", 40, 4, 1, 1, bits, compression, len(pixels), 0, 0, len(colours), 0)
    start = 54 + len(table)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + table + pixels


BLACK_AND_WHITE = [(0, 0, 0), (255, 255, 255)]


@pytest.mark.parametrize(
    ("bits", "compression", "pixels"),
    [
        (1, 0, b"\x60\0\0\0"),
        (2, 0, b"\x14\0\0\0"),
        (4, 0, b"\x01\x10\0\0"),
        (8, 0, bytes([0, 1, 1, 0])),
        (8, 1, bytes([1, 0, 2, 1, 1, 0, 0, 1])),
        (8, 1, bytes([0, 4, 0, 1, 1, 0, 0, 1])),
        (4, 2, bytes([2, 0x01, 2, 0x10, 0, 1])),
        (4, 2, bytes([0, 4, 0x01, 0x10, 0, 1])),
    ],
)
def test_a_black_and_white_palette_of_a_bmp_is_looked_up(bits: int, compression: int, pixels: bytes) -> None:
    found = read_image(palette_bmp(bits, pixels, BLACK_AND_WHITE, compression))
    assert found[0, :, 0].tolist() == [0, 255, 255, 0]


@pytest.mark.parametrize(
    "data",
    [
        palette_bmp(8, bytes([0, 1, 2, 0]), BLACK_AND_WHITE),
        palette_bmp(4, b"\x01\x20\0\0", BLACK_AND_WHITE),
        palette_bmp(8, bytes([4, 7, 0, 1]), BLACK_AND_WHITE, 1),
        b"GIF89a\x02\0\x01\0\x80\0\0" + bytes(6) + b",\0\0\0\0\x02\0\x01\0\0\x02\x02\x8c\x0a\0;",
        b"GIF89a\x02\0\x01\0\0\0\0" + b",\0\0\0\0\x02\0\x01\0\0\x02\x02\x44\x0a\0;",
    ],
)
def test_a_colour_outside_the_palette_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match=r"not among the [02] of the palette"):
        read_image(data)


def test_a_jpeg_2000_file_without_one_of_its_tiles_is_refused(photo: np.ndarray) -> None:
    whole = saved(photo, "JPEG2000", tile_size=(32, 32), no_jp2=True)
    start = whole.rindex(b"\xff\x90\x00\x0a")
    assert np.array_equal(read_image(whole), photo)
    with pytest.raises(ImageError, match="3 of 4 tiles"):
        read_image(whole[:start] + b"\xff\xd9")


def test_a_pam_file_with_a_type_of_other_channels_is_refused() -> None:
    with pytest.raises(ImageError, match="RGB of 1 channels"):
        read_image(b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\na")


# ---- metadata -------------------------------------------------------------------------------------------------


def exif(*entries: tuple[int, int, int, int]) -> bytes:
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body + bytes(4)


TURNED = (0x112, 3, 1, 6)
ODD_EXIF = {
    "a resolution as text, and turned": (exif((0x11A, 2, 1, 65), TURNED), 6),
    "a resolution beyond the end, and turned": (exif((0x11A, 5, 1, 2**31), TURNED), 6),
    "a width as text, and turned": (exif((0x100, 2, 4, 0), TURNED), 6),
    "an orientation of 9": (exif((0x112, 3, 1, 9)), 1),
    "an orientation of 0": (exif((0x112, 3, 1, 0)), 1),
    "an orientation as text": (exif((0x112, 2, 1, 54)), 1),
    "two orientations": (exif((0x112, 3, 2, 6)), 1),
    "a count that is too large": (exif(TURNED).replace(struct.pack("<HH", 1, 0x112), b"\xff\xff\x12\x01", 1), 6),
    "cut in its header": (exif(TURNED)[:12], 1),
    "another byte order": (exif(TURNED).replace(b"II", b"XX"), 1),
    "nothing": (b"Exif\0\0", 1),
}


@pytest.mark.parametrize("kind", list(ODD_EXIF))
def test_odd_exif_is_ignored(photo: np.ndarray, kind: str) -> None:
    block, orientation = ODD_EXIF[kind]
    expected = np.rot90(photo, -1) if orientation == 6 else photo
    bare = saved(photo, "PNG")
    turned_png = bare[:33] + chunk(b"eXIf", block.removeprefix(b"Exif\0\0")) + bare[33:]
    np.testing.assert_array_equal(read_image(turned_png), expected)
    jpeg = saved(photo, "JPEG")
    with_exif = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]
    plain = read_image(jpeg)
    np.testing.assert_array_equal(read_image(with_exif), np.rot90(plain, -1) if orientation == 6 else plain)


@pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
@pytest.mark.parametrize("odd", [b"garbage", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\0\0\x08\0\0\0"])
def test_odd_exif_of_an_avif_is_ignored(photo: np.ndarray, odd: bytes) -> None:
    body = exif((0x11A, 3, 1, 6))[6:]
    whole = saved(photo, "AVIF", exif=b"Exif\0\0" + body)
    assert whole.count(body) == 1
    assert np.array_equal(read_image(whole.replace(body, odd.ljust(len(body), b"\0"))), read_image(whole))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_applied_once(photo: np.ndarray, orientation: int) -> None:
    block = Image.Exif()
    block[0x112] = orientation
    turns = (lambda x: x, np.fliplr, lambda x: np.rot90(x, 2), np.flipud, lambda x: x.swapaxes(0, 1),
             lambda x: np.rot90(x, -1), lambda x: np.rot90(x, 2).swapaxes(0, 1), np.rot90)  # fmt: skip
    expected = turns[orientation - 1](photo)
    for kind, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})):
        np.testing.assert_array_equal(read_image(saved(photo, kind, exif=block, **options)), expected)


def test_metadata_of_a_png_are_ignored(photo: np.ndarray) -> None:
    bare = saved(photo, "PNG")
    bomb = zlib.compress(bytes(2**26), 9)
    odd = [
        chunk(b"zTXt", b"x\0\0" + bomb),
        chunk(b"iCCP", b"x\0\0" + bomb),
        chunk(b"iCCP", b"\0\0\0\0"),
        chunk(b"tEXt", b"x\0y", checksum=1),
        chunk(b"pHYs", b"\0"),
        chunk(b"acTL", b"\0"),
        chunk(b"gAMA", b""),
    ]
    np.testing.assert_array_equal(read_image(bare[:33] + b"".join(odd) + bare[33:]), photo)


def test_metadata_of_a_tiff_are_ignored(photo: np.ndarray) -> None:
    tags = [(34675, 7, 0, b"", True), (700, 7, 5, b"<xml>", True), (34665, 4, 1, 2**31, True), (282, 2, 3, "no", True)]
    np.testing.assert_array_equal(read_image(tiff(photo, photometric="rgb", extratags=tags)), photo)


# ---- irregular files, and bounds ------------------------------------------------------------------------------


def test_only_regular_files_are_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    os.mkfifo("pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind("socket")
        kinds = {
            "pipe": "a FIFO",
            "link": "a FIFO",
            "folder": "a folder",
            "socket": "a socket",
            "/dev/zero": "a device",
        }
        for name, kind in kinds.items():
            with pytest.raises(ImageError, match=rf"^{name}: not a file \({kind}\)"):
                read_image(name)
    with pytest.raises(ImageError, match=r"^gone\.png: No such file"):
        read_image("gone.png")


def test_hidden_files_and_folders_are_skipped(tmp_path: Path) -> None:
    for name in ("b.png", ".hidden.png", ".cache/x.png", "a/c.png", "a/.d"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert image_names(tmp_path) == ["a/c.png", "b.png"]


def test_small_files_that_claim_many_pixels_are_refused_in_little_memory() -> None:
    gif = b"GIF89a" + struct.pack("<HHBBB", 11000, 12000, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02D\x01\0;"
    wide = b"," + struct.pack("<HHHHB", 0, 0, 60000, 60000, 0) + b"\x02\x02D\x01\0;"
    huge_png = png([bytes(1)], 2**31 - 1, 1, 0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for bomb in (gif + frame, gif.replace(struct.pack("<HH", 11000, 12000), bytes(4)) + wide, huge_png,
                 b"P5 99999 99999 255\n", b"BM" + bytes(12) + struct.pack("<IiiHHI", 40, 2**30, 2**30, 1, 24, 0),
                 tiff(np.zeros((1, 1), np.uint8)).replace(struct.pack("<HHII", 256, 4, 1, 1),
                                                          struct.pack("<HHII", 256, 4, 1, 2**31))):  # fmt: skip
        with pytest.raises(ImageError, match=r"pixels, more than the 67108864 that are allowed"):
            read_image(bomb)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**16  # KiB


_PEAK = """
import resource, sys
from uqdm.images import read_image
read_image(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
pixels = read_image(sys.argv[2])
print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / (pixels.size / 3))
"""


def test_a_large_picture_needs_the_documented_bytes_per_pixel(tmp_path: Path) -> None:
    for name, side in (("small.gif", 8), ("large.gif", 2800)):
        Image.new("P", (side, side), 3).save(tmp_path / name, transparency=3)
    arguments = [sys.executable, "-c", _PEAK, str(tmp_path / "small.gif"), str(tmp_path / "large.gif")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 12


def test_every_data_set_and_training_refuse_irregular_files(tmp_path: Path) -> None:
    from uqdm.bench.datasets import DataSetError, open_dataset
    from uqdm.training.data import TrainingDataError, random_tiles

    for name in ("images/pipe.png", "kodak/kodim01.png", "pipe.npz", "cifar"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        os.mkfifo(tmp_path / name)
    for spec in ("folder:images", "kodak:kodak", "npz:pipe.npz", "cifar10:cifar", "imagenet64:cifar"):
        kind, _, name = spec.partition(":")
        with pytest.raises(DataSetError, match="not a file"):
            open_dataset(f"{kind}:{tmp_path / name}", limit=1)
    with pytest.raises(TrainingDataError, match=r"pipe\.png: not a file"):
        random_tiles(tmp_path / "images", 16, boxes_per_image=1, seed=0)


def test_an_npy_file_and_an_archive_are_distinguished(tmp_path: Path) -> None:
    from uqdm.bench.datasets import DataSetError, open_dataset
    from uqdm.training.data.arrays import open_arrays

    np.save(tmp_path / "x.npy", np.zeros((2, 8, 8, 3), np.uint8))
    (tmp_path / "x.npz").write_bytes(b"no archive")
    for name, reason in (
        ("x.npy", r"single array \(\.npy\).*numpy\.savez\('x\.npz'"),
        ("x.npz", "no archive of arrays"),
    ):
        with pytest.raises(DataSetError, match=reason):
            open_dataset(f"npz:{tmp_path / name}")
        with pytest.raises(ValueError, match=reason):
            open_arrays(str(tmp_path / name))


def test_training_reads_by_the_rule_of_evaluation(tmp_path: Path) -> None:
    from uqdm.training.data import TrainingDataError, random_tiles

    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    (tmp_path / ".hidden.png").write_bytes(b"no image")
    assert random_tiles(tmp_path, 16, boxes_per_image=2, seed=0, smallest_box=16).min() == 255
    (tmp_path / "deep.png").write_bytes(saved(np.zeros((20, 20), np.uint16), "PNG"))
    with pytest.raises(TrainingDataError, match=r"deep\.png: 16 bits a channel"):
        random_tiles(tmp_path, 16, boxes_per_image=2, seed=0, smallest_box=16)

"""A folder of images: order, the rule for pixels, and bad files named before work starts."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uqdm.bench.datasets import DataSetError, content_fingerprint, open_dataset, read_image_file
from uqdm.bench.datasets import _image_file as image_file

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


def test_images_come_by_relative_path_whatever_their_size(folder: Path, photographs_uint8: list[np.ndarray]) -> None:
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


def test_names_do_not_count_in_the_fingerprint(folder: Path) -> None:
    before = open_dataset(f"folder:{folder}").fingerprint
    (folder / "a10.png").rename(folder / "A.png")
    assert open_dataset(f"folder:{folder}").fingerprint == before


def test_a_limit_reads_only_the_first_files(folder: Path) -> None:
    (folder / "z.png").write_bytes(b"junk")
    dataset = open_dataset(f"folder:{folder}", limit=2)
    assert dataset.ids == ("a10.png", "a9.bmp")
    assert dataset.fingerprint == content_fingerprint([dataset.load(0), dataset.load(1)])


def test_names_that_begin_with_a_dot_are_passed_over(folder: Path) -> None:
    (folder / ".cache").mkdir()
    (folder / ".cache" / "x.png").write_bytes(b"junk")
    (folder / ".DS_Store").write_bytes(b"junk")
    assert len(open_dataset(f"folder:{folder}")) == 4


def test_every_bad_file_is_named_at_once(folder: Path) -> None:
    whole = (folder / "a10.png").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1  # in the compressed pixels: only the checksum tells
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


def test_a_file_that_breaks_after_the_check_is_named_when_it_is_loaded(folder: Path) -> None:
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


# ---- the rule for pixels ------------------------------------------------------------------------------------


def _save(path: Path, image: Image.Image, **options: object) -> np.ndarray:
    image.save(path, **options)
    return read_image_file(path)


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


def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> None:
    first, second = (Image.fromarray(image) for image in photographs_uint8[:2])
    pixels = _save(tmp_path / "x.png", first, save_all=True, append_images=[second])
    np.testing.assert_array_equal(pixels, photographs_uint8[0])


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_16_bit_grey_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"more than 8 bits|colour mode I;16"):
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
    with pytest.raises(ValueError, match="more than 8 bits a channel"):
        read_image_file(path)


@pytest.mark.parametrize(("mode", "name"), [("CMYK", "x.jpg"), ("F", "x.tif"), ("LAB", "x.tif")])
def test_other_colour_spaces_are_refused(tmp_path: Path, mode: str, name: str) -> None:
    with pytest.raises(ValueError, match=f"colour mode {mode}"):
        _save(tmp_path / name, Image.new(mode, (4, 4)))


def test_a_picture_with_too_many_pixels_is_refused_by_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_file, "MAX_PIXELS", 100)
    with pytest.raises(ValueError, match="11 x 10 pixels, more than the 100"):
        _save(tmp_path / "x.png", Image.new("RGB", (11, 10)))

"""Guards the files of a grid: pixels of pictures are squares of equal values in the PNG and in the PDF."""

from __future__ import annotations

import io
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uqdm.bench.grid.content import Grid, GridColumn, GridRow, Tile, read_grid
from uqdm.bench.grid.figure import draw_grid, save_figure
from uqdm.bench.grid.options import GridOptions
from uqdm.bench.grid.window import Window


@pytest.fixture(scope="module")
def grid(grid_run: Path) -> Grid:
    return read_grid(grid_run, GridOptions(images=("0", "3"), bpp=(1.5,), codecs=("jpeg", "ours", "png")))


def pictures_of(grid: Grid) -> list[np.ndarray]:
    """The pictures as they stand in the files: those of 64 pixels enlarged four times, those of 128 twice."""
    tiles = [tile for row in grid.rows for tile in (row.original, *row.tiles)]
    found = [tile.image_uint8 for tile in tiles if tile.image_uint8 is not None]
    scales = {64: 4, 128: 2}
    return [one.repeat(scales[len(one)], axis=0).repeat(scales[len(one)], axis=1) for one in found]


def test_the_png_has_each_pixel_as_a_square(grid: Grid, tmp_path: Path) -> None:
    save_figure(grid, tmp_path / "grid.png")
    drawn = np.asarray(Image.open(tmp_path / "grid.png").convert("RGB"))
    assert len(pictures_of(grid)) >= 5
    for picture in pictures_of(grid):
        assert is_part(drawn, picture)


def is_part(drawn: np.ndarray, picture: np.ndarray) -> bool:
    """Whether a picture stands somewhere in a file; its first row is looked for, then all of it."""
    height, width = picture.shape[:2]
    data, row = drawn.tobytes(), picture[0].tobytes()
    place = data.find(row)
    while place >= 0:
        y, x = divmod(place // 3, drawn.shape[1])
        if place % 3 == 0 and np.array_equal(drawn[y : y + height, x : x + width], picture):
            return True
        place = data.find(row, place + 1)
    return False


def test_the_pdf_stores_the_same_pixels_without_loss(grid: Grid, tmp_path: Path) -> None:
    save_figure(grid, tmp_path / "grid.pdf")
    data = (tmp_path / "grid.pdf").read_bytes()
    assert b"/Interpolate true" not in data
    assert b"/DCTDecode" not in data
    stored = pictures_in_pdf(data)
    for picture in pictures_of(grid):
        assert any(np.array_equal(picture, one) for one in stored)
    thumbnails = [row.thumbnail for row in grid.rows if row.thumbnail is not None]
    assert len(stored) == len(pictures_of(grid)) + len(thumbnails)


def pictures_in_pdf(data: bytes) -> list[np.ndarray]:
    """The images of a PDF by Matplotlib: their streams are those of a PNG."""
    found = []
    for match in re.finditer(rb"/Subtype /Image.*?>>\s*stream\r?\n", data, re.DOTALL):
        head = data[data.rindex(b" obj", 0, match.start()) : match.end()]
        width, height = (int(one(rb"/" + name + rb" (\d+)", head)) for name in (b"Width", b"Height"))
        colours = int(one(rb"/Colors (\d+)", head))
        stream = data[match.end() : data.index(b"endstream", match.end())]
        found.append(from_png(width, height, {1: 3, 3: 2}[colours], stream, head)[::-1])  # from the lowest row up
    return found


def one(pattern: bytes, text: bytes) -> bytes:
    match = re.search(pattern, text)
    assert match is not None, pattern
    return match[1]


def from_png(width: int, height: int, colour_type: int, stream: bytes, head: bytes) -> np.ndarray:
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)), (b"IDAT", stream)]
    if colour_type == 3:
        chunks.insert(1, (b"PLTE", bytes.fromhex(one(rb"<([0-9a-fA-F]+)>", head).decode())))
    png = b"\x89PNG\r\n\x1a\n"
    for name, content in [*chunks, (b"IEND", b"")]:
        png += struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_names_and_numbers_are_written(grid: Grid) -> None:
    figure = draw_grid(grid)
    texts = [" ".join(text.get_text().split()) for text in figure.texts]
    for name in ("original", "jpeg", "ours", "png"):
        assert name in texts
    for row in grid.rows:
        assert f"{row.image_id} {row.rate_bpp:g} bpp" in texts
        for tile in row.tiles:
            expected = " ".join(tile.lines) if not tile.absent else tile.absent[:40]
            assert any(expected in text for text in texts), expected


def test_a_name_with_dollar_signs_is_no_formula(tmp_path: Path) -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    row = GridRow("$\\bad$", 1.0, Window(0, 0, 8, 8), Tile(picture, ("24 bpp",)), None, [Tile(picture, ("1.0 bpp",))])
    save_figure(Grid("$x", [GridColumn("$\\frac$", "jpeg")], [row], ""), tmp_path / "grid.png")
    assert (tmp_path / "grid.png").is_file()


def test_too_many_rows_are_an_error_before_drawing() -> None:
    picture = np.zeros((256, 256, 3), np.uint8)
    tiles = [Tile(picture, ("1.0 bpp",))]
    row = GridRow("image", 1.0, Window(0, 0, 256, 256), Tile(picture, ("24 bpp",)), None, tiles)
    with pytest.raises(ValueError, match=r"300 rows and 1 column make a figure of .* choose fewer images"):
        draw_grid(Grid("some", [GridColumn("jpeg", "jpeg")], [row] * 300, ""))

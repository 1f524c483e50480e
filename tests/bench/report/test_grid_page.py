"""Guards the page of a grid and the report's section: their pictures are exact, and loaded from nowhere else."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from uqdm.bench.grid.content import Grid, GridColumn, GridRow, Tile
from uqdm.bench.grid.window import Window
from uqdm.bench.report.grid import shown_grid
from uqdm.bench.report.grid_page import render_grid


class Pictures(HTMLParser):
    """The ``img`` elements of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.found.append({name: value or "" for name, value in attrs})


@pytest.fixture(scope="module")
def grid() -> Grid:
    generator = np.random.default_rng(3)
    pictures = [generator.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(3)]
    tiles = [Tile(pictures[1], ("0.500 bpp", "PSNR 30.00 dB"), "quality=5"), Tile(absent="No picture <here>.")]
    row = GridRow("a<b>.png", 0.5, Window(2, 4, 64, 48), Tile(pictures[0], ("24 bpp",)), pictures[2], tiles)
    columns = [GridColumn("ours & theirs", "jpeg"), GridColumn("webp", "webp")]
    return Grid("set", columns, [row], "Caption.", ["png is left out."])


def decoded(source: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).convert("RGB"))


def test_the_pictures_of_the_page_are_exact_enlarged_by_a_whole_number_and_described(grid: Grid) -> None:
    whole, original, picture = Pictures(render_grid(grid)).found
    (row,) = grid.rows
    for shown, expected, scale in (
        (whole, row.thumbnail, 1),
        (original, row.original.image_uint8, 3),  # 64 pixels: three times, to be 160 at least
        (picture, row.tiles[0].image_uint8, 3),
    ):
        assert expected is not None
        np.testing.assert_array_equal(decoded(shown["src"]), expected)
        assert (int(shown["width"]), int(shown["height"])) == (64 * scale, 48 * scale)
    assert original["alt"] == "a<b>.png, original, 24 bpp"
    assert picture["alt"] == "a<b>.png, ours & theirs, 0.500 bpp, PSNR 30.00 dB"


def test_the_page_is_one_file_and_escapes_what_comes_from_elsewhere(grid: Grid) -> None:
    html = render_grid(grid)
    assert "default-src 'none'" in html.replace("&#39;", "'")
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", html)
    assert "url(" not in html
    assert "a&lt;b&gt;.png" in html
    assert "No picture &lt;here&gt;." in html
    assert "png is left out." in html
    assert "image-rendering: pixelated" in html


def test_in_a_report_the_pictures_are_named_by_their_place(grid: Grid) -> None:
    shown = shown_grid(grid, lambda image_uint8: ("data-picture", str(image_uint8[0, 0, 0])))
    (row,) = shown.rows
    assert row.tiles[0].picture is not None
    assert row.tiles[0].picture.attribute == "data-picture"
    assert [tile.codec for tile in row.tiles] == ["", "jpeg", "webp"]
    assert row.tiles[2].picture is None

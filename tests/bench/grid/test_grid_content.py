"""Guards a grid's pictures and numbers: each is the measured picture nearest to the rate, or the reason is there."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from uqdm.bench.grid.content import Grid, metric_columns, read_grid
from uqdm.bench.grid.crop import busiest, difference, window_of
from uqdm.bench.grid.options import GridOptions
from uqdm.bench.grid.window import Window
from uqdm.bench.plots import NothingToDrawError
from uqdm.bench.run.pictures import RunPictures

RATES = (1.0, 4.0)


@pytest.fixture(scope="module")
def run(grid_run: Path) -> RunPictures:
    return RunPictures(grid_run, "memory", metric_columns())


@pytest.fixture(scope="module")
def grid(grid_run: Path) -> Grid:
    asked = ("jpeg", "ours", "png", "toy-model")
    return read_grid(grid_run, GridOptions(images=("0", "3"), bpp=RATES, codecs=asked, metrics=("psnr_db", "ssim")))


def test_each_tile_is_the_picture_nearest_to_the_rate_if_that_is_near_enough(run: RunPictures, grid: Grid) -> None:
    assert [(row.image_id, row.rate_bpp) for row in grid.rows] == [
        (name, rate) for name in ("image-000", "image-003") for rate in RATES
    ]
    absent = []
    for row in grid.rows:
        for column, tile in zip(grid.columns, row.tiles, strict=True):
            rows = run.rows[(run.rows.image_id == row.image_id) & (run.rows.codec == column.codec)].to_dict("records")
            best = min(rows, key=lambda one: (abs(math.log(one["rate_bpp"] / row.rate_bpp)), -one["psnr_db"]))
            ratio = max(best["rate_bpp"] / row.rate_bpp, row.rate_bpp / best["rate_bpp"])
            absent.append(bool(tile.absent))
            assert absent[-1] == (ratio > 1.15)
            if tile.absent:
                assert f"within 15 % of {row.rate_bpp:.3f} bpp" in tile.absent
                assert f"the nearest has {best['rate_bpp']:.3f} bpp" in tile.absent
            else:
                assert tile.image_uint8 is not None
                np.testing.assert_array_equal(tile.image_uint8, row.window.of(run.picture(best)))
                figures = (f"{best['rate_bpp']:.3f} bpp", f"PSNR {best['psnr_db']:.2f} dB", f"SSIM {best['ssim']:.3f}")
                assert tile.lines == figures
    assert set(absent) == {True, False}


def test_a_large_image_is_cut_to_one_window_where_its_pictures_differ_most(run: RunPictures, grid: Grid) -> None:
    small, large = grid.rows[0], grid.rows[2:]
    assert small.window == Window(0, 0, 64, 64)
    assert small.thumbnail is None
    original = run.original(3)
    assert original is not None
    assert {row.window for row in large} == {large[0].window}
    window = large[0].window
    assert (window.width, window.height) == (128, 128)
    assert "Shown are 128 x 128 pixels" in grid.caption
    for row in large:
        assert row.original.image_uint8 is not None
        np.testing.assert_array_equal(row.original.image_uint8, window.of(original))
        assert row.thumbnail is not None
        assert row.thumbnail.shape == (160, 192, 3)
    kept = [tile for row in large for tile in row.tiles if not tile.absent]
    assert {tile.image_uint8.shape for tile in kept if tile.image_uint8 is not None} == {(128, 128, 3)}


def test_the_busiest_window_is_where_the_pictures_differ() -> None:
    original = np.full((150, 200, 3), 90, np.uint8)
    other = original.copy()
    other[100:104, 150:154] = 120
    window = window_of(32, [original, other], "image")
    assert window.y <= 100
    assert window.y + 32 >= 104
    assert window.x <= 150
    assert window.x + 32 >= 154
    assert busiest(difference([original, original]), 32, 32) == (59, 84)  # no difference: the middle


@pytest.mark.parametrize(
    ("crop", "window"), [("8,16,24,32", Window(8, 16, 24, 32)), ("whole", Window(0, 0, 192, 160)), ("40", None)]
)
def test_the_window_is_that_which_is_asked_for(grid_run: Path, crop: str, window: Window | None) -> None:
    asked = GridOptions(images=("3",), bpp=(0.86,), codecs=("jpeg", "ours"), crop=crop)
    (row,) = read_grid(grid_run, asked).rows
    assert (row.window.width, row.window.height) == ((40, 40) if window is None else (window.width, window.height))
    assert window is None or row.window == window
    assert (row.thumbnail is None) == (crop == "whole")


def test_a_window_outside_of_the_image_is_an_error(grid_run: Path) -> None:
    with pytest.raises(ValueError, match="crop=60,0,8,8: image-000 has 64 x 64 pixels; choose a window inside it"):
        read_grid(grid_run, GridOptions(images=("0",), crop="60,0,8,8"))


def test_a_codec_without_a_picture_is_left_out_with_the_reason(grid_run: Path) -> None:
    grid = read_grid(grid_run, GridOptions(images=("1",), bpp=(1.0,), tolerance_percent=60))
    assert "png" not in [column.name for column in grid.columns]
    assert any(
        note.startswith("png is left out. image-001: No picture within 60 % of 1.000 bpp") for note in grid.notes
    )


def test_without_any_picture_the_error_names_the_nearest_rate(grid_run: Path) -> None:
    with pytest.raises(NothingToDrawError, match=r"No picture within 15 % of 900\.000 bpp; the nearest has "):
        read_grid(grid_run, GridOptions(images=("0",), bpp=(900.0,)))


def test_by_default_each_image_has_two_rates_with_pictures_of_several_codecs(grid_run: Path) -> None:
    grid = read_grid(grid_run, GridOptions())
    assert len(grid.rows) == 6
    counts = [sum(not tile.absent for tile in row.tiles) for row in grid.rows]
    assert min(counts) >= 1
    assert all(first + second >= 3 for first, second in zip(counts[::2], counts[1::2], strict=True))
    for first, second in zip(grid.rows[::2], grid.rows[1::2], strict=True):
        assert second.rate_bpp >= 3 * first.rate_bpp

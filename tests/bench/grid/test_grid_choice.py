"""Guards what a grid shows where nothing is asked for, and that what is asked for is found by its names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from uqdm.bench.grid.choice import (
    Column,
    all_columns,
    chosen_images,
    chosen_metrics,
    chosen_rates,
    named_columns,
)
from uqdm.bench.grid.content import metric_columns
from uqdm.bench.run.pictures import RunPictures
from uqdm.bench.run.summary_reader import read_summary


@pytest.fixture(scope="module")
def rows(grid_run: Path) -> pd.DataFrame:
    return RunPictures(grid_run, "memory", metric_columns()).rows


@pytest.fixture(scope="module")
def summary(grid_run: Path) -> pd.DataFrame:
    return read_summary(grid_run)


def frame(psnr_db: list[float]) -> pd.DataFrame:
    """One picture of each image."""
    return pd.DataFrame({"image_index": range(len(psnr_db)), "psnr_db": psnr_db})


def test_the_images_are_of_low_middle_and_high_psnr() -> None:
    assert chosen_images(frame([40, 20, 30, 36, 24, 32, 28, 38, 22]), None) == [8, 2, 7]  # 22, 30 and 38 dB
    assert chosen_images(frame([40, 20]), None) == [1, 0]
    assert chosen_images(frame([np.inf, np.inf]), None) == [0, 1]  # every picture is exact


def test_an_image_that_lacks_a_picture_is_not_chosen() -> None:
    whole = pd.concat([frame([20, 30, 40]), frame([20, 30, 40])[1:]])
    assert chosen_images(whole, None) == [1, 2]


def test_images_are_found_by_id_and_index(rows: pd.DataFrame) -> None:
    assert chosen_images(rows, ("3", "image-001", "1")) == [3, 1]
    with pytest.raises(ValueError, match=r"images='image-01': .* \(did you mean image-001,.* from 0 to 3"):
        chosen_images(rows, ("image-01",))


def test_columns_are_in_the_order_of_the_curves_and_named_by_labels(rows: pd.DataFrame, summary: pd.DataFrame) -> None:
    columns = all_columns(rows, summary)
    assert {column.name for column in columns} == {"jpeg", "ours", "png", "toy-model"}
    assert columns[-1].name == "png"  # every picture is exact: it has no curve
    assert {column.name: column.codec for column in columns}["ours"] == "webp"
    assert sum(len(column.rows) for column in columns) == len(rows)


def test_columns_are_found_by_codec_label_and_curve(rows: pd.DataFrame, summary: pd.DataFrame) -> None:
    found = named_columns(rows, summary, ["webp", "toy-model floor", "jpeg", "ours"])
    assert [column.name for column in found] == ["ours", "toy-model floor", "jpeg"]
    assert set(found[1].rows.reconstruction) == {"floor"}
    with pytest.raises(ValueError, match=r"codec='jpgg': not in this run \(did you mean jpeg, png\?\); it has: "):
        named_columns(rows, summary, ["jpgg"])


def column(rates: list[float], exact: float | None = None) -> Column:
    rows = pd.DataFrame({"image_index": 0, "rate_bpp": rates, "mse": 1.0, "ideal_bits": np.nan})
    return Column("some", "some", rows.assign(mse=np.where(rows.rate_bpp == exact, 0.0, 1.0)))


def test_the_rates_are_those_at_which_most_columns_have_a_picture() -> None:
    columns = [column([0.5, 1.0, 2.0, 4.0]), column([0.52, 1.5, 4.1]), column([0.9, 4.2])]
    low, high = chosen_rates(columns, 0, 1.15)
    assert (0.5 <= low <= 0.52) or (0.9 <= low <= 1.0)  # two columns have a picture there
    assert high == pytest.approx(4.1, rel=0.05)
    assert chosen_rates(columns, 0, 1.15) == [low, high]


def test_exact_pictures_choose_no_rate() -> None:
    assert chosen_rates([column([9.0], exact=9.0), column([9.1], exact=9.1)], 0, 1.15) == []
    assert chosen_rates([column([1.0, 9.0], exact=9.0)], 0, 1.15) == [1.0]


def test_the_metrics_are_psnr_and_others_that_the_run_has(rows: pd.DataFrame) -> None:
    names = [metric.name for metric in chosen_metrics(rows, None)]
    assert names[0] == "psnr_db"
    assert "mse" not in names
    assert len(names) <= 4
    assert all(rows[name].notna().any() for name in names)
    assert [metric.name for metric in chosen_metrics(rows, ["mse", "ssim"])] == ["mse", "ssim"]
    with pytest.raises(ValueError, match="metric='fid': it is computed on sets"):
        chosen_metrics(rows, ["fid"])
    with pytest.raises(ValueError, match="metric='ssim': no picture of this run has it"):
        chosen_metrics(rows.assign(ssim=np.nan), ["ssim"])

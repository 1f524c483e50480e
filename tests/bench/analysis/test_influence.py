"""Guards the influence of images: the BD-rate without one is that of a run without it, and warnings are rare."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from test_bd_table import images_of, line, make

from uqdm.bench.analysis.bd_table import bd_table, bd_tables
from uqdm.bench.analysis.influence import LEAST_IMAGES, Influence


def one_odd_image(n: int, factor: float, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two codecs on n images; the second needs 5 % fewer bits, and on image 3 ``factor`` times as many."""
    generator = np.random.default_rng(seed)
    busy = 0.2 * generator.normal(size=(n, 1))
    codecs = {name: images_of(generator, n, scale, busy) for name, scale in (("jpeg", 1.0), ("webp", 0.95))}
    codecs["webp"][0][3] *= factor
    return make(codecs)


def test_without_an_image_the_bd_rate_is_that_of_the_other_images() -> None:
    generator = np.random.default_rng(5)
    codecs = {name: images_of(generator, 9) for name in ("jpeg", "webp")}
    codecs["webp"][1][2, 4] = np.inf  # exact: the image has a rate there, and no PSNR
    found = bd_tables(*make(codecs)).images.query("metric == 'psnr_db'")
    assert found.image_id.tolist() == [f"image {index}" for index in range(9)]
    for row in found.itertuples():
        kept = [index for index in range(9) if index != row.image_index]
        others = {name: (bpp[kept], psnr_db[kept]) for name, (bpp, psnr_db) in codecs.items()}
        expected = line(bd_table(*make(others)), metric="psnr_db", curve="webp")["bd_rate_percent"]
        # Means of eight images, taken from the mean of nine: some units in the last place.
        assert row.bd_rate_without == pytest.approx(expected, rel=1e-11)


def test_figures_of_a_curve_are_those_of_its_images() -> None:
    tables = bd_tables(*one_odd_image(20, 1.5))
    found = line(tables.curves, metric="psnr_db", curve="webp")
    images = tables.images.query("metric == 'psnr_db'")
    quartiles = images.bd_rate_percent.quantile([0.25, 0.5, 0.75]).tolist()
    assert [found[f"image_bd_rate_{name}"] for name in ("q1", "median", "q3")] == pytest.approx(quartiles, rel=1e-12)
    assert found["image_bd_rate_n"] == images.bd_rate_percent.notna().sum() == 20
    assert found["influential_image"] == "image 3"
    assert found["bd_rate_without"] == images.bd_rate_without[images.image_index == 3].item()
    assert images.bd_rate_percent.idxmax() == images.index[images.image_index == 3].item()
    assert found["rate_ratio_50_low"] < found["rate_ratio_50"] < found["rate_ratio_50_high"]
    assert 0 < found["rate_ratio_50_n"] <= 20


def test_one_image_with_more_variance_than_all_others_is_named() -> None:
    found = line(bd_table(*one_odd_image(20, 1.8)), metric="psnr_db", curve="webp")
    without = found["bd_rate_without"]
    share = found["influence_share"]
    assert share > 0.5
    expected = f"one image has {100 * share:.0f} % of the variance: without image 3 BD-rate is {without:+.1f} %"
    assert found["warning"] == expected
    assert line(bd_table(*one_odd_image(20, 1.0)), metric="psnr_db", curve="webp")["warning"] is None


def test_a_large_share_of_the_variance_among_few_images_is_chance() -> None:
    """The sign is the same without any image, and the interval excludes 0."""
    moves = np.array([4.0, *[-1.0] * (LEAST_IMAGES - 2)])
    ids = [str(index) for index in range(LEAST_IMAGES)]
    assert Influence(-20.0, -20.0 + moves).warning(-25.0, -15.0, ids[:-1]) is None
    assert Influence(-20.0, -20.0 + np.append(moves, -1.0)).warning(-25.0, -15.0, ids) is not None


def test_an_image_without_which_there_is_no_bd_rate_is_named() -> None:
    """Without image 3 the second point is no better than the first."""
    generator = np.random.default_rng(0)
    codecs = {name: images_of(generator, 8) for name in ("jpeg", "webp")}
    psnr_db = codecs["webp"][1]
    others = np.arange(8) != 3
    psnr_db[:, 1] += psnr_db[others, 0].mean() - psnr_db[others, 1].mean() - 0.1
    psnr_db[3, 1] += 4
    found = line(bd_table(*make(codecs)), metric="psnr_db", curve="webp")
    assert np.isfinite(found["bd_rate_percent"])
    assert np.isnan(found["bd_rate_without"])
    assert found["warning"] == "one image decides whether there is a BD-rate: without image 3 there is none"


def test_a_run_of_one_image_has_no_influence() -> None:
    generator = np.random.default_rng(4)
    tables = bd_tables(*make({name: images_of(generator, 1) for name in ("jpeg", "webp")}))
    found = line(tables.curves, metric="psnr_db", curve="webp")
    assert found["image_bd_rate_median"] == pytest.approx(found["bd_rate_percent"], rel=1e-12)
    assert pd.isna(found["influential_image"])
    assert pd.isna(found["warning"])
    assert tables.images.bd_rate_without.isna().all()

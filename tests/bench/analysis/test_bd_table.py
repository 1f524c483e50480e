"""Guards the table of deltas: the run's own figures, intervals that cover, sets without intervals, reasons."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from calls import python_calls
from small_run import measure_run

from uqdm.bench.analysis import bootstrap
from uqdm.bench.analysis.bd_table import bd_table, make_bd_table, write_bd_table
from uqdm.bench.analysis.bjontegaard import (
    LARGE_SPREAD_PERCENT,
    Points,
    bd_qualities,
    bd_quality,
    bd_rate,
    bd_rates,
)
from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import open_dataset
from uqdm.bench.metrics import SetMetric, all_metrics
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.rows_reader import read_rows
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.schema import BD

pytestmark = pytest.mark.slow

QUALITIES = (10, 30, 50, 70, 90)
CODECS = ("jpeg", "webp")


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    codecs = [f"{name}:quality={quality}" for name in ("jpeg", "webp") for quality in QUALITIES]
    run = measure_run(tmp_path_factory.mktemp("bd") / "run", open_dataset("demo", limit=12), *codecs, "png")
    summarize_run(run)
    return run


def rows_of(run_dir: Path) -> pd.DataFrame:
    names = ["dataset", "image_index", "image_id", "status", "codec", "setting", "point", "reconstruction", "bpp"]
    return read_rows(run_dir, [*names, *(metric.name for metric in all_metrics())])


def line(table: pd.DataFrame, **wanted: str) -> dict[str, Any]:
    (only,) = table[(table[list(wanted)] == pd.Series(wanted)).all(axis=1)].to_dict("records")
    return {str(name): value for name, value in only.items()}


def test_figures_are_those_of_the_summary_and_the_rows(run_dir: Path) -> None:
    """Deltas from the summary's means; intervals by drawing images and taking means in a loop."""
    found = line(make_bd_table(run_dir), metric="psnr_db", curve="webp")
    summary = read_summary(run_dir)
    jpeg, webp = (summary[summary.codec == name].sort_values("bpp") for name in ("jpeg", "webp"))
    pair = [Points(one.bpp.to_numpy(), one.psnr_db.to_numpy()) for one in (jpeg, webp)]
    # Sums over the same twelve images in another order.
    assert found["bd_rate_percent"] == pytest.approx(bd_rate(*pair).value, rel=1e-12)
    assert found["bd_quality"] == pytest.approx(bd_quality(*pair).value, rel=1e-12)
    ends = [bd_rate(*pair).low, bd_rate(*pair).high]
    assert [found["overlap_low"], found["overlap_high"]] == pytest.approx(ends, rel=1e-12)
    assert (found["n"], found["points"], found["anchor_points"], found["reason"]) == (12, 5, 5, None)
    rows = rows_of(run_dir).set_index("image_index")
    drawn = [np.repeat(np.arange(12), one) for counts in bootstrap.resample_counts(12, 200, 0) for one in counts]
    deltas = []
    for images in drawn:
        means = rows.loc[images].groupby(["codec", "setting"])[["bpp", "psnr_db"]].mean()
        curves = [means.loc[name].sort_values("bpp").to_numpy().T for name in ("jpeg", "webp")]
        deltas.append(bd_rate(*(Points(*curve) for curve in curves)).value)
    low, high = np.quantile(deltas, [0.025, 0.975])
    # 200 against 2,000 resamples: the ends of the interval have a deviation of some tenth of its width.
    width = high - low
    assert found["bd_rate_low"] == pytest.approx(low, abs=0.4 * width)
    assert found["bd_rate_high"] == pytest.approx(high, abs=0.4 * width)
    assert found["bd_rate_low"] < found["bd_rate_percent"] < found["bd_rate_high"]


def test_the_file_has_the_columns_and_every_metric_with_data(run_dir: Path, tmp_path: Path) -> None:
    table = make_bd_table(run_dir)
    write_bd_table(table, tmp_path / "bd.csv")
    written = pd.read_csv(tmp_path / "bd.csv")
    assert list(written.columns) == BD.names
    assert set(written.metric) >= {"mse", "psnr_db"}
    assert set(written.curve) == {"webp"}  # the anchor is not held against itself, png has no curve
    assert written.bd_rate_percent.tolist() == table.bd_rate_percent.tolist()
    assert set(written.method) == {"pchip, log10 rate"}


def test_an_anchor_is_a_codec_or_the_label_of_a_curve(run_dir: Path) -> None:
    table = make_bd_table(run_dir, "webp")
    assert set(table.anchor) == {"webp"}
    there = line(table, metric="psnr_db", curve="jpeg")["bd_rate_percent"]
    back = line(make_bd_table(run_dir), metric="psnr_db", curve="webp")["bd_rate_percent"]
    assert (1 + there / 100) * (1 + back / 100) == pytest.approx(1, rel=1e-12)


def test_without_the_usual_anchor_the_first_curve_of_enough_points_is_it(run_dir: Path) -> None:
    summary, rows = read_summary(run_dir), rows_of(run_dir)
    more = summary[summary.codec == "webp"].assign(codec="zebra")
    few = more.iloc[:2].assign(codec="ant")
    others = pd.concat([summary[summary.codec != "jpeg"], more, few])
    copies = [rows[rows.codec == "webp"].assign(codec=name) for name in ("zebra", "ant")]
    table = bd_table(others, pd.concat([rows, *copies]))
    assert set(table.anchor) == {"webp"}
    assert line(table, metric="psnr_db", curve="zebra")["bd_rate_percent"] == 0
    reason = line(table, metric="psnr_db", curve="ant")["reason"]
    assert reason == "ant has 2 points of finite quality, and 4 are needed"


def test_an_unknown_anchor_gets_suggestions(run_dir: Path) -> None:
    with pytest.raises(ResultsError, match=r"no anchor 'jpg' in this run \(did you mean jpeg.*it has: jpeg, png, webp"):
        make_bd_table(run_dir, "jpg")


def test_an_anchor_without_a_curve_gives_reasons(run_dir: Path) -> None:
    table = make_bd_table(run_dir, "png")
    assert table.bd_rate_percent.isna().all()
    assert table.reason.str.startswith("png has no curve in this run").all()


# ---- made-up rows --------------------------------------------------------------------------------------------


def make(curves: dict[str, tuple[np.ndarray, np.ndarray]], **columns: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Summary and rows of codecs, each given by bpp and PSNR [images, points]."""
    rows = []
    for codec, (bpp, psnr_db) in curves.items():
        for image, point in np.ndindex(*bpp.shape):
            rows.append((codec, f"q={point}", image, bpp[image, point], psnr_db[image, point]))
    frame = pd.DataFrame(rows, columns=["codec", "setting", "image_index", "bpp", "psnr_db"])
    frame = frame.assign(dataset="d", fingerprint="5-a", point="full", reconstruction="decoded", status="ok")
    frame["image_id"] = frame.image_index.map("image {}".format)
    frame["mse"] = 255**2 / 10 ** (frame.psnr_db / 10)
    kept = frame[np.isfinite(frame.bpp)]
    by = ["dataset", "fingerprint", "codec", "setting", "point", "reconstruction", "status"]
    finite = kept.assign(psnr_db=kept.psnr_db.where(np.isfinite(kept.psnr_db)))
    summary = finite.groupby(by)[["bpp", "psnr_db", "mse"]].mean()
    summary["n"] = kept.groupby(by).size()
    summary["exact"] = kept[np.isinf(kept.psnr_db)].groupby(by).size().reindex(summary.index, fill_value=0)
    return summary.reset_index().assign(point_index=0, **columns), kept


BPP = np.array([0.5, 1.0, 2.0, 4.0, 7.0])
PSNR_DB = np.array([28.0, 31.0, 35.5, 40.0, 46.0])


def images_of(
    generator: np.random.Generator, n: int, scale: float = 1.0, busy: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Rates and PSNR [n, 5] of images, some of which are harder than others at every point."""
    busy = generator.normal(size=(n, 1)) if busy is None else busy
    bpp = scale * BPP * np.exp(0.3 * busy + 0.05 * generator.normal(size=(n, 5)))
    return bpp, PSNR_DB - busy + 0.3 * generator.normal(size=(n, 5))


def test_the_interval_covers_the_delta_of_all_images() -> None:
    """Both curves of fresh images, 200 times; the truth is that of the expectations.

    A 95 % interval over 60 images covers in some 94 % of trials; of 200 that has a deviation of 1.7 %.
    """
    generator = np.random.default_rng(7)
    everything = np.exp((0.3**2 + 0.05**2) / 2) * BPP, PSNR_DB
    truth = bd_rate(Points(*everything), Points(0.9 * everything[0], PSNR_DB + 0.2))
    covered = 0
    for _ in range(200):
        busy = generator.normal(size=(60, 1))  # the same images for both codecs
        anchor, (bpp, psnr_db) = images_of(generator, 60, busy=busy), images_of(generator, 60, 0.9, busy)
        columns = np.concatenate([*anchor, bpp, psnr_db + 0.2], axis=1)
        means = np.split(bootstrap.resampled_means(columns, n_resamples=300), 4, axis=1)
        (low,), (high,) = bootstrap.quantiles(bd_rates(*means, direction="higher")[:, None])
        covered += low <= truth.value <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_shared_images_make_the_interval_of_a_difference_narrow() -> None:
    """Images differ by tens of percent, and both codecs alike: drawn jointly, that cancels."""
    generator = np.random.default_rng(1)
    busy = generator.normal(size=(100, 1))
    codecs = {name: images_of(generator, 100, scale, busy) for name, scale in (("jpeg", 1.0), ("webp", 0.9))}
    found = line(bd_table(*make(codecs)), metric="psnr_db", curve="webp")
    assert found["bd_rate_high"] - found["bd_rate_low"] < 5
    assert found["bd_rate_low"] < -10 < found["bd_rate_high"]


def test_images_that_one_codec_failed_on_are_left_out_of_both() -> None:
    generator = np.random.default_rng(2)
    codecs = {name: images_of(generator, 20) for name in ("jpeg", "webp", "avif")}
    codecs["webp"][0][3:5, 2] = np.nan
    table = bd_table(*make(codecs))
    assert line(table, metric="psnr_db", curve="webp")["n"] == 18
    assert line(table, metric="psnr_db", curve="avif")["n"] == 20
    kept = [index for index in range(20) if index not in (3, 4)]
    pair = [Points(*(values[kept].mean(axis=0) for values in codecs[name])) for name in ("jpeg", "webp")]
    expected = bd_rate(*pair).value
    assert line(table, metric="psnr_db", curve="webp")["bd_rate_percent"] == pytest.approx(expected, rel=1e-12)


def test_images_that_a_metric_has_no_value_for_are_left_out_of_both() -> None:
    generator = np.random.default_rng(2)
    codecs = {name: images_of(generator, 20) for name in ("jpeg", "webp")}
    summary, rows = make(codecs)
    rows.loc[(rows.image_index == 7) & (rows.setting == "q=3"), "psnr_db"] = np.nan
    found = line(bd_table(summary, rows), metric="psnr_db", curve="webp")
    kept = np.arange(20) != 7
    pair = [Points(*(values[kept].mean(axis=0) for values in codecs[name])) for name in ("jpeg", "webp")]
    assert found["n"] == 19
    assert found["bd_rate_percent"] == pytest.approx(bd_rate(*pair).value, rel=1e-12)


def test_exact_images_are_left_out_of_psnr_as_in_the_summary() -> None:
    generator = np.random.default_rng(3)
    codecs = {name: images_of(generator, 20) for name in ("jpeg", "webp")}
    codecs["webp"][1][:5, 4] = np.inf
    summary, rows = make(codecs)
    found = line(bd_table(summary, rows), metric="psnr_db", curve="webp")
    means = [summary[summary.codec == name].sort_values("bpp") for name in ("jpeg", "webp")]
    expected = bd_rate(*(Points(one.bpp.to_numpy(), one.psnr_db.to_numpy()) for one in means)).value
    assert found["bd_rate_percent"] == pytest.approx(expected, rel=1e-12)
    assert np.isfinite(found["bd_rate_low"])


def test_one_image_has_deltas_without_intervals() -> None:
    generator = np.random.default_rng(4)
    found = line(bd_table(*make({name: images_of(generator, 1) for name in ("jpeg", "webp")})), metric="psnr_db")
    assert np.isfinite(found["bd_rate_percent"])
    assert all(math.isnan(found[name]) for name in ("bd_rate_low", "bd_rate_high", "bd_quality_low"))
    assert found["reason"] is None


def test_resamples_that_are_not_monotonic_are_reported() -> None:
    """The means rise by a hair between two points; in many resamples they fall."""
    generator = np.random.default_rng(5)
    codecs = {name: images_of(generator, 20) for name in ("jpeg", "webp")}
    psnr_db = codecs["webp"][1]
    psnr_db[:, 2] += psnr_db[:, 1].mean() + 0.01 - psnr_db[:, 2].mean()
    found = line(bd_table(*make(codecs)), metric="psnr_db", curve="webp")
    assert np.isfinite(found["bd_rate_percent"])
    assert math.isnan(found["bd_rate_low"])
    assert found["reason"].startswith("interval of BD-rate: ")
    assert found["reason"].endswith(f"% of the resamples have none, {100 * bootstrap.MAX_UNDEFINED:g} % may")
    assert np.isfinite(found["bd_quality_low"])


def test_reasons_name_the_delta_that_they_concern() -> None:
    generator = np.random.default_rng(6)
    bpp, psnr_db = images_of(generator, 20)
    table = bd_table(*make({"jpeg": (bpp, psnr_db), "webp": (100 * bpp, psnr_db), "avif": (100 * bpp, psnr_db + 100)}))
    assert line(table, metric="psnr_db", curve="webp")["reason"] == "BD-quality: the curves do not overlap"
    assert line(table, metric="psnr_db", curve="webp")["bd_rate_percent"] == pytest.approx(9900, rel=1e-12)
    assert line(table, metric="psnr_db", curve="avif")["reason"] == "the curves do not overlap"


@pytest.fixture
def frechet(monkeypatch: pytest.MonkeyPatch) -> str:
    """A metric of sets, as FID is."""
    from uqdm.bench.analysis import bd_table as module

    metric = SetMetric(
        name="toy_fid",
        label="toy FID",
        unit="",
        direction="lower",
        value_range=(0, math.inf),
        source="none",
        comment="a test's",
        columns={"toy_sd": "its deviation"},
        spread="toy_sd",
        compute=lambda originals, pictures: {"toy_fid": 0.0, "toy_sd": 0.0},
    )
    monkeypatch.setattr(module, "declared", lambda: (metric,))
    return metric.name


def test_a_metric_of_sets_has_deltas_without_intervals(frechet: str) -> None:
    generator = np.random.default_rng(7)
    summary, rows = make({name: images_of(generator, 20) for name in ("jpeg", "webp")})
    summary[frechet] = 300 / summary.bpp
    found = line(bd_table(summary, rows), metric=frechet, curve="webp")
    jpeg, webp = (summary[summary.codec == name] for name in ("jpeg", "webp"))
    pair = [Points(one.bpp.to_numpy(), one[frechet].to_numpy()) for one in (jpeg, webp)]
    assert found["bd_rate_percent"] == bd_rate(*pair, "lower").value
    assert found["bd_quality"] == bd_quality(*pair).value
    assert all(math.isnan(found[name]) for name in ("bd_rate_low", "bd_rate_high", "bd_quality_low", "bd_quality_high"))
    assert (found["n"], found["direction"], found["reason"]) == (20, "lower", None)


def test_a_point_without_bits_of_the_image_is_no_point_of_a_delta() -> None:
    """A progressive file's step 0 has a rate, its header, and a picture that is the same for every image."""
    generator = np.random.default_rng(10)
    codecs = {name: images_of(generator, 20) for name in ("jpeg", "webp", "avif")}
    summary, rows = make(codecs)
    ideal = summary.bpp.where((summary.setting != "q=0") | (summary.codec == "avif"), 0.0)
    table = bd_table(summary.assign(ideal_bpp=ideal), rows)
    found = line(table, metric="psnr_db", curve="webp")
    pair = [Points(*(values[:, 1:].mean(axis=0) for values in codecs[name])) for name in ("jpeg", "webp")]
    assert (found["points"], found["anchor_points"]) == (4, 4)
    assert found["bd_rate_percent"] == pytest.approx(bd_rate(*pair).value, rel=1e-12)
    assert found["overlap_low"] == pytest.approx(max(one.quality[0] for one in pair), rel=1e-12)
    assert line(table, metric="psnr_db", curve="avif")["points"] == 5
    few = summary.assign(ideal_bpp=ideal)[(summary.codec != "webp") | (summary.setting != "q=2")]
    found = line(bd_table(few, rows), metric="psnr_db", curve="webp")
    assert math.isnan(found["bd_rate_percent"])
    reason = "webp has 3 points of finite quality (1 point without bits of the image left out), and 4 are needed"
    assert found["reason"] == reason


def test_a_figure_that_depends_on_the_interpolation_has_its_spread_and_a_note() -> None:
    generator = np.random.default_rng(11)
    sparse, dense = (images_of(generator, 20, 0.9) for _ in range(2))
    sparse[1][:] = np.sort(sparse[1].mean(axis=0) + np.array([0.0, 5.0, 5.0, 1.0, 0.0]))
    summary, rows = make({"jpeg": images_of(generator, 20), "webp": sparse, "avif": dense})
    table = bd_table(summary, rows)
    bent, straight = (line(table, metric="psnr_db", curve=name) for name in ("webp", "avif"))
    for found in (bent, straight):
        for figure in ("bd_rate", "bd_quality"):
            value = found["bd_rate_percent" if figure == "bd_rate" else figure]
            assert found[f"{figure}_spread_low"] <= value <= found[f"{figure}_spread_high"]
    assert pd.isna(straight["note"])
    width = bent["bd_rate_spread_high"] - bent["bd_rate_spread_low"]
    assert width > LARGE_SPREAD_PERCENT > straight["bd_rate_spread_high"] - straight["bd_rate_spread_low"]
    ends = f"{bent['bd_rate_spread_low']:+.1f} to {bent['bd_rate_spread_high']:+.1f} %"
    assert bent["note"].startswith(f"depends on the interpolation: BD-rate {ends}, BD-quality ")


def with_reference(summary: pd.DataFrame, **columns: float) -> pd.DataFrame:
    """A summary with the row that compares one half of the originals with the other."""
    row = {"dataset": "d", "fingerprint": "5-a", "codec": "originals", "setting": "halves", "status": "reference"}
    return pd.concat([summary, pd.DataFrame([{**row, "n": 10, "exact": 0, **columns}])], ignore_index=True)


def test_deltas_of_a_metric_of_sets_stop_at_its_noise_floor(frechet: str) -> None:
    """Two deviations above the value of real pictures; what is left has the delta of the other points alone."""
    generator = np.random.default_rng(12)
    summary, rows = make({name: images_of(generator, 20, scale) for name, scale in (("jpeg", 1.0), ("webp", 0.9))})
    summary[frechet] = (300 / summary.bpp).where(summary.setting != "q=4", -1.0)
    noisy = with_reference(summary, **{frechet: -3.0, "toy_sd": 4.0})
    found = line(bd_table(noisy, rows), metric=frechet, curve="webp")
    kept = summary[summary.setting != "q=4"]
    pair = [Points(*(kept[kept.codec == name][column].to_numpy() for column in ("bpp", frechet))) for name in CODECS]
    assert (found["noise_floor"], found["points"], found["anchor_points"]) == (5, 4, 4)
    assert found["bd_rate_percent"] == bd_rate(*pair, "lower").value
    assert found["overlap_low"] == bd_rate(*pair, "lower").low > 5
    assert math.isnan(line(bd_table(summary, rows), metric=frechet, curve="webp")["noise_floor"])
    high = with_reference(summary, **{frechet: 100.0, "toy_sd": math.nan})
    found = line(bd_table(high, rows), metric=frechet, curve="webp")
    assert found["noise_floor"] == 100
    above = int((summary[summary.codec == "jpeg"][frechet] > 100).sum())
    left_out = f"{5 - above} points within the noise floor of 100 left out"
    assert found["reason"] == f"jpeg has {above} points of finite quality ({left_out}), and 4 are needed"


def test_points_that_a_metric_was_not_computed_for_are_left_out(frechet: str) -> None:
    generator = np.random.default_rng(8)
    summary, rows = make({name: images_of(generator, 20) for name in ("jpeg", "webp")})
    summary[frechet] = (300 / summary.bpp).where(summary.setting != "q=1")
    found = line(bd_table(summary, rows), metric=frechet, curve="webp")
    assert (found["points"], found["anchor_points"], found["reason"]) == (4, 4, None)
    summary[frechet] = summary[frechet].where((summary.codec == "jpeg") | (summary.setting != "q=2"))
    found = line(bd_table(summary, rows), metric=frechet, curve="webp")
    assert found["reason"] == "webp has 3 points of finite quality, and 4 are needed"


def test_sets_of_different_size_are_not_compared(frechet: str) -> None:
    generator = np.random.default_rng(9)
    summary, rows = make({name: images_of(generator, 20) for name in ("jpeg", "webp")})
    summary[frechet] = 300 / summary.bpp
    summary.loc[summary.codec == "webp", "n"] = 19
    found = line(bd_table(summary, rows), metric=frechet, curve="webp")
    assert found["reason"] == "toy FID of 19 and 20 images: such figures are not comparable"


def test_metrics_of_patches_are_compared_at_equal_numbers_of_patches() -> None:
    generator = np.random.default_rng(9)
    summary, rows = make({name: images_of(generator, 20) for name in ("jpeg", "webp")})
    summary["patch_fid"], summary["patch_fid_n"] = 300 / summary.bpp, 64.0
    assert line(bd_table(summary, rows), metric="patch_fid", curve="webp")["n"] == 64
    summary.loc[summary.codec == "webp", "patch_fid_n"] = 32.0
    found = line(bd_table(summary, rows), metric="patch_fid", curve="webp")
    assert found["reason"] == "Patch FID of 32 and 64 patches: such figures are not comparable"


def test_metrics_without_data_have_no_rows(frechet: str) -> None:
    summary, rows = make({name: images_of(np.random.default_rng(0), 5) for name in ("jpeg", "webp")})
    assert bd_table(summary, rows).empty
    assert bd_table(summary.assign(**{frechet: np.nan}), rows).empty


def test_work_does_not_grow_with_the_number_of_images() -> None:
    """Two metrics of 6 curves: 100 times the images take no more calls of Python functions."""
    few, many = (curves_of_images(count) for count in (10, 1000))
    assert python_calls(lambda: bd_table(*many, "codec 0")) < 1.1 * python_calls(lambda: bd_table(*few, "codec 0"))
    table = bd_table(*many, "codec 0")
    assert len(table) == 2 * 5
    assert table.bd_rate_low.notna().all()


def curves_of_images(count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    generator = np.random.default_rng(0)
    return make({f"codec {index}": images_of(generator, count) for index in range(6)})


def test_qualities_of_resamples_follow_the_same_convention() -> None:
    bpp, psnr_db = (np.tile(values, (3, 1)) for values in (BPP, PSNR_DB))
    assert bd_qualities(bpp, psnr_db, bpp, psnr_db + 1).tolist() == pytest.approx([1, 1, 1], rel=1e-12)

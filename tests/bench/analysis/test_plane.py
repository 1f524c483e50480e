"""Guards the plane of a run: ratio 1 for exact samples, verdicts that can fail, gains, lines and equal rates."""

from __future__ import annotations

import functools
import json
import math
import operator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from gaussian_source import UNCLIPPED, GaussianSource

from uqdm.bench.analysis.plane import (
    CANNOT_TELL,
    EXACT,
    FAILS,
    FEW,
    HOLDS,
    NOTHING_DRAWN,
    OUTSIDE,
    errors_at,
    plane_table,
    write_plane,
)
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.schema import PLANE
from uqdm.diffusion import gaussian
from uqdm.model.schedule import Schedule

SOURCE = GaussianSource([0.8] * 64)
"""Each sample of it is an image of 64 values."""
STEPS = Schedule(slope=18.3, gamma_max=6.0, n_steps=200).steps()[110:]
RATIO = math.exp(-STEPS[0].gamma_t)
GAIN = 2 * SOURCE.mmse(RATIO) / SOURCE.linear_error(STEPS[0], SOURCE.flow_weights(STEPS))
"""Of the flow over samples, with all its steps; 10 log10 of it in dB."""


def pictures(n: int, seed: int = 0) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Images of the source, and the pictures that a point of Gaussian diffusion shows of them."""
    x = SOURCE.draw(n, seed)
    z_t = SOURCE.latent(x, STEPS[0], seed + 1)
    opened = SOURCE.begin(z_t, STEPS[0])
    noise = gaussian.normal_noise(torch.Generator().manual_seed(seed + 2))
    drawn = gaussian.ancestral(z_t, STEPS, SOURCE, noise, first=opened, levels=UNCLIPPED)
    flown = gaussian.flow(SOURCE, z_t, opened, STEPS)
    return x, {"denoise": opened.x_hat, "ancestral": drawn, "flow": flown}


def rows_of(x: torch.Tensor, shown: dict[str, torch.Tensor], **columns: Any) -> pd.DataFrame:
    """Rows of one point, with the squared error of each image."""
    errors = {name: (picture - x).square().flatten(1).mean(1).tolist() for name, picture in shown.items()}
    return rows_with(errors, **columns)


def rows_with(errors: dict[str, list[float]], **columns: Any) -> pd.DataFrame:
    frame = pd.DataFrame(
        [(name, image, mse) for name, found in errors.items() for image, mse in enumerate(found)],
        columns=["reconstruction", "image_index", "mse"],
    )
    fixed: dict[str, Any] = {"dataset": "source", "fingerprint": "n-0", "codec": "vdm", "setting": "", "point": "step"}
    fixed |= {"point_index": 0, "status": "ok", "bpp": 1.0, "rate_kind": "file", "height": 8, "width": 8}
    return frame.assign(image_id=frame.image_index.map("image {}".format), ideal_bits=np.nan, **{**fixed, **columns})


def row(table: pd.DataFrame, reconstruction: str, **wanted: Any) -> dict[str, Any]:
    """The only row of a picture as it is written, with None for nulls."""
    names = {"reconstruction": reconstruction, **wanted}
    (only,) = (
        pa.Table.from_pandas(table, PLANE, preserve_index=False)
        .filter(functools.reduce(operator.and_, [pc.field(name) == value for name, value in names.items()]))
        .to_pylist()
    )
    found: dict[str, Any] = only
    return found


# ---- the same bits -----------------------------------------------------------------------------------------------


def test_exact_samples_have_ratio_1_and_the_flow_its_gain() -> None:
    table = plane_table(rows_of(*pictures(200)))
    drawn, flown = row(table, "ancestral"), row(table, "flow")
    assert drawn["ratio_low"] < 1 < drawn["ratio_high"]
    assert drawn["verdict"] == CANNOT_TELL  # equality: no interval can say that it is not exceeded
    assert drawn["ratio_high"] - drawn["ratio_low"] < 0.05  # 200 images of 64 values
    assert drawn["gain_db"] is None
    assert flown["ratio_low"] < 1 / GAIN < flown["ratio_high"] < 1
    assert (flown["verdict"], flown["gain_over"], flown["n"]) == (HOLDS, "ancestral", 200)
    assert flown["gain_db_low"] < 10 * math.log10(GAIN) < flown["gain_db_high"]
    assert (flown["below"], flown["above"]) == (200, 0)
    assert flown["wilcoxon_p"] < 1e-30 < drawn["wilcoxon_p"]


def test_figures_are_ratios_of_means() -> None:
    x, shown = pictures(30)
    table = plane_table(rows_of(x, shown, bpp=1.25))
    errors = {name: float((picture - x).square().mean()) for name, picture in shown.items()}
    drawn, flown = row(table, "ancestral"), row(table, "flow")
    assert drawn["mse_mmse"] == pytest.approx(errors["denoise"], rel=1e-12)
    assert drawn["ratio"] == pytest.approx(errors["ancestral"] / errors["denoise"] / 2, rel=1e-12)
    assert flown["gain_db"] == pytest.approx(10 * math.log10(errors["ancestral"] / errors["flow"]), rel=1e-12)
    assert (drawn["rate_bpp"], drawn["mmse"], drawn["basis"]) == (1.25, "denoise", "stream")


@pytest.mark.parametrize(("spread", "verdict"), [(1.2, FAILS), (0.8, HOLDS)])
def test_samples_of_a_wrong_variance_are_found(spread: float, verdict: str) -> None:
    """Of spread c around the estimate: (1 + c^2) / 2."""
    x, shown = pictures(200)
    shown["ancestral"] = torch.lerp(shown["denoise"], shown["ancestral"], spread)
    found = row(plane_table(rows_of(x, shown)), "ancestral")
    assert found["verdict"] == verdict
    assert found["ratio_low"] < (1 + spread**2) / 2 < found["ratio_high"]


def test_a_poor_estimate_hides_a_failure_and_its_line_shows_that() -> None:
    """The error of an estimate that is no conditional mean is no bound; mixtures with a sample are then better."""
    x, shown = pictures(200)
    for share, is_mean in ((1.0, True), (0.9, False)):
        ends = share * shown["denoise"], shown["ancestral"]
        mixed = {f"lambda {lam:g}": torch.lerp(*ends, lam) for lam in (0, 0.25, 0.5, 1)}
        table = plane_table(rows_of(x, mixed))
        assert row(table, "lambda 1")["verdict"] == (CANNOT_TELL if is_mean else HOLDS)
        for lam in (0.25, 0.5):
            found = row(table, f"lambda {lam:g}")
            assert (found["line_ratio_low"] < 1 < found["line_ratio_high"]) == is_mean
            assert (found["lam"], found["verdict"]) == (lam, None)
        assert row(table, "lambda 1")["line_ratio"] is None


def test_the_interval_contains_1_as_often_as_it_says() -> None:
    """100 points of 60 images; 95 % intervals of a ratio cover in some 94 %, which has a deviation of 2.4 % here."""
    generator = np.random.default_rng(3)
    points = []
    for index in range(100):
        scale = np.exp(0.7 * generator.normal(size=(60, 1)))  # images differ in difficulty
        least, added = ((scale * generator.normal(size=(60, 12)) ** 2).mean(1) for _ in range(2))
        errors = {"denoise": list(least), "ancestral": list(least + added)}
        points.append(rows_with(errors, point=f"step {index}", point_index=index))
    table = plane_table(pd.concat(points, ignore_index=True))
    assert len(table) == 100
    assert 86 <= ((table.ratio_low <= 1) & (table.ratio_high >= 1)).sum() < 100


def test_images_that_lack_a_picture_are_left_out_of_both() -> None:
    rows = rows_of(*pictures(30))
    failed = rows[(rows.reconstruction != "flow") | (rows.image_index != 4)]
    found = row(plane_table(failed), "ancestral")
    assert found["n"] == 29
    assert found["ratio"] == row(plane_table(rows[rows.image_index != 4]), "ancestral")["ratio"]


def test_points_with_nothing_to_tell_have_reasons() -> None:
    one = row(plane_table(rows_of(*pictures(1))), "ancestral")
    assert (one["verdict"], one["reason"]) == (CANNOT_TELL, FEW)
    exact = row(plane_table(rows_with({"denoise": [0.0, 0.0], "flow": [0.0, 0.0]})), "flow")
    assert (exact["verdict"], exact["reason"]) == (None, EXACT)
    equal = row(plane_table(rows_with({"denoise": [1.0, 2.0], "flow": [1.0, 2.0]})), "flow")
    assert (equal["verdict"], equal["reason"], equal["ratio"]) == (None, NOTHING_DRAWN, 0.5)


def test_names_of_reconstructions_are_the_users() -> None:
    rows = rows_with({"mean": [1.0, 3.0], "sample": [2.0, 6.0], "sharp": [1.0, 2.0]})
    assert plane_table(rows).reconstruction.tolist() == ["sample"]
    found = plane_table(rows, ["mean"], ["sample", "sharp"])
    assert row(found, "sharp")["gain_over"] == "sample"
    with pytest.raises(ResultsError, match=r"no reconstruction 'sampel' .*did you mean sample"):
        plane_table(rows, realistic=["sampel"])
    with pytest.raises(ResultsError, match=r"no point has both .* the run has: decoded; name those"):
        plane_table(rows_with({"decoded": [1.0, 2.0]}))


# ---- the same rate -----------------------------------------------------------------------------------------------


RATES = (0.5, 1.0, 2.0, 4.0)


def two_codecs(factor: float, rates: tuple[float, ...] = (0.6, 1.0, 3.0)) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A codec of squared error hardness / rate^2, and another whose samples have ``factor`` times twice that."""
    hardness = np.exp(np.random.default_rng(2).normal(size=40))
    anchor = [
        rows_with({"decoded": list(hardness / bpp**2)}, codec="jpeg", setting=f"quality={bpp}", point="full", bpp=bpp)
        for bpp in RATES
    ]
    others = [
        rows_with(
            {"denoise": list(1.5 * hardness / bpp**2), "ancestral": list(2 * factor * hardness / bpp**2)},
            setting=f"steps={index}",
            bpp=bpp,
        )
        for index, bpp in enumerate(rates)
    ]
    rows = pd.concat([*anchor, *others], ignore_index=True)
    by = ["dataset", "fingerprint", "codec", "setting", "point", "point_index", "reconstruction", "status"]
    summary = rows.groupby([*by, "rate_kind"])[["bpp", "mse"]].mean().reset_index()
    summary = summary.assign(psnr_db=10 * np.log10(255**2 / summary.mse), ideal_bpp=np.nan, n=40, exact=0)
    return rows, summary


@pytest.mark.parametrize(("factor", "verdict"), [(0.99, HOLDS), (1.01, FAILS)])
def test_another_codecs_curve_is_read_at_the_same_rate(factor: float, verdict: str) -> None:
    rows, summary = two_codecs(factor)
    table = plane_table(rows, against="jpeg", summary=summary)
    for setting, gap in (("steps=0", 2.0), ("steps=1", 1.0), ("steps=2", 2.0)):
        found = row(table, "ancestral", basis="rate", setting=setting)
        # Errors are a power of the rate: interpolation in logarithms is exact, and every image has the same ratio.
        figures = [found[name] for name in ("ratio", "ratio_low", "ratio_high")]
        assert figures == pytest.approx([factor] * 3, rel=1e-9)
        assert (found["verdict"], found["mmse"], found["rate_gap"]) == (verdict, "jpeg", pytest.approx(gap))
        assert row(table, "ancestral", basis="stream", setting=setting)["ratio"] == pytest.approx(2 * factor / 3)


def test_rates_outside_of_the_curve_have_no_ratio() -> None:
    rows, summary = two_codecs(1.0, rates=(0.4, 5.0))
    table = plane_table(rows, against="jpeg", summary=summary)
    for setting in ("steps=0", "steps=1"):
        found = row(table, "ancestral", basis="rate", setting=setting)
        assert (found["ratio"], found["verdict"], found["reason"]) == (None, None, OUTSIDE)


def test_a_curve_of_realistic_pictures_is_no_bound() -> None:
    rows, summary = two_codecs(1.0)
    with pytest.raises(ResultsError, match=r"no anchor 'jpgg' in this run \(did you mean jpeg"):
        plane_table(rows, against="jpgg", summary=summary)
    drawn = summary[(summary.codec != "vdm") | (summary.reconstruction != "denoise")]
    with pytest.raises(ResultsError, match=r"vdm has no curve of faithful pictures in this run; .*: jpeg"):
        plane_table(rows, against="vdm", summary=drawn)


def test_a_rate_that_moves_with_the_images_stays_within_the_curve() -> None:
    rates = np.array([1.0, 2.0, 3.9, 4.1])
    curve = np.tile([[4.0, 1.0, 2.0]], (4, 1))  # in any order
    errors = np.tile([[1.0, 16.0, 4.0]], (4, 1))
    found, gap = errors_at(rates, curve, errors)
    assert found[:3] == pytest.approx(16 / rates[:3] ** 2, rel=1e-12)
    assert np.isnan(found[3])
    assert gap == 1.0


# ---- files -------------------------------------------------------------------------------------------------------


def test_the_table_is_written_as_csv_and_json(tmp_path: Path) -> None:
    table = plane_table(rows_of(*pictures(5)))
    for name in ("plane.csv", "plane.json"):
        write_plane(table, tmp_path / name)
    written = pd.read_csv(tmp_path / "plane.csv")
    assert list(written.columns) == PLANE.names
    assert written.ratio.tolist() == table.ratio.tolist()
    listed = json.loads((tmp_path / "plane.json").read_text())
    assert [line["ratio"] for line in listed] == table.ratio.tolist()
    assert listed[0]["gain_db"] is None

"""Guards which points are joined to a curve, what it is called, and the rates that are read off it."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from uqdm.bench.analysis.curves import curves, lossless
from uqdm.bench.run.setting_families import families


def summary(*rows: dict[str, Any]) -> pd.DataFrame:
    base = {"codec": "c", "setting": "", "point": "full", "point_index": 0, "reconstruction": "decoded"}
    base |= {"fingerprint": "4-a", "n": 4, "exact": 0, "bpp": 1.0, "psnr_db": 30.0, "status": "ok"}
    return pd.DataFrame([{**base, **row} for row in rows])


def test_settings_of_one_swept_parameter_are_one_curve_in_order_of_rate() -> None:
    (curve,) = curves(summary(*({"setting": f"q={q}", "bpp": q / 10} for q in (90, 10, 50))))
    assert (curve.label, list(curve.points.bpp)) == ("c", [1.0, 5.0, 9.0])


def test_another_parameter_makes_another_curve_named_after_it() -> None:
    rows = [{"setting": f"layers=20,10,{q},mct={mct}", "bpp": float(q + mct)} for q in (5, 3, 1) for mct in (0, 1)]
    assert sorted(curve.label for curve in curves(summary(*rows))) == ["c mct=0", "c mct=1"]
    assert [len(curve.points) for curve in curves(summary(*rows))] == [3, 3]


def test_a_lossless_switch_makes_no_other_curve() -> None:
    rows = [{"setting": f"q={q},lossless=false", "bpp": float(q)} for q in (1, 2)]
    rows += [{"setting": "q=1,lossless=true", "bpp": 9.0, "exact": 4, "psnr_db": math.inf}]
    (curve,) = curves(summary(*rows))
    assert (curve.label, list(curve.points.bpp)) == ("c", [1.0, 2.0])
    assert list(lossless(summary(*rows)).bpp) == [9.0]


def test_a_sweep_that_switches_is_one_curve_with_the_switch_in_its_title() -> None:
    settings = [f"q={q},chroma=4:{'2:0' if q < 85 else '4:4'},speed=4,fast=true,slow=false" for q in (90, 5, 80, 85)]
    rows = [{"setting": setting, "bpp": float(place)} for place, setting in enumerate(settings, 1)]
    (curve,) = curves(summary(*rows))
    assert curve.label == "c"
    assert curve.title == "c (chroma=4:2:0, 4:4:4 from q=85; speed=4; fast)"


@pytest.mark.parametrize(
    "settings",
    [
        ["q=10,chroma=a", "q=20,chroma=b", "q=30,chroma=a"],  # there and back again
        ["q=10,chroma=a", "q=10,chroma=b", "q=20,chroma=b"],  # both at one value
        ["q=x,chroma=a", "q=y,chroma=b", "q=z,chroma=b"],  # no order
    ],
)
def test_settings_without_a_single_switch_are_curves_of_their_own(settings: list[str]) -> None:
    rows = [{"setting": setting, "bpp": float(place)} for place, setting in enumerate(settings, 1)]
    assert sorted(curve.label for curve in curves(summary(*rows))) == ["c chroma=a", "c chroma=b"]


def test_a_title_has_the_parameters_that_the_label_lacks() -> None:
    command = "a command that is far too long to be read"
    rows = [{"setting": f"q={q},mct={mct},run={command},of=", "bpp": 1.0 + q} for q in (1, 2) for mct in (0, 1)]
    assert [curve.title for curve in curves(summary(*rows))] == ["c mct=0", "c mct=1"]


def test_points_of_a_stream_are_a_curve_for_each_reconstruction() -> None:
    rows = [
        {"point": f"step {step}", "point_index": step, "reconstruction": way, "bpp": 1.0 + step}
        for step in (0, 1)
        for way in ("denoise", "flow")
    ]
    rows += [{"point": "all", "point_index": 2, "reconstruction": "exact", "bpp": 9.0, "exact": 4, "psnr_db": math.inf}]
    assert sorted(curve.label for curve in curves(summary(*rows))) == ["c denoise", "c flow"]


def test_streams_of_several_settings_are_not_joined() -> None:
    rows = [
        {"setting": f"model={model}", "point": f"step {step}", "point_index": step, "bpp": 1.0 + step}
        for step in (0, 1)
        for model in ("small", "big")
    ]
    assert sorted(curve.label for curve in curves(summary(*rows))) == ["c big", "c small"]


def test_models_and_programs_are_never_points_of_one_curve() -> None:
    rows = [{"setting": f"encode={name} {{input}},quality=", "bpp": 1.0 + len(name)} for name in ("cjxl", "avifenc")]
    assert sorted(curve.label for curve in curves(summary(*rows))) == ["c avifenc", "c cjxl"]


def test_models_of_one_rate_each_are_one_curve_if_they_share_a_label() -> None:
    rows = [{"setting": f"model=/zoo/{q}.pth.tar,quality=0", "bpp": float(q)} for q in (3, 1, 2)]
    (curve,) = curves(summary(*({**row, "label": "zoo"} for row in rows)))
    assert (curve.title, list(curve.points.bpp)) == ("zoo (quality=0)", [1.0, 2.0, 3.0])
    assert len(curves(summary(*rows))) == 3


def test_a_label_names_the_curves_of_its_settings_and_joins_them_with_no_others() -> None:
    rows = [{"setting": f"q={q}", "bpp": float(q), "label": "ours" if q < 3 else None} for q in (1, 2, 3, 4)]
    found = {curve.label: list(curve.points.bpp) for curve in curves(summary(*rows))}
    assert found == {"ours": [1.0, 2.0], "c": [3.0, 4.0]}


def test_a_label_is_followed_by_the_kind_of_pictures_where_there_are_several() -> None:
    rows = [
        {"label": "ours", "point": f"step {step}", "point_index": step, "reconstruction": way, "bpp": 1.0 + step}
        for step in (0, 1)
        for way in ("denoise", "flow")
    ]
    assert sorted(curve.label for curve in curves(summary(*rows))) == ["ours denoise", "ours flow"]


def test_streams_and_other_settings_of_one_codec_are_named_apart() -> None:
    rows = [{"setting": "layers=2", "point": f"step {step}", "point_index": step, "bpp": 1.0 + step} for step in (0, 1)]
    rows += [{"setting": f"layers=1,q={q}", "bpp": float(q)} for q in (1, 2)]
    assert sorted(curve.label for curve in curves(summary(*rows))) == ["c", "c progressive"]


def test_lossless_rates_are_those_of_each_model() -> None:
    rows = [{"setting": f"model={name}", "bpp": rate, "exact": 4} for name, rate in (("big", 7.0), ("small", 8.0))]
    found = lossless(summary(*rows))
    assert dict(zip(found.name, found.rate_bpp, strict=True)) == {"c big": 7.0, "c small": 8.0}


def test_a_point_with_some_exact_images_stays_in_the_curve() -> None:
    (curve,) = curves(summary({"exact": 3}))
    assert len(curve.points) == 1


def test_failed_and_skipped_rows_are_in_no_curve() -> None:
    assert curves(summary({"status": "failed", "bpp": math.nan}, {"status": "skipped", "bpp": math.nan})) == []


def test_rates_between_points_are_linear_in_decibels_and_log_rate() -> None:
    (curve,) = curves(summary({"setting": "q=1"}, {"setting": "q=2", "bpp": 4.0, "psnr_db": 40.0}))
    assert curve.bpp_at(35) == pytest.approx(2.0, rel=1e-15)  # the geometric mean, half-way
    assert (curve.bpp_at(30), curve.bpp_at(40)) == (1.0, pytest.approx(4.0, rel=1e-15))
    assert curve.gap_db(35) == 10
    assert math.isnan(curve.bpp_at(29.9))
    assert math.isnan(curve.bpp_at(40.1))
    assert math.isnan(curve.gap_db(40.1))


def test_the_lowest_rate_counts_if_a_curve_reaches_a_level_twice() -> None:
    rows = [(1.0, 30.0), (2.0, 36.0), (3.0, 32.0), (4.0, 40.0)]
    (curve,) = curves(summary(*({"setting": f"q={i}", "bpp": b, "psnr_db": p} for i, (b, p) in enumerate(rows))))
    assert curve.bpp_at(36) == 2.0
    assert 1 < curve.bpp_at(35) < 2


def test_the_curve_of_the_lowest_rate_comes_first() -> None:
    rows = [
        {"codec": codec, "setting": f"q={q}", "bpp": scale * q, "psnr_db": 20.0 + 10 * q}
        for codec, scale in (("worse", 2.0), ("better", 1.0))
        for q in (1, 2)
    ]
    assert [curve.codec for curve in curves(summary(*rows))] == ["better", "worse"]


def test_families_of_settings_without_parameters() -> None:
    assert families(["", ""]) == {"": ""}
    assert families([]) == {}


def test_rows_of_different_images_are_no_curves_of_one_data_set() -> None:
    with pytest.raises(ValueError, match="curves of different images"):
        curves(summary({"setting": "q=1"}, {"setting": "q=2", "fingerprint": "4-b"}))

"""Guards the styles of curves: unlike in every run, the same in all runs, and legible with any colour vision."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import uqdm.bench.report
from uqdm.bench.analysis.curve_styles import (
    _KNOWN,
    _OTHERS,
    CurveStyle,
    codec_style,
    curve_styles,
    on_dark,
    variant_styles,
)
from uqdm.bench.analysis.curves import Curve, curves, lossless
from uqdm.bench.analysis.variants import Variant

# Machado, Oliveira & Fernandes 2009, severity 1: protanopia, deuteranopia, tritanopia; on linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    scaled = np.clip(to_xyz @ rgb, 0, None) / [0.9505, 1.0, 1.089]
    f = np.where(scaled > (6 / 29) ** 3, np.cbrt(scaled), scaled / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(colour: str, ground: str) -> float:
    luminances = sorted(float(linear(one) @ [0.2126, 0.7152, 0.0722]) for one in (colour, ground))
    return (luminances[1] + 0.05) / (luminances[0] + 0.05)


def run(*requests: tuple[str, str, str | None], ways: tuple[str, ...] = ("denoise",)) -> pd.DataFrame:
    """A summary of streams of two points, for codecs by name, setting and label."""
    rows = [
        {
            "codec": codec,
            "setting": setting,
            "label": label,
            "point": f"step {step}",
            "point_index": step,
            "reconstruction": way,
            "bpp": 1.0 + step,
            "psnr_db": 30.0 + step,
        }
        for codec, setting, label in requests
        for step in (0, 1)
        for way in ways
    ]
    return pd.DataFrame(rows).assign(fingerprint="4-a", n=4, exact=0, status="ok")


def styles(*requests: tuple[str, str, str | None], ways: tuple[str, ...] = ("denoise",)) -> dict[str, CurveStyle]:
    drawn = curves(run(*requests, ways=ways))
    found = curve_styles(drawn)
    assert curve_styles(drawn[::-1]) == found
    return dict(sorted(found.items()))


MODELS = [("uqdm", f"model={name},seed=0", None) for name in ("uqdm-demo", "/a/ours", "/a/theirs")]


def test_models_of_one_codec_have_colours_and_markers_of_their_own() -> None:
    found = styles(*MODELS)
    assert list(found) == ["uqdm ours", "uqdm theirs", "uqdm uqdm-demo"]
    assert len({style.colour for style in found.values()}) == len({style.marker for style in found.values()}) == 3
    assert (found["uqdm uqdm-demo"].colour, found["uqdm uqdm-demo"].marker) == codec_style("uqdm")


@pytest.mark.parametrize("codec", ["hyperprior", "uq-ntc"])
def test_a_learned_codec_has_its_colour_by_its_shipped_model_and_another_by_other_weights(codec: str) -> None:
    rates = [(codec, f"model={name},quality=1", None) for name in ("ntc-demo", "/a/low.pth.tar")]
    found = styles(*rates)
    assert len({style.colour for style in found.values()}) == 2
    (shipped,) = [style for label, style in found.items() if "ntc-demo" in label]
    assert (shipped.colour, shipped.marker) == codec_style(codec)


def test_programs_have_colours_of_their_own() -> None:
    programs = [("program", f"encode={name} {{input}} -o {{output}},decode={name} -d", None) for name in ("a", "b")]
    found = styles(*programs)
    assert list(found) == ["program a", "program b"]
    assert len({style.colour for style in found.values()}) == 2


def test_five_mixtures_have_colours_of_their_own() -> None:
    ways = tuple(f"lambda {value}" for value in ("0", "0.25", "0.5", "0.75", "1"))
    found = styles(("interpolate", "codec=uqdm,lam=0", None), ways=ways)
    assert len({style.colour for style in found.values()}) == 5


def test_pictures_of_one_stream_share_its_colour_and_differ_in_line_and_marker() -> None:
    found = styles(MODELS[0], ways=("denoise", "ancestral", "flow"))
    assert {style.colour for style in found.values()} == {codec_style("uqdm")[0]}
    assert [style.line for style in found.values()] == ["-.", "-", ":"]
    assert len({style.marker for style in found.values()}) == 3


def test_a_curve_keeps_its_style_when_others_join_or_leave() -> None:
    everything = [*MODELS, ("jpeg", "quality=1", None), ("mine", "", None), ("uqdm", "model=/a/x,seed=0", "X")]
    whole = {curve.variant: style for curve, style in styled(everything)}
    for size in (1, len(everything) - 1):
        for part in itertools.combinations(everything, size):
            assert all(whole[curve.variant] == style for curve, style in styled(part))


def styled(requests: Sequence[tuple[str, str, str | None]]) -> list[tuple[Curve, CurveStyle]]:
    drawn = curves(run(*requests))
    found = curve_styles(drawn)
    return [(curve, found[curve.label]) for curve in drawn]


def test_a_label_decides_the_style_whatever_the_model_is() -> None:
    (one,), (other,) = (styles(("uqdm", f"model={path}", "ours")).values() for path in ("/a/v1.pt", "/b/v2.pt"))
    assert one == other
    assert one.colour != codec_style("uqdm")[0]


@pytest.mark.parametrize("count", [2, 12, 60])
def test_no_two_curves_of_a_run_have_one_style(count: int) -> None:
    found = styles(*(("uqdm", f"model=m{number}", None) for number in range(count)))
    assert len(set(found.values())) == count
    assert len({style.colour for style in found.values()}) == min(count, len(_OTHERS))


def test_other_settings_of_a_codec_differ_from_its_first_curve() -> None:
    rows = [
        {"codec": "jpeg-tuned", "setting": f"quality={q},tables={tables}", "bpp": float(q), "psnr_db": 30.0 + q}
        for q in (1, 2)
        for tables in ("annex-k", "flat")
    ]
    base = {"fingerprint": "4-a", "n": 4, "exact": 0, "status": "ok", "point": "full", "point_index": 0}
    drawn = curves(pd.DataFrame(rows).assign(**base, reconstruction="decoded"))
    assert len({style.colour for style in curve_styles(drawn).values()}) == len(drawn) == 2


def test_lossless_marks_have_the_style_of_their_curves() -> None:
    summary = run(*MODELS, ("png", "", None))
    last = (summary.point_index == 1) | (summary.codec == "png")
    summary.loc[last, ["exact", "psnr_db"]] = [4, np.inf]
    drawn, exact = curves(summary), lossless(summary)
    assert sorted(exact.name) == ["png", "uqdm ours", "uqdm theirs", "uqdm uqdm-demo"]
    found = variant_styles(drawn, exact.variant)
    for curve in drawn:
        assert found[curve.variant] == curve_styles(drawn)[curve.label]
    assert (found[Variant("png")].colour, found[Variant("png")].marker) == codec_style("png")


def test_colours_differ_for_every_vision_or_their_markers_do() -> None:
    looks = [*_KNOWN.values(), *_OTHERS]
    for (colour, marker), (other, other_marker) in itertools.combinations(looks, 2):
        distances = [
            np.linalg.norm(lab(matrix @ linear(colour)) - lab(matrix @ linear(other)))
            for matrix in map(np.asarray, VISIONS.values())
        ]
        assert min(distances) > 7 or marker != other_marker, (colour, other)


@pytest.mark.parametrize("colour", [colour for colour, _ in (*_KNOWN.values(), *_OTHERS)])
def test_colours_are_legible_on_white_and_on_a_dark_ground(colour: str) -> None:
    paper, dark_paper = page_grounds()
    assert contrast(colour, paper) >= 3  # the least for graphics: WCAG 2.2, criterion 1.4.11
    assert contrast(on_dark(colour), dark_paper) >= 3


def page_grounds() -> tuple[str, str]:
    """The grounds of the report's two themes."""
    page = (Path(uqdm.bench.report.__file__).parent / "page.css").read_text()
    found = re.search(r"--paper: light-dark\(#fff, (#[0-9a-f]{6})\)", page)
    assert found is not None
    return "#ffffff", found[1]


def test_the_order_of_curves_does_not_matter() -> None:
    drawn: list[Curve] = curves(run(*(("uqdm", f"model=m{number}", None) for number in range(30))))
    expected = curve_styles(drawn)
    random.Random(1).shuffle(drawn)
    assert curve_styles(drawn) == expected

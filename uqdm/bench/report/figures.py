"""The data of the interactive plots, which ``plots.js`` draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.analysis.best_of_family import best_of_families
from uqdm.bench.analysis.curve_styles import (
    IDEAL_LINE_STYLES,
    CurveStyle,
    LineStyle,
    curve_styles,
    imported_styles,
    variant_styles,
)
from uqdm.bench.analysis.curves import Curve, curves, lossless, short_settings
from uqdm.bench.analysis.published_curves import (
    IMAGES,
    images_of,
    matching_set,
    published_names,
    relation,
)
from uqdm.bench.analysis.published_systems import FAMILIES, RATE_KINDS, PublishedSystem, published_systems
from uqdm.bench.exchange.imported import imported_note
from uqdm.bench.metrics import Metric, SetMetric, all_set_metrics, declared, n_set_images, set_basis
from uqdm.bench.plots._published import STYLES, default_choice, markers_of
from uqdm.bench.plots.rate_distortion import LEAST_BPP
from uqdm.bench.run.rates import is_empty, with_rates
from uqdm.bench.run.tables import records
from uqdm.bench.schema import RATE_IDEAL, STATUS_OK, STATUS_REFERENCE
from uqdm.text import counted

if TYPE_CHECKING:
    import pandas as pd

    from uqdm.bench.datasets import Origin
    from uqdm.bench.exchange.rd_curve import RdCurve

# Plotly's names of the line styles and markers of the other plots.
_DASHES: dict[LineStyle, str] = {"-": "solid", "-.": "dashdot", ":": "dot", "--": "dash"}
_DASHES |= dict(zip(IDEAL_LINE_STYLES, ("dash", "longdash", "4px,3px"), strict=True))
_SYMBOLS = {"o": "circle", "s": "square", "^": "triangle-up", "v": "triangle-down", "<": "triangle-left"}
_SYMBOLS |= {">": "triangle-right", "D": "diamond", "d": "diamond-tall", "P": "cross", "X": "x", "p": "pentagon"}
_SYMBOLS |= {"h": "hexagon", "H": "hexagon2", "*": "star", "8": "octagon"}

_DIGITS = 7  # significant, of numbers in the page


def figure_data(
    summary: pd.DataFrame,
    origin: Origin | None = None,
    published: str | None = None,
    imported: Sequence[RdCurve] = (),
) -> dict[str, Any]:
    """Metrics, the curves of each data set, and the published and ``imported`` ones, as values for JSON.

    ``origin`` is the known origin of the images, which tells the published curves on them. ``published`` chooses
    those that are shown at first (:func:`uqdm.bench.analysis.published_systems.check_choice`).
    """
    metrics = plotted_metrics(summary)
    data = [rows for _, rows in summary.groupby("dataset")]
    measured = [rows for rows in data if (rows.status == STATUS_OK).any()]
    offered = offered_sets(measured, origin)
    return {
        "metrics": [_metric(metric) for metric in metrics],
        "datasets": [_dataset(rows, metrics, origin, offered) for rows in measured],
        "imported": _imported(imported, [curve for rows in measured for curve in curves(rows)]),
        "imported_note": imported_note(imported),
        "published": {
            name: {
                "systems": _systems(name, metrics),
                "images": images_of(name).text,
                "of_paper": name in IMAGES,
                "choice": published or default_choice(name),
            }
            for name in offered
        },
        "families": FAMILIES,
        "rate_kinds": RATE_KINDS,
    }


def offered_sets(data: Sequence[pd.DataFrame], origin: Origin | None) -> list[str]:
    """The published sets that the page offers: those that belong to its images, and the paper's."""
    return list(dict.fromkeys([*filter(None, (_matching_set(rows, origin) for rows in data)), *published_names()]))


def _matching_set(rows: pd.DataFrame, origin: Origin | None) -> str | None:
    n_images = int(rows.n[rows.status == STATUS_OK].max())
    return matching_set(str(rows.dataset.iloc[0]), n_images, origin)


def plotted_metrics(summary: pd.DataFrame) -> list[Metric | SetMetric]:
    """The metrics with numbers in the summary: PSNR first, metrics of images before set metrics."""
    ok = summary[summary.status == STATUS_OK]
    found = [metric for metric in declared() if metric.name in ok and np.isfinite(ok[metric.name]).any()]
    return sorted(found, key=lambda metric: (metric.name != "psnr_db", isinstance(metric, SetMetric), metric.name))


def published_note(rows: pd.DataFrame, name: str, origin: Origin | None) -> str:
    """The images of the published curves ``name``, and their relation to the images of one data set."""
    dataset, fingerprint = str(rows.dataset.iloc[0]), rows.fingerprint.iloc[0]
    n_images = int(rows.n.max())
    beside = relation(name, dataset, n_images, origin)
    advice = " Compare shapes, not numbers." if beside.kind == "other" else ""
    theirs = images_of(name)
    by = "Yang, Will & Mandt (ICLR 2025)" if name in IMAGES else "others"
    caveat = f" ({theirs.caveat})" if theirs.caveat else ""
    return (
        f"Grey and hollow: published by {by}, not measured here, on {theirs.text}{caveat}. "
        f"This run: {counted(n_images, 'image')} of {dataset} (fingerprint {fingerprint}). {beside.text}{advice}"
    )


def _metric(metric: Metric | SetMetric) -> dict[str, Any]:
    return {
        "name": metric.name,
        "label": metric.label,
        "unit": metric.unit,
        "direction": metric.direction,
        "of_sets": isinstance(metric, SetMetric),
        "has_plot": isinstance(metric, SetMetric) and metric.short_decimals is not None,
        "log": isinstance(metric, SetMetric) and metric.direction == "lower",
        "comment": metric.comment,
        "source": metric.source,
    }


def _dataset(
    rows: pd.DataFrame, metrics: list[Metric | SetMetric], origin: Origin | None, offered: Sequence[str]
) -> dict[str, Any]:
    drawn = curves(rows)
    exact = lossless(rows).sort_values("rate_bpp")
    styles, of_exact = curve_styles(drawn), variant_styles(drawn, exact.variant)
    name, ok = str(rows.dataset.iloc[0]), rows[rows.status == STATUS_OK]
    codecs = dict.fromkeys([*(curve.codec for curve in drawn), *exact.codec])
    shorts = {codec: short_settings(rows.setting[rows.codec == codec].unique()) for codec in codecs}
    rates = with_rates(rows).rate_bpp
    rates = rates[rates > LEAST_BPP]
    return {
        "name": name,
        "fingerprint": str(rows.fingerprint.iloc[0]),
        "log_rate": bool(rates.max() > 10 * rates.min()),
        "codecs": list(codecs),
        "curves": [_curve(curve, styles, shorts[curve.codec], metrics) for curve in drawn],
        "lossless": [
            {
                **_point(row, shorts[row["codec"]], metrics),
                "look": _look(of_exact[row["variant"]]),
                "curves": [curve.label for curve in drawn if curve.variant == row["variant"]],
            }
            for row in records(exact)
        ],
        "floor": _floor(rows, metrics),
        "published": _matching_set(rows, origin),
        "published_notes": {known: published_note(ok, known, origin) for known in offered},
    }


def _look(style: CurveStyle) -> dict[str, str]:
    """The style by Plotly's names."""
    return {
        "colour": style.colour,
        "dark_colour": style.dark_colour,
        "symbol": _SYMBOLS[style.marker],
        "dash": _DASHES[style.line],
    }


def _curve(
    curve: Curve, styles: Mapping[str, CurveStyle], shorts: Mapping[str, str], metrics: list[Metric | SetMetric]
) -> dict[str, Any]:
    without_bits = is_empty(curve.points)
    points = [
        {**_point(row, shorts, metrics), "empty": bool(empty)}
        for row, empty in zip(records(curve.points), without_bits, strict=True)
    ]
    named = {"codec": curve.codec, "label": curve.label, "title": curve.title, "ideal": curve.ideal}
    return {**named, "look": _look(styles[curve.label]), "points": points}


def _point(row: Mapping[str, Any], shorts: Mapping[str, str], metrics: list[Metric | SetMetric]) -> dict[str, Any]:
    is_ideal = row["rate_kind"] == RATE_IDEAL
    return {
        "codec": row["codec"],
        "name": row.get("name", row["codec"]),
        "ideal": is_ideal,
        "setting": shorts[row["setting"]] or row["setting"],
        "point": row["point"],
        "picture": row["reconstruction"],
        "n": int(row["n"]),
        "exact": int(row["exact"]),
        "rate_bpp": _interval(row, "rate_bpp"),
        "ideal_bpp": None if is_ideal else _number(row["ideal_bpp"]),  # beside the rate of a file
        "values": {metric.name: _interval(row, metric.name) for metric in metrics},
        **_of_sets(row),
    }


def _floor(rows: pd.DataFrame, metrics: list[Metric | SetMetric]) -> dict[str, Any] | None:
    """The set metrics of originals against originals, if the summary has them."""
    found = records(rows[rows.status == STATUS_REFERENCE])
    if not found:
        return None
    of_sets = [metric.name for metric in metrics if isinstance(metric, SetMetric)]
    return {
        "text": f"{found[0]['codec']}, {found[0]['setting']}",
        "values": {name: _number(found[0][name]) for name in of_sets},
        **_of_sets(found[0]),
    }


def _of_sets(row: Mapping[str, Any]) -> dict[str, Any]:
    """Number of images of set metrics, and the warning and spread of each."""
    warnings = {metric.name: row.get(set_basis(metric).warning) for metric in all_set_metrics()}
    spreads = {metric.name: metric.spread for metric in all_set_metrics() if metric.spread is not None}
    return {
        "set_n": n_set_images(row),
        "warnings": {name: text for name, text in warnings.items() if isinstance(text, str)},
        "spreads": {name: _number(row.get(column)) for name, column in spreads.items()},
    }


def _interval(row: Mapping[str, Any], name: str) -> list[float | None]:
    """Value, lower and upper end; None where there is none."""
    return [_number(row.get(key)) for key in (name, f"{name}_low", f"{name}_high")]


def _number(value: float | None) -> float | None:
    return float(f"{value:.{_DIGITS}g}") if value is not None and math.isfinite(value) else None


def _systems(name: str, metrics: list[Metric | SetMetric]) -> list[dict[str, Any]]:
    """Published systems with their curves, each with a marker, and a line style by its kind of rate.

    ``best`` are the metrics by which a system is the best of its family.
    """
    systems = published_systems(name)
    best = {one.name: best_of_families(systems, one.name, one.direction).values() for one in metrics}
    return [
        {
            "system": one.name,
            "label": one.label,
            "family": one.family,
            "kind": one.rate_kind,
            "protocol": one.protocol,
            "source": one.source,
            "caveat": "; ".join(filter(None, [one.flag, one.caveat])),
            "plain": one.plain,
            "best": [metric for metric, names in best.items() if one.name in names],
            "dash": _DASHES[STYLES[one.rate_kind]],
            "symbol": f"{_SYMBOLS[marker]}-open",
            "points": _published_points(one),
        }
        for one, marker in zip(systems, markers_of(name, systems), strict=True)
    ]


def _imported(found: Sequence[RdCurve], drawn: Sequence[Curve]) -> list[dict[str, Any]]:
    """Imported curves; ``drawn`` are the measured ones, whose colours are taken."""
    styles = imported_styles([curve.name for curve in found], drawn)
    looks = {name: _look(style) for name, style in styles.items()}
    return [
        {
            "name": curve.name,
            "kind": curve.rate_kind,
            "protocol": curve.protocol,
            "source": curve.source,
            "look": {**looks[curve.name], "symbol": f"{looks[curve.name]['symbol']}-open"},
            "points": [{name: _number(value) for name, value in point.items()} for point in records(curve.points)],
        }
        for curve in found
    ]


def _published_points(system: PublishedSystem) -> list[dict[str, Any]]:
    """The points with the values that each has."""
    names = ["bpp", *system.metrics]
    return [
        {
            **{name: _number(point[name]) for name in names},
            **({"suspect": point["suspect"]} if point["suspect"] else {}),
        }
        for point in records(system.points)
    ]

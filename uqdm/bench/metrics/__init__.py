"""Metrics: a module each, found in this package by its ``METRIC``.

A new metric is one new file here. ``METRIC = Metric(...)`` is a figure for one picture and a column of the rows;
``METRIC = SetMetric(...)`` is a figure for all pictures of a data set at one setting and a column of the summary.
Another package names its ``METRIC`` in an entry point of the group ``uqdm.metrics``; one that does not load, breaks
the contract or fills a column that is taken is left out (:func:`broken_metrics`), and costs no other.
Modules import their libraries inside ``compute``: whoever lists metrics must not pay for them.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from uqdm import plugins
from uqdm.bench.schema import ROWS, SUMMARY
from uqdm.codec import Missing
from uqdm.plugins import Broken
from uqdm.text import printable

ENTRY_POINT_GROUP = "uqdm.metrics"


def _never_missing() -> Missing | None:
    return None


@dataclass(frozen=True, kw_only=True)
class _Declaration:
    """What every metric says of itself."""

    name: str
    """Column of the results, with its unit: ``psnr_db``."""
    label: str
    """Short name for axes and tables: ``PSNR``."""
    unit: str
    """Unit of the values: ``dB``; empty where there is none."""
    direction: Literal["lower", "higher"]
    """Which values are better."""
    value_range: tuple[float, float]
    """Least and greatest value, infinities included."""
    source: str
    """Where it is defined: citation with section or equation."""
    comment: str
    """One line on what is computed, with the settings that change the value."""
    smallest_side: int = 1
    """Least height and width in pixels of an image that it is defined for."""
    version: int = 1
    """Part of the name of stored scores: raise it when the same pictures would give other values."""
    missing: Callable[[], Missing | None] = _never_missing
    """Says what the metric lacks on this machine; None if it can run. It never downloads."""


@dataclass(frozen=True, kw_only=True)
class Metric(_Declaration):
    """A figure for one picture.

    ``compute`` takes the original and the reconstruction, uint8 [H, W, 3] of equal shape and with no side under
    ``smallest_side``, and returns a float.
    """

    compute: Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Patches:
    """How pictures are cut before their features are taken. Another way of cutting is another ``name``."""

    name: str
    cut: Callable[[np.ndarray], Sequence[np.ndarray]]
    """From a picture, uint8 [H, W, 3], to its patches; images of equal size give patches of equal number."""


@dataclass(frozen=True, kw_only=True)
class SetMetric(_Declaration):
    """A figure for the pictures of a whole data set, held against the originals.

    ``compute`` takes two arrays [n, d], a row an item: the originals' and the pictures', and returns the metric's
    columns by name. Under ``takes == "features"`` the items are Inception features (float32, d = 2048) of images, or
    of their ``patches``; under ``takes == "points"`` they are points of a point data set themselves, and the metric is
    not applied to images.
    """

    compute: Callable[[np.ndarray, np.ndarray], Mapping[str, float]]
    columns: Mapping[str, str] = field(default_factory=dict)
    """Further columns beside ``name``, each with its comment: ``{"kid_sd": "standard deviation of kid ..."}``."""
    takes: Literal["features", "points"] = "features"
    patches: Patches | None = None
    smallest_set: int = 2
    """Least number of items on either side."""


@functools.cache
def declared() -> tuple[Metric | SetMetric, ...]:
    """Every metric that can be used, sorted by name; raises ValueError where two of this package share a column."""
    own, broken = _of_this_package()
    columns = [name for metric in own for name in columns_of(metric)]
    if len(set(columns)) < len(columns):
        raise ValueError(f"two metrics fill one column; they fill: {', '.join(columns)}")
    others, others_broken = _of_other_packages(own)
    _left_out[:] = [*broken, *others_broken]
    _foreign[:] = [metric.name for metric in others]
    return tuple(sorted([*own, *others], key=lambda metric: metric.name))


_left_out: list[Broken] = []
_foreign: list[str] = []


def is_of_another_package(metric: Metric | SetMetric) -> bool:
    """Whether a metric was found by an entry point.

    >>> [is_of_another_package(metric) for metric in all_metrics() if metric.name == "mse"]
    [False]
    """
    declared()
    return metric.name in _foreign


def broken_metrics() -> tuple[Broken, ...]:
    """Metrics that are left out, and why each."""
    declared()
    return tuple(_left_out)


def _of_this_package() -> tuple[list[Metric | SetMetric], list[Broken]]:
    """The metrics of the modules here; one that does not load costs no other."""
    metrics: list[Metric | SetMetric] = []
    broken: list[Broken] = []
    for name in [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]:
        try:
            with plugins.contained():
                metrics.append(_checked(importlib.import_module(f"{__name__}.{name}").METRIC))
        except Exception as error:
            broken.append(Broken("metric", printable(name), f"{__name__}.{name}", plugins.reason_of(error)))
    return metrics, broken


def _of_other_packages(own: Iterable[Metric | SetMetric]) -> tuple[list[Metric | SetMetric], list[Broken]]:
    found = plugins.find("metric", ENTRY_POINT_GROUP)
    taken = {column: "this package" for metric in own for column in _all_columns(metric)}
    taken |= dict.fromkeys({*ROWS.names, *SUMMARY.names} - taken.keys(), "the results")
    metrics: list[Metric | SetMetric] = []
    broken = list(found.broken)
    for entry_point in sorted(found.usable.values(), key=lambda one: one.name):
        try:
            metric = _checked(plugins.load(entry_point))
            clash = sorted(_all_columns(metric) & taken.keys())
            if clash:
                raise ValueError(f"its column {clash[0]!r} is taken by {taken[clash[0]]}; rename it")
        except Exception as error:
            broken.append(plugins.fault("metric", entry_point, error))
            continue
        metrics.append(metric)
        taken |= dict.fromkeys(_all_columns(metric), plugins.origin(entry_point))
    return metrics, broken


def _all_columns(metric: Metric | SetMetric) -> set[str]:
    """The columns that a metric fills, in the rows and in the summary."""
    names = set(columns_of(metric))
    return names | {f"{name}{end}" for name in names for end in ("_low", "_high") if isinstance(metric, Metric)}


def _checked(metric: Any) -> Metric | SetMetric:
    """Raises TypeError or ValueError for what is no metric that the results can hold."""
    if not isinstance(metric, Metric | SetMetric):
        raise TypeError(f"{type(metric).__name__} is not a Metric or SetMetric")
    for name, comment in columns_of(metric).items():
        plugins.check_column("metric", name)
        _check_text("comment", comment)
    for name in ("label", "unit", "source"):
        _check_text(name, getattr(metric, name))
    if metric.direction not in ("lower", "higher"):
        raise ValueError(f"direction={metric.direction!r}: expected 'lower' or 'higher'")
    bounds = metric.value_range
    if not isinstance(bounds, tuple) or [type(bound) in (int, float) for bound in bounds] != [True, True]:
        raise TypeError(f"value_range={bounds!r}: expected the least and the greatest value")
    if not bounds[0] < bounds[1]:
        raise ValueError(f"value_range={bounds!r}: expected the least and the greatest value")
    for name in ("smallest_side", "version"):
        if type(getattr(metric, name)) is not int:
            raise TypeError(f"{name}={getattr(metric, name)!r}: expected a whole number")
        if getattr(metric, name) < 1:
            raise ValueError(f"{name}={getattr(metric, name)}: must be at least 1")
    for name in ("compute", "missing"):
        if not callable(getattr(metric, name)):
            raise TypeError(f"{name} is {type(getattr(metric, name)).__name__}, not a function")
    return metric


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str) or printable(value) != value:
        raise ValueError(f"{name}={value!r}: expected one line of text")


def lack_of(metric: Metric | SetMetric) -> str | None:
    """What a metric lacks on this machine, or why it cannot tell; None if it can run."""
    try:
        with plugins.contained():
            lack = metric.missing()
            return None if lack is None else printable(str(lack))
    except Exception as error:
        return f"its look for what it needs failed with {plugins.reason_of(error)}"


def columns_of(metric: Metric | SetMetric) -> dict[str, str]:
    """The columns that a metric fills, each with its comment; its own name first."""
    further = metric.columns if isinstance(metric, SetMetric) else {}
    return {metric.name: metric.comment, **further}


def all_metrics() -> tuple[Metric, ...]:
    """Every metric of single pictures, sorted by name.

    >>> {"mse", "psnr_db"} <= {metric.name for metric in all_metrics()}
    True
    """
    return tuple(metric for metric in declared() if isinstance(metric, Metric))


def all_set_metrics() -> tuple[SetMetric, ...]:
    """Every metric of sets of pictures, sorted by name."""
    return tuple(metric for metric in declared() if isinstance(metric, SetMetric))


def check_names(names: Iterable[str]) -> None:
    """Raises ValueError, with near names and all that are known, for a name that no metric has.

    >>> check_names(["psnr_db", "ssim"])
    """
    known = [metric.name for metric in declared()]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            hint = f" (did you mean {', '.join(near)}?)" if near else ""
            left_out = "".join(f"; left out: {one}" for one in broken_metrics() if one.name == printable(name))
            raise ValueError(f"no metric {printable(name)!r}{hint}; known: {', '.join(known)}{left_out}")


def rows_schema() -> pa.Schema:
    """The schema of the rows: ``ROWS``, and a column for each metric of single pictures that it does not name."""
    columns = {metric.name: metric.comment for metric in all_metrics()}
    return _with_columns(ROWS, columns)


def summary_schema() -> pa.Schema:
    """The schema of the summary: ``SUMMARY``, and the columns of each metric that it does not name."""
    columns: dict[str, str] = {}
    for metric in all_metrics():
        columns[metric.name] = f"mean over images: {metric.comment}"
        columns[f"{metric.name}_low"] = f"lower end of the 95 % bootstrap interval of {metric.name}"
        columns[f"{metric.name}_high"] = f"upper end of the 95 % bootstrap interval of {metric.name}"
    for set_metric in all_set_metrics():
        if set_metric.takes == "features":
            columns |= columns_of(set_metric)
    return _with_columns(SUMMARY, columns)


def _with_columns(schema: pa.Schema, columns: Mapping[str, str]) -> pa.Schema:
    for name, comment in columns.items():
        if name not in schema.names:
            schema = schema.append(pa.field(name, pa.float64(), metadata={"comment": comment}))
    return schema

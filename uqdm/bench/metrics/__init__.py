"""Metrics: a module each, found in this package by its ``METRIC``.

A new metric is one new file here. ``METRIC = Metric(...)`` is a figure for one picture and a column of the rows;
``METRIC = SetMetric(...)`` is a figure for all pictures of a data set at one setting and a column of the summary.
Another package names its ``METRIC`` in an entry point of the group ``uqdm.metrics``.
Modules import their libraries inside ``compute``: whoever lists metrics must not pay for them.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.metadata
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa

from uqdm.bench.schema import ROWS, SUMMARY
from uqdm.codec import Missing

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
    """Every metric, sorted by name; raises ValueError where two share a column."""
    modules = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    found = [importlib.import_module(f"{__name__}.{name}").METRIC for name in modules]
    found += [entry_point.load() for entry_point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)]
    metrics = sorted(found, key=lambda metric: metric.name)
    columns = [name for metric in metrics for name in columns_of(metric)]
    if len(set(columns)) < len(columns):
        raise ValueError(f"two metrics fill one column; they fill: {', '.join(columns)}")
    return tuple(metrics)


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
            raise ValueError(f"no metric {name!r}{hint}; known: {', '.join(known)}")


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

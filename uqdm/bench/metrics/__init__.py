"""Metrics between an image and its reconstruction: a module each, found in this package by its ``METRIC``.

A new metric is one new file here that defines ``METRIC = Metric(...)``. Each metric is a column of the rows; those
that the schema does not name yet are appended to it (see :func:`rows_schema`).
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from uqdm.bench.schema import ROWS


@dataclass(frozen=True)
class Metric:
    """A figure for one picture: column name (with its unit), what it is, and how it is computed.

    ``compute`` takes the original and the reconstruction, uint8 [H, W, 3] of equal shape, and returns a float.
    """

    name: str
    comment: str
    compute: Callable[[np.ndarray, np.ndarray], float]


@functools.cache
def all_metrics() -> tuple[Metric, ...]:
    """Every metric in this package, sorted by name; raises ValueError where two share a name.

    >>> {"mse", "psnr_db"} <= {metric.name for metric in all_metrics()}
    True
    """
    names = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    found = (importlib.import_module(f"{__name__}.{name}").METRIC for name in names)
    metrics = sorted(found, key=lambda metric: metric.name)
    names = [metric.name for metric in metrics]
    if len(set(names)) < len(names):
        raise ValueError(f"two modules of {__name__} define a metric of one name: {', '.join(names)}")
    return tuple(metrics)


def measure(original_uint8: np.ndarray, reconstruction_uint8: np.ndarray) -> dict[str, float]:
    """All metrics of one reconstruction, by name.

    >>> measure(np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8))["psnr_db"]
    0.0
    """
    return {metric.name: metric.compute(original_uint8, reconstruction_uint8) for metric in all_metrics()}


def rows_schema() -> pa.Schema:
    """The schema of the rows: ``ROWS``, and a column for each metric that it does not name."""
    schema = ROWS
    for metric in all_metrics():
        if metric.name not in schema.names:
            schema = schema.append(pa.field(metric.name, pa.float64(), metadata={"comment": metric.comment}))
    return schema

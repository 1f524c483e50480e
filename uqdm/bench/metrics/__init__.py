"""Metrics: one module for each, found in this package by its ``METRIC``.

A new metric is one new file here. ``METRIC = Metric(...)`` is a figure for one picture and a column of the rows;
``METRIC = SetMetric(...)`` is a figure for all pictures of a data set at one setting and a column of the summary.
Another package names its ``METRIC`` in an entry point of the group ``uqdm.metrics``; one that does not load, breaks
the contract or fills a column that is taken is left out (:func:`broken_metrics`); the others work.
Modules import their libraries inside ``compute``, so that listing metrics does not import them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa

from uqdm import plugins
from uqdm.bench.features.extractors import extractor_names
from uqdm.bench.schema import ROWS, SUMMARY
from uqdm.codec import Missing
from uqdm.plugins import Broken
from uqdm.registry import Errors, Plugin, Registry
from uqdm.text import printable

ENTRY_POINT_GROUP = "uqdm.metrics"


def _never_missing() -> Missing | None:
    return None


def _nothing_to_fetch() -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class _Declaration:
    """What every metric declares."""

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
    """Part of the name of stored scores; a change that gives the same pictures other values must raise it."""
    missing: Callable[[], Missing | None] = _never_missing
    """Returns what the metric lacks on this machine; None if it can run. It never downloads."""
    fetch: Callable[[], None] = _nothing_to_fetch
    """Downloads what the metric lacks, where that can be had; called before workers start.

    Raises an Exception with the reason if that fails.
    """


@dataclass(frozen=True, kw_only=True)
class Metric(_Declaration):
    """A figure for one picture.

    ``compute`` takes the original and the reconstruction, uint8 [H, W, 3] of equal shape and with no side under
    ``smallest_side``, and returns a float.
    """

    compute: Callable[[np.ndarray, np.ndarray], float]
    compute_batch: Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], Sequence[float]] | None = None
    """The same for several originals and reconstructions of one size, where that is faster; None if it is not."""


@dataclass(frozen=True)
class Patches:
    """How pictures are cut before their features are computed. Each way of cutting has its own ``name``."""

    name: str
    cut: Callable[[np.ndarray], Sequence[np.ndarray]]
    """Returns the patches of a picture, uint8 [H, W, 3]; images of equal size give equally many."""
    complete: bool = False
    """Whether the metric is only defined on all patches of its images; it is not computed on a part of them."""


class ExtractorFacts(Protocol):
    """What the results say of a feature extractor."""

    @property
    def sha256(self) -> str:
        """Hash of the weights."""

    @property
    def resize(self) -> str:
        """The method that resizes pictures to the extractor's size."""

    @property
    def n_features(self) -> int:
        """The number of features of a picture."""

    @property
    def caution(self) -> str | None:
        """Why its features are not those of the published extractor; None if they are."""


def _trusts_any_number(n_images: int, n_features: int) -> str | None:
    return None


@dataclass(frozen=True, kw_only=True)
class SetBasis:
    """What metrics of sets were computed on, as columns of the summary.

    One metric declares it for all of the same extractor.
    """

    n: str = "set_n"
    """Name of the column: how many images."""
    extractor: str = "set_extractor"
    """Name of the column: which feature extractor."""
    resize: str = "set_resize"
    """Name of the column: how pictures are resized for the extractor."""
    warning: str = "set_warning"
    """Name of the column: why a value is unreliable at this number of images."""
    warn: Callable[[int, int], str | None] = _trusts_any_number
    """That reason, by the number of images and of features of an item; None if there is none."""
    caution: str = ""
    """The rule of the warning in a few words, for notes below tables and plots."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in their order."""
        return (self.n, self.extractor, self.resize, self.warning)

    def values(self, n_images: int, extractor: ExtractorFacts, *, is_warned: bool) -> dict[str, int | str | None]:
        """The columns of one row of the summary, the warning of too few images only for ``is_warned``."""
        too_few = self.warn(n_images, extractor.n_features) if is_warned else None
        warning = "; ".join(filter(None, [too_few, extractor.caution])) or None
        known = (n_images, extractor.sha256[:16], extractor.resize, warning)
        return dict(zip(self.names, known, strict=True))

    def fields(self) -> list[pa.Field]:
        """The columns with their types and comments."""
        comments = {
            self.n: "images that the metrics of sets were computed on",
            self.extractor: "first 16 digits of the SHA-256 of the feature extractor's weights",
            self.resize: "how pictures are resized for the extractor",
            self.warning: f"why a metric of sets is unreliable at this {self.n}; null if it is reliable",
        }
        kinds = (pa.int64(), pa.string(), pa.string(), pa.string())
        return [
            pa.field(name, kind, metadata={"comment": comment})
            for (name, comment), kind in zip(comments.items(), kinds, strict=True)
        ]


@dataclass(frozen=True, kw_only=True)
class SetMetric(_Declaration):
    """A figure for the pictures of a whole data set, compared with the originals.

    ``compute`` takes two arrays [n, d], one row for each item: the originals' and the pictures', and returns the
    metric's columns by name. Under ``takes == "features"`` the items are features of images, or of their ``patches``,
    by ``extractor`` (float32; d is 2048 for Inception); under ``takes == "points"`` they are points of a point data set
    themselves, and the metric is not applied to images.
    """

    compute: Callable[[np.ndarray, np.ndarray], Mapping[str, float]]
    columns: Mapping[str, str] = field(default_factory=dict)
    """Further columns beside ``name``, each with its comment: ``{"name_sd": "standard deviation of name ..."}``."""
    spread: str | None = None
    """Which of ``columns`` is the standard deviation of the value, for error bars; None if none is."""
    count: str | None = None
    """Which of ``columns`` is the number of items, where these are patches and not the images themselves."""
    short_decimals: int | None = None
    """Decimals in the short table and the report's comparison; None leaves the metric out of these."""
    extractor: str = "inception"
    """Name of the feature extractor, a module of :mod:`uqdm.bench.features.extractors`."""
    basis: SetBasis | None = None
    """Columns that say what metrics of this extractor were computed on, from the one metric that declares them."""
    takes: Literal["features", "points"] = "features"
    patches: Patches | None = None
    smallest_set: int = 2
    """Least number of items on either side that it is defined for."""
    meaningful_set: int = 2
    """Least number of items on either side at which its value means something; with fewer it is computed on request."""
    meaningful_reason: str = ""
    """What is wrong with its value below ``meaningful_set``, in a few words."""

    @property
    def items(self) -> str:
        """The noun for its items."""
        return "images" if self.patches is None else "patches"


def declared() -> tuple[Metric | SetMetric, ...]:
    """Every metric that can be used, sorted by name."""
    return tuple(sorted((plugin.value for plugin in METRICS.loaded()), key=lambda metric: metric.name))


def is_of_another_package(metric: Metric | SetMetric) -> bool:
    """Whether a metric was found by an entry point.

    >>> [is_of_another_package(metric) for metric in all_metrics() if metric.name == "mse"]
    [False]
    """
    return any(plugin.is_foreign for plugin in METRICS.loaded() if plugin.value.name == metric.name)


def broken_metrics() -> tuple[Broken, ...]:
    """Metrics that are left out, and why each."""
    return METRICS.broken()


def _check_columns(plugin: Plugin[Metric | SetMetric], accepted: Sequence[Plugin[Metric | SetMetric]]) -> None:
    """Raises ValueError if a metric fills a column of another one, or a foreign metric a column of the results."""
    owners = {column: one for one in accepted for column in _all_columns(one.value)}
    for column in sorted(_all_columns(plugin.value)):
        if column in owners:
            owner = owners[column].origin if owners[column].is_foreign else "this package"
            raise ValueError(f"its column {column!r} is taken by {owner}; rename it")
        if plugin.is_foreign and column in {*ROWS.names, *SUMMARY.names}:
            raise ValueError(f"its column {column!r} is taken by the results; rename it")


def _all_columns(metric: Metric | SetMetric) -> set[str]:
    """The columns that a metric fills, in the rows and in the summary."""
    names = set(columns_of(metric))
    names |= set(metric.basis.names) if isinstance(metric, SetMetric) and metric.basis is not None else set()
    return names | {f"{name}{end}" for name in names for end in ("_low", "_high") if isinstance(metric, Metric)}


def _checked(name: str, metric: Any) -> Metric | SetMetric:
    """Raises TypeError or ValueError for an object that is no valid metric."""
    if not isinstance(metric, Metric | SetMetric):
        raise TypeError(f"{type(metric).__name__} is not a Metric or SetMetric")
    for column, comment in columns_of(metric).items():
        plugins.check_column("metric", column)
        _check_text("comment", comment)
    for text in ("label", "unit", "source"):
        _check_text(text, getattr(metric, text))
    if metric.direction not in ("lower", "higher"):
        raise ValueError(f"direction={metric.direction!r}: expected 'lower' or 'higher'")
    bounds = metric.value_range
    if not isinstance(bounds, tuple) or [type(bound) in (int, float) for bound in bounds] != [True, True]:
        raise TypeError(f"value_range={bounds!r}: expected the least and the greatest value")
    if not bounds[0] < bounds[1]:
        raise ValueError(f"value_range={bounds!r}: expected the least and the greatest value")
    for count in ("smallest_side", "version"):
        if type(getattr(metric, count)) is not int:
            raise TypeError(f"{count}={getattr(metric, count)!r}: expected a whole number")
        if getattr(metric, count) < 1:
            raise ValueError(f"{count}={getattr(metric, count)}: must be at least 1")
    if isinstance(metric, SetMetric) and metric.extractor not in extractor_names():
        raise ValueError(f"extractor={metric.extractor!r}: expected one of {', '.join(extractor_names())}")
    for function in ("compute", "missing", "fetch"):
        if not callable(getattr(metric, function)):
            raise TypeError(f"{function} is {type(getattr(metric, function)).__name__}, not a function")
    return metric


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str) or printable(value) != value:
        raise ValueError(f"{name}={value!r}: expected one line of text")


def _metric_in_module(name: str, module: ModuleType) -> Any:
    return module.METRIC


METRICS: Registry[Metric | SetMetric] = Registry(
    "metric",
    ENTRY_POINT_GROUP,
    _checked,
    package=__name__,
    pick=_metric_in_module,
    check_conflicts=_check_columns,
    errors=Errors(ValueError, ValueError, ValueError),
)


def lack_of(metric: Metric | SetMetric) -> str | None:
    """What a metric lacks on this machine, or why that is unknown; None if it can run."""
    try:
        with plugins.contained():
            lack = metric.missing()
            return None if lack is None else printable(str(lack))
    except Exception as error:
        return f"its check for what it needs failed with {plugins.reason_of(error)}"


def fetch_fault(metric: Metric | SetMetric) -> str | None:
    """Lets a metric download what it lacks; why that failed, None if it did not."""
    try:
        with plugins.contained():
            metric.fetch()
    except Exception as error:
        return plugins.reason_of(error)
    return None


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


def headline_set_metrics() -> tuple[SetMetric, ...]:
    """The metrics of sets that the short table and the report's comparison show, sorted by name."""
    return tuple(metric for metric in all_set_metrics() if metric.short_decimals is not None)


def basis_metrics() -> dict[str, SetMetric]:
    """The metrics that declare what the metrics of an extractor were computed on, by the name of the extractor."""
    return {metric.extractor: metric for metric in all_set_metrics() if metric.basis is not None}


def set_bases() -> tuple[SetBasis, ...]:
    """The columns of every extractor that say what its metrics were computed on."""
    return tuple(metric.basis for metric in basis_metrics().values() if metric.basis is not None)


def set_basis(metric: SetMetric | None = None) -> SetBasis:
    """The columns that say what ``metric`` was computed on; by default, of the metrics that the short table shows."""
    shown = metric or next(iter(headline_set_metrics()), None)
    declarer = basis_metrics().get(shown.extractor) if shown is not None else None
    return SetBasis() if declarer is None or declarer.basis is None else declarer.basis


def n_set_images(row: Mapping[str, Any]) -> int | None:
    """The number of images of a row's metrics of sets; None if it has none."""
    counts = (row.get(basis.n) for basis in set_bases())
    return next(
        (int(count) for count in counts if count is not None and count == count), None
    )  # NaN differs from itself


def size_columns(metric: SetMetric) -> list[str]:
    """The columns with the number of items that ``metric`` was computed on, the best first.

    >>> all(size_columns(metric)[0] == metric.count for metric in all_set_metrics() if metric.count)
    True
    """
    return [name for name in (metric.count, set_basis(metric).n) if name is not None]


def labels_of(metrics: Iterable[Metric | SetMetric], word: str = "and") -> str:
    """The labels of metrics in a sentence, ``word`` before the last.

    >>> labels_of(metric for metric in all_metrics() if metric.name in {"mse", "ssim"})
    'MSE and SSIM'
    """
    labels = [metric.label for metric in metrics]
    return f" {word} ".join(filter(None, [", ".join(labels[:-1]), *labels[-1:]]))


def check_names(names: Iterable[str]) -> None:
    """Raises ValueError, with near names and all that are known, for a name that no metric has.

    >>> check_names(["psnr_db", "ssim"])
    """
    known = [metric.name for metric in declared()]
    for name in names:
        if name not in known:
            raise METRICS.unknown(name, known)


def rows_schema() -> pa.Schema:
    """The schema of the rows: ``ROWS``, and a column for each metric of single pictures that it does not name."""
    columns = {metric.name: metric.comment for metric in all_metrics()}
    return _with_columns(ROWS, columns)


def summary_schema() -> pa.Schema:
    """The schema of the summary: ``SUMMARY``, the columns of :func:`set_bases`, and the columns of each metric.

    Columns in ``SUMMARY`` keep the definition that they have there.
    """
    base = SUMMARY
    place = base.names.index("unscored")
    fields = [one for basis in set_bases() for one in basis.fields()]
    for number, field_of_basis in enumerate(fields):
        base = base.insert(place + number, field_of_basis)
    columns: dict[str, str] = {}
    for metric in all_metrics():
        columns[metric.name] = f"mean over images: {metric.comment}"
        columns[f"{metric.name}_low"] = f"lower end of the 95 % bootstrap interval of {metric.name}"
        columns[f"{metric.name}_high"] = f"upper end of the 95 % bootstrap interval of {metric.name}"
    for set_metric in all_set_metrics():
        if set_metric.takes == "features":
            columns |= columns_of(set_metric)
    return _with_columns(base, columns)


def _with_columns(schema: pa.Schema, columns: Mapping[str, str]) -> pa.Schema:
    for name, comment in columns.items():
        if name not in schema.names:
            schema = schema.append(pa.field(name, pa.float64(), metadata={"comment": comment}))
    return schema

"""The summary of rows: one row for each setting, point and reconstruction of each codec on each data set.

Rates are means over images of whole-file bits per pixel. PSNR is the mean over images of the image's PSNR; images
that are reproduced exactly have none, are left out of that mean and counted. Intervals are percentile bootstrap
intervals over images, with the same resamples for everything on a data set. Other metrics of single pictures are means
over all images, metrics of sets come from the scoring as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from uqdm.bench.analysis import bootstrap
from uqdm.bench.analysis.summary_csv import write_summary_csv
from uqdm.bench.file_identity import clear_way
from uqdm.bench.metrics import (
    all_metrics,
    all_set_metrics,
    columns_of,
    headline_set_metrics,
    labels_of,
    n_set_images,
    set_bases,
    set_basis,
    summary_schema,
)
from uqdm.bench.run.errors import ResultsError, score_remedy
from uqdm.bench.run.json_files import read_labels, read_scores
from uqdm.bench.run.layout import summary_columns_path, summary_path
from uqdm.bench.run.merged import MergedRun, merged_runs
from uqdm.bench.run.provenance import provenance, with_provenance
from uqdm.bench.run.rates import image_rates, is_ideal, with_rates
from uqdm.bench.run.row_batches import image_indices, row_batches
from uqdm.bench.run.rows_reader import rows_files, rows_provenance, rows_with
from uqdm.bench.run.run_id import read_run_id
from uqdm.bench.run.unscored import is_not_scored, unscored_map
from uqdm.bench.schema import (
    MACS_CONVENTION,
    PEAK_MEMORY_CONVENTION,
    REPEATED_TIMES,
    STATUS_FAILED,
    STATUS_OK,
    STATUS_REFERENCE,
    STATUS_SKIPPED,
)
from uqdm.files import replacing
from uqdm.text import counted, printable

_SETTING = ["codec", "setting"]
_PICTURE = [*_SETTING, "point_index", "point", "reconstruction"]
_COSTS = [
    "encode_ms",
    "decode_ms",
    *REPEATED_TIMES,
    "batch_size",
    "threads",
    "encode_calls",
    "decode_calls",
    "macs_per_pixel",
]
_MEANS = ["bpp", *_COSTS]
_COLUMNS = ["dataset", "fingerprint", "codec_version", "rate_kind", *_PICTURE, *_MEANS, "device"]
_COLUMNS += ["target", "target_tries", "target_error"]
_LARGEST = ["peak_memory_bytes", "timing_repeats"]
_COLUMNS += [*_LARGEST, "image_index", "height", "width", "ideal_bits", "unscored", "status", "error"]
_CHECKED = ["dataset", "fingerprint", *_SETTING, "codec_version", "image_index", "status", "unscored"]
_MOST_BYTES = 2**26  # of metrics' values held at once; their intervals take four times as much


def protocol() -> dict[str, str]:
    """How the numbers of a summary are computed; part of its provenance."""
    basis = set_basis()
    caution = f", and {basis.caution}" if basis.caution else ""
    return {
        "rate": "mean over images of 8 x bytes of the file / (height x width), in bits per pixel; headers count",
        "ideal rate": (
            "mean over images of a model's own bits / (height x width), without coder, header or padding; where there "
            "is no file (rate_kind 'ideal') it is what ideal channel simulation would cost, and no file has it"
        ),
        "PSNR": (
            "mean over images of 10 log10(255^2 / MSE) in dB, MSE over pixels and channels; exact images are left out"
        ),
        "MSE, SSIM, other metrics, times and other costs": (
            "means over all images that succeeded, null where an image has no value; of memory, the largest"
        ),
        labels_of(headline_set_metrics()): (
            "Inception features of pictures against those of the same originals, on the images and settings chosen for "
            f"metrics of sets; {basis.n} says how many images{caution}"
        ),
        "multiply-accumulates per pixel": MACS_CONVENTION,
        "peak memory": PEAK_MEMORY_CONVENTION,
        "intervals": (
            f"{bootstrap.LEVEL_TEXT} percentile bootstrap over images, {bootstrap.N_RESAMPLES:,} resamples, seed "
            f"{bootstrap.SEED}, the same resamples for every codec; they describe the spread over these images, and "
            "are too narrow where several images come from one photograph"
        ),
    }


def summarize_run(run_dir: Path) -> pd.DataFrame:
    """Summarizes the rows of a run, writes the summary as Parquet and as CSV, and returns it.

    Raises :class:`~uqdm.bench.run.errors.ResultsError` where rows are missing or do not belong together.
    """
    columns = [*_COLUMNS, *(metric.name for metric in all_metrics())]
    for path in rows_files(run_dir):
        rows_with(path, columns)  # raises where one is lacking
    summary = summarize(row_batches(run_dir), lambda: read_scores(run_dir).get("sets", ()), run_dir)
    summary = _with_labels(summary, read_labels(run_dir))
    runs = merged_runs(run_dir)
    made = {"protocol": protocol() | _merged_from(runs), "rows": rows_provenance(run_dir)}
    made |= {"merged_from": [one.name for one in runs]} if runs else {}
    origin = {**provenance(), "run_id": read_run_id(run_dir), **made}
    schema = summary_schema()
    table = pa.Table.from_pandas(summary, schema, preserve_index=False).cast(with_provenance(schema, origin))
    clear_way(summary_path(run_dir))
    with replacing(summary_path(run_dir)) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
    write_summary_csv(table, summary_path(run_dir, ".csv"), summary_columns_path(run_dir))
    return summary


def _merged_from(runs: Sequence[MergedRun]) -> dict[str, str]:
    """Which runs the rows are of, where there are several."""
    named = "; ".join(f"{one.name} ({printable(str(one.run_dir))})" for one in runs)
    how = "a codec that several of them have is one codec where its files, pictures and versions are equal"
    return {"merged from": f"{named}; {how}"} if named else {}


def _with_labels(summary: pd.DataFrame, labels: Mapping[tuple[str, str], str]) -> pd.DataFrame:
    """The summary with the label of each codec and setting that has one."""
    found = [labels.get(key, np.nan) for key in zip(summary.codec, summary.setting, strict=True)]
    return summary.assign(label=pd.Series(found, index=summary.index, dtype=object))


class Batch(Protocol):
    """All rows of some settings; :class:`~uqdm.bench.run.row_batches.RowBatch` is one."""

    def read(self, columns: Sequence[str]) -> pd.DataFrame:
        """These columns of the rows."""


def summarize(
    batches: Sequence[Batch], read_sets: Callable[[], Sequence[Mapping[str, Any]]], run_dir: Path | str
) -> pd.DataFrame:
    """The columns of the summary; rows are read twice, a batch at a time.

    ``read_sets`` gives the metrics of sets as scoring stores them, and is called after the rows were checked: rows that
    are not scored are reported first. ``run_dir`` is for messages. Raises
    :class:`~uqdm.bench.run.errors.ResultsError` where rows do not belong together, or were not scored.
    """
    columns = [*_COLUMNS, *(metric.name for metric in all_metrics())]
    images = _check_rows([partial(batch.read, _CHECKED) for batch in batches], run_dir)
    return _summarize([partial(batch.read, columns) for batch in batches], images, read_sets())


Part = Callable[[], pd.DataFrame]
"""Reads all rows of some settings."""


def _check_rows(parts: Sequence[Part], run_dir: Path | str) -> dict[str, pd.Index]:
    """Checks that rows belong together and are scored; returns the indices of the images of each data set."""
    contents: dict[str, dict[str, dict[str, None]]] = {}
    images: dict[str, np.ndarray] = {}
    unscored: Counter[str] = Counter()
    versions: ResultsError | None = None
    for part in parts:
        rows = part()
        for (dataset, fingerprint), codecs in rows.groupby(["dataset", "fingerprint"])["codec"]:
            codecs_of = contents.setdefault(str(dataset), {}).setdefault(str(fingerprint), {})
            codecs_of.update(dict.fromkeys(codecs.unique()))
        versions = versions or _different_versions(rows)
        for dataset, data in rows.groupby("dataset"):
            images[str(dataset)] = np.union1d(images.get(str(dataset), np.empty(0, np.int64)), image_indices(data))
        incomplete = rows[(rows.status == STATUS_OK) & rows.unscored.notna()]
        unscored.update(incomplete.codec[incomplete.unscored.map(is_not_scored).astype(bool)])
    if not contents:
        raise ResultsError("the files of the rows are empty; evaluate a codec first")
    _check_fingerprints(contents)
    if versions is not None:
        raise versions
    if unscored:
        names = ", ".join(unscored)
        raise ResultsError(
            f"{counted(unscored.total(), 'row is', 'rows are')} not scored yet ({names}); {score_remedy(run_dir)}"
        )
    return {dataset: pd.Index(indices) for dataset, indices in images.items()}


def _summarize(
    parts: Sequence[Part], images: Mapping[str, pd.Index], sets: Sequence[Mapping[str, Any]]
) -> pd.DataFrame:
    """The summary of checked rows."""
    datasets: dict[str, _DataSetSummary] = {}
    for part in parts:
        rows = part()
        _check_pictures(rows[rows.status == STATUS_OK])
        for dataset, data in rows.groupby("dataset"):
            datasets.setdefault(str(dataset), _DataSetSummary(images[str(dataset)])).add(data)
    summary = pd.concat([datasets[dataset].summary(sets) for dataset in sorted(datasets)])
    lowest = with_rates(summary).groupby(["dataset", *_SETTING])["rate_bpp"].transform("min")
    order = ["dataset", "codec", "lowest", "setting", "point_index", "reconstruction"]
    summary = summary.assign(lowest=lowest).sort_values(order)
    summary = summary.reindex(columns=summary_schema().names).reset_index(drop=True)
    reasons = [found if isinstance(found, Mapping) else None for found in summary.unscored]
    return _with_labels(summary.assign(unscored=pd.Series(reasons, dtype=object)), {})


class _DataSetSummary:
    """Builds the summary of one data set, some settings at a time; ``images`` are the indices of its images."""

    def __init__(self, images: pd.Index) -> None:
        self._images = images
        self._named: dict[str, Any] = {}
        self._settings: list[pd.DataFrame] = []
        self._pictures: list[pd.DataFrame] = []
        self._waiting: list[tuple[pd.DataFrame, dict[str, np.ndarray]]] = []

    def add(self, rows: pd.DataFrame) -> None:
        """Adds all rows of some settings."""
        self._named = {"dataset": rows.dataset.iloc[0], "fingerprint": rows.fingerprint.iloc[0]}
        self._settings.append(_settings(rows))
        table, values = _pictures(rows[rows.status == STATUS_OK], self._images)
        held = sum(matrix.nbytes for _, matrices in self._waiting for matrix in matrices.values())
        if held + sum(matrix.nbytes for matrix in values.values()) > _MOST_BYTES:
            self._finish_pictures()
        self._waiting.append((table, values))

    def _finish_pictures(self) -> None:
        """Means and intervals of the pictures so far, with the same resamples, because drawing them takes time."""
        if self._waiting:
            table = pd.concat([table for table, _ in self._waiting])
            names = list(dict.fromkeys(name for _, values in self._waiting for name in values))
            whole = [np.concatenate([values.pop(name) for _, values in self._waiting], axis=1) for name in names]
            for name, columns in zip(names, _means(whole, table.n.to_numpy()), strict=True):
                table[name], table[f"{name}_low"], table[f"{name}_high"] = columns
            self._pictures.append(table.reset_index().assign(status=STATUS_OK))
            self._waiting = []

    def summary(self, sets: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
        """The pictures of each setting, or one row for a setting that has none."""
        self._finish_pictures()
        settings, pictures = pd.concat(self._settings), _with_sets(pd.concat(self._pictures, ignore_index=True), sets)
        bare = settings.loc[settings.index.difference(pd.MultiIndex.from_frame(pictures[_SETTING]))]
        bare = bare.reset_index().assign(n=0, exact=0)
        known = settings.drop(columns=["status", "target"]).reset_index()
        references = pd.DataFrame([_reference(line) for line in sets if line.get("status") == STATUS_REFERENCE])
        found = pd.concat([pictures.merge(known, on=_SETTING, how="left"), bare, references])
        return found.assign(**self._named)


def _with_sets(pictures: pd.DataFrame, sets: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """``pictures`` with the columns of metrics of sets; ``unscored`` names metrics of both kinds."""
    names = [name for metric in all_set_metrics() for name in columns_of(metric)]
    of_bases = [name for basis in set_bases() for name in basis.names]
    columns = [*_PICTURE, *names, *of_bases, "unscored"]
    found = pd.DataFrame([line for line in sets if line.get("status") != STATUS_REFERENCE]).reindex(columns=columns)
    merged = pictures.merge(found, on=_PICTURE, how="left", suffixes=("", "_sets")) if len(found) else pictures
    if len(found):
        pairs = zip(merged.pop("unscored"), merged.pop("unscored_sets"), strict=True)
        both = [
            {name: reason for one in pair if isinstance(one, Mapping) for name, reason in one.items()} or None
            for pair in pairs
        ]
        merged["unscored"] = pd.Series(both, index=merged.index, dtype=object)
    return merged


def _reference(line: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the summary that compares originals with originals; no codec takes part."""
    return {**line, "n": n_set_images(line) or 0, "failed": 0, "exact": 0}


def _settings(rows: pd.DataFrame) -> pd.DataFrame:
    """For each codec and setting: version, images that failed, first reason, and its status if no image succeeded."""
    groups = rows.groupby(_SETTING)
    settings = groups[["codec_version", "rate_kind", "error", "target"]].first()
    failed = rows[rows.status == STATUS_FAILED].groupby(_SETTING)["image_index"].nunique()
    settings["failed"] = failed.reindex(settings.index, fill_value=0)
    settings["status"] = np.where(settings.failed > 0, STATUS_FAILED, STATUS_SKIPPED)
    return settings


def _pictures(ok: pd.DataFrame, images: pd.Index) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """For each setting, point and reconstruction counts and means over rows with status ok, and each metric's values.

    The values are float64 [images, pictures], NaN where a picture lacks an image.
    """
    ok = ok.assign(exact=ok.mse == 0, ideal_bpp=ok.ideal_bits / (ok.height * ok.width))
    ok = ok.assign(target_error=ok.target_error.astype(float).abs(), target_tries=ok.target_tries.astype(float))
    groups = ok.groupby(_PICTURE, sort=False)
    table = groups[_MEANS].mean()
    table["n"], table["exact"] = groups.size(), groups["exact"].sum()
    table["device"] = groups["device"].agg(_joined)
    table[_LARGEST] = groups[_LARGEST].max()
    unscored = [_unscored(reasons) for _, reasons in groups["unscored"]] if len(table) else None
    table["target"] = groups["target"].first()
    table["target_tries"] = groups["target_tries"].mean()
    table["target_error"] = groups["target_error"].mean()
    table["unscored"] = pd.Series(unscored, index=table.index, dtype=object)
    place = (images.get_indexer(pd.Index(ok.image_index)), groups.ngroup())
    values = {}
    for name in ["bpp", "ideal_bpp", *(metric.name for metric in all_metrics() if metric.name in ok)]:
        values[name] = np.full((len(images), len(table)), np.nan)
        values[name][place] = ok[name]
    return table, values


def _means(metrics: Sequence[np.ndarray], n: np.ndarray) -> np.ndarray:
    """Means and intervals [M, 3, K] of the columns of M metrics [images, K], each of which has ``n`` [K] images.

    A column that lacks one of its images has none. Infinite values (the PSNR of exact images) are left out of both; the
    mean of a column of nothing else is infinite.
    """
    found = np.full((len(metrics), 3, len(n)), np.nan)
    finite, places = [], []
    for number, values in enumerate(metrics):
        complete = (~np.isnan(values)).sum(axis=0) == n
        wanted = np.where(np.isfinite(values) & complete, values, np.nan)
        some = np.isfinite(wanted).any(axis=0)
        found[number, 0, complete & ~some & (n > 0)] = np.inf
        if some.any():
            finite.append(wanted[:, some])
            places.append((number, np.flatnonzero(some)))
    if finite:
        figures = np.stack(bootstrap.mean_intervals(np.concatenate(finite, axis=1)))  # resamples drawn once for all
        ends = np.cumsum([columns.size for _, columns in places])[:-1]
        for (number, columns), part in zip(places, np.split(figures, ends, axis=1), strict=True):
            found[number][:, columns] = part
    return found


def _unscored(reasons_of_rows: pd.Series) -> dict[str, str] | None:
    """The metrics that some of these images lack, each with its first reason."""
    first: dict[str, str] = {}
    counts: Counter[str] = Counter()
    n_images = len(reasons_of_rows)
    times = Counter(map(id, reasons_of_rows))  # rows of the same reasons share one dictionary
    for reasons in {id(one): one for one in reasons_of_rows}.values():
        if isinstance(reasons, Mapping):
            counts.update(dict.fromkeys(reasons, times[id(reasons)]))
            first = {**reasons, **first}
    return unscored_map(
        {
            name: reason
            if counts[name] == n_images
            else f"{counts[name]} of {n_images} images have none, the first: {reason}"
            for name, reason in first.items()
        }
    )


def _joined(texts: pd.Series) -> Any:
    return "; ".join(sorted(texts.dropna().unique())) or None


def _check_fingerprints(contents: Mapping[str, Mapping[str, Iterable[str]]]) -> None:
    """Two contents under one name must never share a table: codecs by data set and fingerprint."""
    for dataset, found in sorted(contents.items()):
        if len(found) > 1:
            listed = "; ".join(f"{fingerprint}: {', '.join(names)}" for fingerprint, names in sorted(found.items()))
            raise ResultsError(
                f"data set {dataset!r} has rows of different contents ({listed}); "
                "evaluate these codecs on the same images, or into different folders"
            )


def _different_versions(rows: pd.DataFrame) -> ResultsError | None:
    """One setting measured with two versions of a codec is not one measurement."""
    for (dataset, codec, setting), versions in rows.groupby(["dataset", *_SETTING])["codec_version"]:
        found = versions.dropna().unique()
        if len(found) > 1:
            return ResultsError(
                f"{codec} at {setting!r} on {dataset!r} has rows of different versions ({'; '.join(found)}); "
                "evaluate it again with one of them"
            )
    return None


def _check_pictures(ok: pd.DataFrame) -> None:
    """A picture that was measured has its numbers, once."""
    ideal = is_ideal(ok)
    if ok.bpp[ideal].notna().any():
        names = ", ".join(ok.codec[ideal & ok.bpp.notna()].unique())
        raise ResultsError(f"{names}: rows of ideal rates have bits of files, which an ideal codec cannot make")
    ok = ok.assign(bpp=image_rates(ok))
    for name in (*_PICTURE, "image_index", "bpp", "mse", "psnr_db"):
        if ok[name].isna().any():
            first = ok[ok[name].isna()].iloc[0]
            reasons = first.unscored if isinstance(first.unscored, Mapping) else {}
            reason = reasons.get(name, "evaluate it again")
            raise ResultsError(f"{first.codec} at {first.setting!r}: a row with status ok has no {name}: {reason}")
    twice = ok[ok.duplicated(["dataset", *_PICTURE, "image_index"])]
    if not twice.empty:
        first = twice.iloc[0]
        raise ResultsError(
            f"{first.codec} at {first.setting!r}: {counted(len(twice), 'row is', 'rows are')} there twice, the first "
            f"for image {first.image_index} of {first.dataset!r}; remove the file of rows that does not belong here"
        )

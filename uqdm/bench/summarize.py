"""From rows to the summary: a row for each setting, point and reconstruction of each codec on each data set.

Rates are means over images of whole-file bits per pixel. PSNR is the mean over images of the image's PSNR; images
that are reproduced exactly have none, are left out of that mean and counted. Intervals are percentile bootstrap
intervals over images, with the same resamples for everything on a data set.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from uqdm.bench import bootstrap
from uqdm.bench.files import replacing
from uqdm.bench.provenance import provenance, with_provenance
from uqdm.bench.results import ResultsError, read_rows, rows_provenance, summary_path
from uqdm.bench.schema import (
    MACS_CONVENTION,
    PEAK_MEMORY_CONVENTION,
    STATUS_FAILED,
    STATUS_OK,
    STATUS_SKIPPED,
    SUMMARY,
)

PROTOCOL = {
    "rate": "mean over images of 8 x bytes of the file / (height x width), in bits per pixel; headers count",
    "PSNR": "mean over images of 10 log10(255^2 / MSE) in dB, MSE over pixels and channels; exact images are left out",
    "MSE, times and other costs": "means over all images that succeeded; of memory, the largest",
    "multiply-accumulates per pixel": MACS_CONVENTION,
    "peak memory": PEAK_MEMORY_CONVENTION,
    "intervals": (
        f"{bootstrap.LEVEL_TEXT} percentile bootstrap over images, {bootstrap.N_RESAMPLES:,} resamples, seed "
        f"{bootstrap.SEED}, the same resamples for every codec; they describe the spread over these images, and are "
        "too narrow where several images come from one photograph"
    ),
}
"""How the numbers of a summary are made; part of its provenance."""

_SETTING = ["codec", "setting"]
_PICTURE = [*_SETTING, "point_index", "point", "reconstruction"]
_COSTS = ["encode_ms", "decode_ms", "batch_size", "threads", "encode_calls", "decode_calls", "macs_per_pixel"]
_MEANS = ["bpp", "mse", "psnr_db", *_COSTS]
_COLUMNS = ["dataset", "fingerprint", "codec_version", *_PICTURE, *_MEANS, "device", "peak_memory_bytes"]
_COLUMNS += ["image_index", "height", "width", "ideal_bits", "status", "error"]


def summarize_run(run_dir: Path) -> pd.DataFrame:
    """Summarizes the rows of a run, writes ``summary.parquet`` and ``summary.csv``, and returns the summary.

    Raises :class:`~uqdm.bench.results.ResultsError` where rows are missing or do not belong together.
    """
    summary = summarize_rows(read_rows(run_dir, _COLUMNS))
    origin = {**provenance(), "protocol": PROTOCOL, "rows": rows_provenance(run_dir)}
    table = pa.Table.from_pandas(summary, SUMMARY, preserve_index=False).cast(with_provenance(SUMMARY, origin))
    with replacing(summary_path(run_dir)) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
    with replacing(summary_path(run_dir, ".csv")) as temporary:
        pyarrow.csv.write_csv(table, temporary)
    return summary


def summarize_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns of ``SUMMARY`` from the columns of ``ROWS`` (all but seeds, sizes in bits and checks are needed).

    Raises :class:`~uqdm.bench.results.ResultsError` where rows do not belong together.
    """
    if rows.empty:
        raise ResultsError("the files of the rows are empty; evaluate a codec first")
    _check_fingerprints(rows)
    _check_versions(rows)
    _check_pictures(rows[rows.status == STATUS_OK])
    summary = pd.concat([_summarize_dataset(data) for _, data in rows.groupby("dataset")])
    lowest = summary.groupby(["dataset", *_SETTING])["bpp"].transform("min")
    order = ["dataset", "codec", "lowest", "setting", "point_index", "reconstruction"]
    return summary.assign(lowest=lowest).sort_values(order).reindex(columns=SUMMARY.names).reset_index(drop=True)


def _summarize_dataset(rows: pd.DataFrame) -> pd.DataFrame:
    """The summary of one data set: the pictures of each setting, or one row for a setting that has none."""
    settings = _settings(rows)
    pictures = _pictures(rows)
    bare = settings.loc[settings.index.difference(pd.MultiIndex.from_frame(pictures[_SETTING]))]
    bare = bare.reset_index().assign(n=0, exact=0)
    known = settings.drop(columns="status").reset_index()
    return pd.concat([pictures.merge(known, on=_SETTING, how="left"), bare]).assign(
        dataset=rows.dataset.iloc[0], fingerprint=rows.fingerprint.iloc[0]
    )


def _settings(rows: pd.DataFrame) -> pd.DataFrame:
    """For each codec and setting: version, images that failed, first reason, and its status if no image succeeded."""
    groups = rows.groupby(_SETTING)
    settings = groups[["codec_version", "error"]].first()
    failed = rows[rows.status == STATUS_FAILED].groupby(_SETTING)["image_index"].nunique()
    settings["failed"] = failed.reindex(settings.index, fill_value=0)
    settings["status"] = np.where(settings.failed > 0, STATUS_FAILED, STATUS_SKIPPED)
    return settings


def _pictures(rows: pd.DataFrame) -> pd.DataFrame:
    """For each setting, point and reconstruction: counts, means and intervals over the images with status ok."""
    ok = rows[rows.status == STATUS_OK]
    ok = ok.assign(exact=ok.mse == 0, ideal_bpp=ok.ideal_bits / (ok.height * ok.width))
    ok["psnr_db"] = ok.psnr_db.mask(ok.exact)
    groups = ok.groupby(_PICTURE, sort=False)
    table = groups[[*_MEANS, "ideal_bpp"]].mean()
    table["n"], table["exact"] = groups.size(), groups["exact"].sum()
    table["device"] = groups["device"].agg(_joined)
    table["peak_memory_bytes"] = groups["peak_memory_bytes"].max()
    table.loc[groups["ideal_bpp"].count() < table.n, "ideal_bpp"] = np.nan  # a mean over some images would mislead
    images = pd.Index(rows.image_index.dropna().unique()).sort_values()
    for name in ("bpp", "psnr_db"):
        values = np.full((len(images), len(table)), np.nan)
        values[images.get_indexer(ok.image_index), groups.ngroup()] = ok[name]
        table[f"{name}_low"], table[f"{name}_high"] = bootstrap.mean_intervals(values)
    table["psnr_db"] = table.psnr_db.mask(table.exact == table.n, np.inf)
    return table.reset_index().assign(status=STATUS_OK)


def _joined(texts: pd.Series) -> Any:
    return "; ".join(sorted(texts.dropna().unique())) or None


def _check_fingerprints(rows: pd.DataFrame) -> None:
    """Two contents under one name must never share a table."""
    for dataset, codecs in rows.groupby("dataset"):
        found = codecs.groupby("fingerprint")["codec"].unique()
        if len(found) > 1:
            listed = "; ".join(f"{fingerprint}: {', '.join(names)}" for fingerprint, names in found.items())
            raise ResultsError(
                f"data set {dataset!r} has rows of different contents ({listed}); "
                "evaluate these codecs on the same images, or into different folders"
            )


def _check_versions(rows: pd.DataFrame) -> None:
    """One setting measured with two versions of a codec is not one measurement."""
    for (dataset, codec, setting), versions in rows.groupby(["dataset", *_SETTING])["codec_version"]:
        found = versions.dropna().unique()
        if len(found) > 1:
            raise ResultsError(
                f"{codec} at {setting!r} on {dataset!r} has rows of different versions ({'; '.join(found)}); "
                "evaluate it again with one of them"
            )


def _check_pictures(ok: pd.DataFrame) -> None:
    """A picture that was measured has its numbers, once."""
    for name in (*_PICTURE, "image_index", "bpp", "mse", "psnr_db"):
        if ok[name].isna().any():
            first = ok[ok[name].isna()].iloc[0]
            raise ResultsError(
                f"{first.codec} at {first.setting!r}: a row with status ok has no {name}; evaluate it again"
            )
    twice = ok[ok.duplicated(["dataset", *_PICTURE, "image_index"])]
    if not twice.empty:
        first = twice.iloc[0]
        raise ResultsError(
            f"{first.codec} at {first.setting!r}: {len(twice)} rows are there twice, the first for image "
            f"{first.image_index} of {first.dataset!r}; remove the file of rows that does not belong here"
        )

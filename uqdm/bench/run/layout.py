"""The layout of a run's folder: every name in it is defined here.

=============================== ====================================================================
``run.json``                    the run's id
``merged.json``                 the runs that were merged into this folder, if it is not a run of its own
``shards/CODEC/KEY.parquet``    rows of a shard, as they were measured: what a resumed run reads
``streams/``                    the coded files of the present rows, one file for each shard
``reconstructions/``            the decoded pictures of the present rows, where they are kept
``originals.parquet``           originals, up to a number of bytes, for a report without the data set
``superseded/``                 streams and pictures that belong to no present row, in these folders
``timings/CODEC/KEY.parquet``   times of a shard that were measured again in rounds
``scores/CODEC/KEY.parquet``    values of one metric on a shard
``scores/sets/KEY.json``        values of one metric of sets
``per_image/CODEC.parquet``     the rows of a codec, one for each picture
``manifests/CODEC.json``        what a finished codec writes last
``evaluation.json``             what a finished evaluation writes last
``scores.json``                 what a finished scoring writes last
``summary.parquet``             means over the images of each setting
``summary.csv``                 the same for people
``summary_columns.csv``         what its columns mean, and why values are lacking
``bd.csv``                      Bjøntegaard deltas
``bd_per_image.csv``            Bjøntegaard deltas of single images
``robustness.csv``              damaged files, and decoding in other processes, where that was measured
``robustness.parquet``          the same rows
``imported/NAME.csv``           curves of others, imported to be shown beside those of the run
``plots/``, ``report.html``     figures and report
``grid/``                       pictures of codecs beside each other at equal rates
``contest.html``                the page of a contest
``plots/not_drawn.json``        plots that the run has nothing to show in, and why
``status.json``, ``.lock``      progress while a run is under way; who works in the folder
``report_pictures/``            pictures that the report shows and that are too many for one page
``logs/``, ``benchmarks/``      what the workflow's rules print, and how long they took
=============================== ====================================================================

Features of pictures are stored beside the runs, in ``features/``, since all runs share them.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from pathlib import Path


class ShardFolder(enum.StrEnum):
    """The folders that hold a file for each shard."""

    ROWS = "shards"
    STREAMS = "streams"
    RECONSTRUCTIONS = "reconstructions"


_SUPERSEDED = "superseded"
_ROWS = "per_image"
_MANIFESTS = "manifests"
_SCORES = "scores"
_SETS = "sets"
_TIMINGS = "timings"
_FEATURES = "features"
_IMPORTED = "imported"
_PLOTS = "plots"
_NOT_DRAWN = "not_drawn.json"
_GRID = "grid"
_ORIGINALS = "originals.parquet"
_SUMMARY = "summary"
_SUMMARY_COLUMNS = "summary_columns.csv"
_RUN_ID = "run.json"
_MERGED = "merged.json"
_EVALUATION = "evaluation.json"
_SCORING = "scores.json"
_STATUS = "status.json"
_LOCK = ".lock"
_BD = "bd.csv"
_BD_OF_IMAGES = "bd_per_image.csv"
_ROBUSTNESS = "robustness"
_REPORT = "report.html"
_SIGNS = (_STATUS, _EVALUATION, _MANIFESTS, ShardFolder.ROWS, _ROWS, _LOCK)


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a run, begun or finished."""
    return folder.is_dir() and any((folder / name).exists() for name in _SIGNS)


def run_id_path(run_dir: Path) -> Path:
    """The run's id (see :mod:`uqdm.bench.run.run_id`)."""
    return run_dir / _RUN_ID


def merged_path(run_dir: Path) -> Path:
    """The runs that the folder was merged from (see :mod:`uqdm.bench.run.merged`)."""
    return run_dir / _MERGED


def lock_path(run_dir: Path) -> Path:
    """The file that is locked. It is hidden, so that readers of Parquet folders ignore it."""
    return run_dir / _LOCK


def status_path(run_dir: Path) -> Path:
    """The progress of a run that is under way (see :mod:`uqdm.bench.progress.status`)."""
    return run_dir / _STATUS


def shard_path(run_dir: Path, folder: ShardFolder, codec: str, key: str) -> Path:
    """A shard's file of one kind; ``key`` is that of the shard."""
    return run_dir / folder / codec / f"{key}.parquet"


def shard_files(run_dir: Path) -> Iterator[Path]:
    """The rows of every stored shard of all codecs."""
    return (run_dir / ShardFolder.ROWS).glob("*/*.parquet")


def superseded_dir(run_dir: Path) -> Path:
    """The folder of shards' files that belong to no present row; it has the same folders as ``run_dir``."""
    return run_dir / _SUPERSEDED


def manifests_dir(run_dir: Path) -> Path:
    """The folder of the manifests, one file for each codec."""
    return run_dir / _MANIFESTS


def manifest_path(run_dir: Path, codec: str) -> Path:
    """What a codec's finished evaluation writes last: its settings, versions and shards."""
    return manifests_dir(run_dir) / f"{codec}.json"


def rows_dir(run_dir: Path) -> Path:
    """The folder of the rows, one Parquet file for each codec."""
    return run_dir / _ROWS


def rows_path(run_dir: Path, codec: str) -> Path:
    """The rows of a codec."""
    return rows_dir(run_dir) / f"{codec}.parquet"


def run_of_rows(path: Path) -> Path:
    """The run's folder of a file of :func:`rows_path`."""
    return path.parent.parent


def originals_path(run_dir: Path) -> Path:
    """The originals that the run keeps (see :mod:`uqdm.bench.run.originals`)."""
    return run_dir / _ORIGINALS


def evaluation_path(run_dir: Path) -> Path:
    """What a finished evaluation writes last: outcomes of all codecs, times, the data set."""
    return run_dir / _EVALUATION


def scores_path(run_dir: Path) -> Path:
    """What a finished scoring writes last: metrics of sets, and what could not be scored."""
    return run_dir / _SCORING


def shard_scores_path(run_dir: Path, codec: str, key: str) -> Path:
    """The values of a metric on a shard; ``key`` depends on both."""
    return run_dir / _SCORES / codec / f"{key}.parquet"


def shard_timings_path(run_dir: Path, codec: str, key: str) -> Path:
    """The repeated times of a shard; ``key`` is that of the shard."""
    return run_dir / _TIMINGS / codec / f"{key}.parquet"


def set_scores_path(run_dir: Path, key: str) -> Path:
    """The values of a metric of sets; ``key`` depends on the metric and on both sets."""
    return run_dir / _SCORES / _SETS / f"{key}.json"


def features_dir(run_dir: Path) -> Path:
    """The store of features that runs in the same folder share, unless another is asked for."""
    return run_dir.absolute().parent / _FEATURES


def summary_path(run_dir: Path, suffix: str = ".parquet") -> Path:
    """The summary: ``.parquet``, or ``.csv`` with the same rows."""
    return run_dir / f"{_SUMMARY}{suffix}"


def summary_columns_path(run_dir: Path) -> Path:
    """What the columns of the summary as CSV mean, and why values are lacking."""
    return run_dir / _SUMMARY_COLUMNS


def bd_path(run_dir: Path) -> Path:
    """The Bjøntegaard deltas of the run's curves."""
    return run_dir / _BD


def bd_of_images_path(run_dir: Path) -> Path:
    """The Bjøntegaard deltas of single images."""
    return run_dir / _BD_OF_IMAGES


def robustness_path(run_dir: Path, suffix: str = ".csv") -> Path:
    """What codecs did with damaged files and in other processes: ``.csv``, or ``.parquet`` with the same rows."""
    return run_dir / f"{_ROBUSTNESS}{suffix}"


def imported_dir(run_dir: Path) -> Path:
    """The folder of imported curves, a CSV file for each (see :mod:`uqdm.bench.exchange.imported`)."""
    return run_dir / _IMPORTED


def plots_dir(run_dir: Path) -> Path:
    """The folder of the plots."""
    return run_dir / _PLOTS


def not_drawn_path(plots: Path) -> Path:
    """In a folder of plots: the plots that the run has nothing to draw for, each with the reason."""
    return plots / _NOT_DRAWN


def grid_dir(run_dir: Path) -> Path:
    """The folder of the grid of pictures."""
    return run_dir / _GRID


def grid_path(folder: Path, suffix: str) -> Path:
    """The grid as a file of one kind, ``png``, ``pdf`` or ``html``, in a folder."""
    return folder / f"{_GRID}.{suffix}"


def contest_path(run_dir: Path) -> Path:
    """The page of a contest."""
    return run_dir / "contest.html"


def report_path(run_dir: Path) -> Path:
    """The report."""
    return run_dir / _REPORT


def report_pictures_path(report: Path) -> Path:
    """The folder of pictures beside a report.

    >>> report_pictures_path(Path("run/report.html"))
    PosixPath('run/report_pictures')
    """
    return report.with_name(f"{report.stem}_pictures")

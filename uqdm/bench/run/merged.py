"""The folder that several runs were merged into: which runs these are.

Such a folder has rows, scores and products like that of a run. Coded files and decoded pictures stay in the folders of
the runs: the manifests say for each setting where it is ``taken_from``, with the run's folder relative to this one, and
the names that codec and data set have there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.json_files import read_json
from uqdm.bench.run.layout import merged_path


@dataclass(frozen=True)
class MergedRun:
    """One of the runs in a merged folder: the name that it has there, its folder, and its id if it has one."""

    name: str
    run_dir: Path
    run_id: str | None = None


def is_merged(run_dir: Path) -> bool:
    """Whether a folder was merged from several runs."""
    return merged_path(run_dir).is_file()


def merged_runs(run_dir: Path) -> list[MergedRun]:
    """The runs that a folder was merged from; none if it is that of a run of its own."""
    if not is_merged(run_dir):
        return []
    path = merged_path(run_dir)
    try:
        return [MergedRun(one["name"], run_dir / one["run"], one["run_id"]) for one in read_json(path)["runs"]]
    except (KeyError, TypeError) as error:
        raise ResultsError(f"{path}: not a list of merged runs ({error}); merge them again") from error


def check_not_merged(run_dir: Path, wanted: str) -> None:
    """Raises :class:`~uqdm.bench.run.errors.ResultsError` for a merged folder; ``wanted`` is what is done to a run."""
    runs = merged_runs(run_dir)
    if runs:
        folders = ", ".join(str(one.run_dir) for one in runs)
        raise ResultsError(f"{run_dir}: merged from several runs; {wanted} one of these instead: {folders}")

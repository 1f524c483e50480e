"""A run's id: every file of the run carries it, so that files of other runs are not mistaken for its own."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from uqdm.bench.file_identity import DAMAGED, check_regular, write_stored
from uqdm.bench.run.errors import EVALUATE_AGAIN, ResultsError
from uqdm.bench.run.layout import manifests_dir, run_id_path

_FORM = re.compile("[0-9a-f]{16}")


def read_run_id(run_dir: Path) -> str | None:
    """The run's id; None where the folder has none: an older release made it, or only its rows were copied."""
    return _read(run_id_path(run_dir))


def _of_manifests(run_dir: Path) -> str | None:
    """The id in the manifests, for a run whose own file was lost."""
    paths = sorted(manifests_dir(run_dir).glob("[!.]*.json"))
    return next((found for path in paths if (found := _read(path)) is not None), None)


def _read(path: Path) -> str | None:
    try:
        check_regular(path)
        found = json.loads(path.read_text(encoding="utf-8"))["run_id"]
    except (*DAMAGED, TypeError, RecursionError):
        return None
    return found if isinstance(found, str) and _FORM.fullmatch(found) else None


def ensure_run_id(run_dir: Path) -> str:
    """The run's id; a random one is made and stored where there is none yet.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ensure_run_id(Path(folder)) == ensure_run_id(Path(folder)) == read_run_id(Path(folder))
    True
    """
    found = read_run_id(run_dir)
    if found is None:
        found = _of_manifests(run_dir) or os.urandom(8).hex()
        write_stored(run_id_path(run_dir), (json.dumps({"run_id": found}) + "\n").encode())
    return found


def check_run_id(path: Path, run_dir: Path, found: str | None, remedy: str = EVALUATE_AGAIN) -> None:
    """Raises :class:`~uqdm.bench.run.errors.ResultsError` where a file in ``run_dir`` says that it is of another run.

    ``found`` is the run's id in the file; None where it has none.
    """
    expected = read_run_id(run_dir)
    if expected is not None and found is not None and found != expected:
        raise ResultsError(f"{path}: of another run ({found}, this one is {expected}): it was copied here; {remedy}")

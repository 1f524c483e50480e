"""The name that a run's folder gives itself, so that files of other runs are not taken for its own."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from uqdm.bench.file_identity import DAMAGED, check_regular, write_stored
from uqdm.bench.run.layout import manifests_dir, run_id_path

_FORM = re.compile("[0-9a-f]{16}")


def read_run_id(run_dir: Path) -> str | None:
    """The run's id; None where it has none: an older release made it, or its rows alone were copied."""
    return _read(run_id_path(run_dir))


def _of_manifests(run_dir: Path) -> str | None:
    """What the manifests say, where the file itself was lost."""
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
    """The run's id, which is made up where there is none yet.

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

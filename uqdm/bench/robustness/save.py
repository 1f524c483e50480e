"""Measures codecs at once, each in processes of its own, and writes ``robustness.csv`` and ``robustness.parquet``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from uqdm.bench.analysis.csv_cells import write_table
from uqdm.bench.robustness.coded_files import CodecFiles
from uqdm.bench.robustness.measure import measure
from uqdm.bench.robustness.options import RobustnessOptions
from uqdm.bench.run.layout import robustness_path
from uqdm.bench.schema import ROBUSTNESS
from uqdm.errors import USER_ERRORS, message_of
from uqdm.files import replacing
from uqdm.machine import available_cores
from uqdm.text import counted

if TYPE_CHECKING:
    import pandas as pd


_SAID_EVERY_S = 10.0


def measure_all(
    codecs: Sequence[CodecFiles], options: RobustnessOptions, say: Callable[[str], None] = lambda text: None
) -> pd.DataFrame:
    """The rows of ``ROBUSTNESS`` of all codecs, in their order.

    ``say`` is called with a line for each codec that is done, or left out, and now and then with the number of files
    decoded so far. Raises ValueError if all codecs are left out.
    """
    found: dict[int, list[dict[str, Any]]] = {}
    progress = _Progress(say)
    with ThreadPoolExecutor(options.processes or available_cores()) as pool:
        started = {pool.submit(measure, files, options, progress.step): number for number, files in enumerate(codecs)}
        for done, future in enumerate(as_completed(started), 1):
            number = started[future]
            rows = _rows(future, codecs[number], f"{done} of {len(codecs)}", say)
            if rows:
                found[number] = rows
    if not found:
        raise ValueError("no codec could be measured, as said above")
    rows = [row for number in sorted(found) for row in found[number]]
    return pa.Table.from_pylist(rows, ROBUSTNESS).to_pandas()


class _Progress:
    """Counts decoded files in several threads, and says how many."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._lock = threading.Lock()
        self._count = 0
        self._said = time.monotonic()

    def step(self) -> None:
        """A file is decoded."""
        with self._lock:
            self._count += 1
            if time.monotonic() > self._said + _SAID_EVERY_S:
                self._said = time.monotonic()
                self._say(f"{counted(self._count, 'damaged file')} decoded")


def _rows(
    future: Future[list[dict[str, Any]]], files: CodecFiles, progress: str, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """The rows of a codec that is done; none, with the reason said, of one that cannot be measured."""
    try:
        rows = future.result()
    except USER_ERRORS as error:
        say(f"{progress}: {files}: left out: {message_of(error)}")
        return []
    say(f"{progress}: {files}: done")
    return rows


def save_table(table: pd.DataFrame, folder: Path) -> list[Path]:
    """Writes a table of ``ROBUSTNESS`` into a folder; returns the files."""
    written = pa.Table.from_pandas(table, ROBUSTNESS, preserve_index=False)
    paths = [robustness_path(folder), robustness_path(folder, ".parquet")]
    for path, write in zip(paths, (write_table, pq.write_table), strict=True):
        with replacing(path) as temporary:
            write(written, temporary)
    return paths

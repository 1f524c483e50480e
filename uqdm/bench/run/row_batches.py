"""Reads a run's rows in batches of whole settings, so that the memory needed does not grow with the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from uqdm.bench.run.rows_reader import rows_files, rows_with
from uqdm.bench.run.unscored import to_frame

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 2**18
"""The most rows of a batch, unless a single setting has more: 65 MB in the columns of a summary."""

Key = tuple[str, str]
"""A codec and a setting."""


@dataclass(frozen=True)
class RowBatch:
    """All rows of some settings; ``places`` are the files and row groups that hold them."""

    keys: frozenset[Key]
    places: Sequence[tuple[Path, int]]

    def read(self, columns: Sequence[str]) -> pd.DataFrame:
        """Some columns of the rows, in the order of the files."""
        named = [*columns, *(name for name in ("codec", "setting") if name not in columns)]
        tables = []
        for path in dict.fromkeys(path for path, _ in self.places):
            file = rows_with(path, named)
            groups = [group for place, group in self.places if place == path]
            tables += [self._own(file.read_row_group(group, named)) for group in groups]
        return to_frame(pa.concat_tables(tables).select(list(columns)))

    def _own(self, table: pa.Table) -> pa.Table:
        table = table.replace_schema_metadata()
        if _keys(table).keys() <= self.keys:
            return table
        pairs = zip(table["codec"].to_pylist(), table["setting"].to_pylist(), strict=True)
        return table.filter(pa.array([pair in self.keys for pair in pairs]))


def row_batches(run_dir: Path, most_rows: int = MOST_ROWS) -> list[RowBatch]:
    """The batches of a run's rows, with the settings in the order of their first rows.

    A row group holds rows of one setting (see :mod:`uqdm.bench.run.rows_writer`). If another program wrote one of
    several settings, it may be read more than once.
    """
    counts: dict[Key, int] = {}
    places: dict[Key, list[tuple[Path, int]]] = {}
    for path in rows_files(run_dir):
        file = rows_with(path, ["codec", "setting"])
        for group in range(file.num_row_groups):
            for key, count in _keys(file.read_row_group(group, ["codec", "setting"])).items():
                counts[key] = counts.get(key, 0) + count
                places.setdefault(key, []).append((path, group))
    return [
        RowBatch(frozenset(keys), list(dict.fromkeys(place for key in keys for place in places[key])))
        for keys in _filled(counts, most_rows)
    ]


def _filled(counts: dict[Key, int], most_rows: int) -> Iterator[list[Key]]:
    """Groups of settings with at most ``most_rows`` rows; a setting that has more is a separate group."""
    keys: list[Key] = []
    held = 0
    for key, count in counts.items():
        if keys and held + count > most_rows:
            yield keys
            keys, held = [], 0
        keys.append(key)
        held += count
    if keys:
        yield keys


def _keys(table: pa.Table) -> dict[Key, int]:
    """The number of rows of each setting in a table, in the order of their first rows."""
    grouped = table.select(["codec", "setting"]).group_by(["codec", "setting"], use_threads=False)
    found = grouped.aggregate([([], "count_all")]).to_pydict()
    return dict(zip(zip(found["codec"], found["setting"], strict=True), found["count_all"], strict=True))


def row_groups(run_dir: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Some columns of the rows of a run, a row group at a time, in the order of the files."""
    for path in rows_files(run_dir):
        file = rows_with(path, columns)
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, list(columns)).replace_schema_metadata()


def with_status(table: pa.Table, status: str) -> pa.Table:
    """The rows of one status."""
    return table.filter(pc.equal(table["status"], status))


def image_indices(table: pd.DataFrame) -> np.ndarray:
    """Indices of the images that have rows, unique and sorted: int64."""
    return np.unique(table.image_index.dropna().to_numpy(np.int64))

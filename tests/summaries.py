"""Summaries of rows in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from uqdm.bench.analysis.summarize import summarize


@dataclass(frozen=True)
class Rows:
    """Rows that :func:`~uqdm.bench.analysis.summarize.summarize` reads."""

    rows: pd.DataFrame

    def read(self, columns: Sequence[str]) -> pd.DataFrame:
        return self.rows[list(columns)]


def summarized(rows: pd.DataFrame, sets: Sequence[Mapping[str, Any]] = (), run_dir: str = "RUN") -> pd.DataFrame:
    """The summary of all rows of a run."""
    return summarize([] if rows.empty else [Rows(rows)], lambda: sets, run_dir)

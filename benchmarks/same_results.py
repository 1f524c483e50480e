"""Whether two runs hold the same results: rows, coded files, summary and BD figures, to the last bit.

    python benchmarks/same_results.py results/before/demo results/after/demo

Times, memory and provenance are left out, and so is the number of a format: a column that holds text in one run and a
map in the other is compared by its meaning. Exits 1 if anything differs, and names it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

VARIES = ("encode_ms", "decode_ms", "peak_memory_bytes")
ROW_KEY = ["codec", "setting", "image_index", "point_index", "point", "reconstruction"]
SUMMARY_KEY = ["dataset", "codec", "setting", "point_index", "point", "reconstruction"]
BD_KEY = ["dataset", "metric", "anchor", "codec", "curve"]
STREAM_KEY = ["codec", "setting", "image_index"]


def main() -> int:
    """Compares the two folders that the command line names."""
    if len(sys.argv) != 3:
        raise SystemExit(f"usage: {sys.argv[0]} RUN RUN")
    before, after = (Path(argument) for argument in sys.argv[1:])
    table = Table("results", "before", "after", "columns compared", "differences")
    n_different = 0
    for name, (read, key) in READERS.items():
        left = read(before)
        right = read(after)
        columns, found = differences(left, right, key)
        n_different += len(found)
        table.add_row(name, f"{len(left):,}", f"{len(right):,}", str(columns), "; ".join(found) or "none")
    Console(width=140).print(table)
    return int(n_different > 0)


def differences(before: pd.DataFrame, after: pd.DataFrame, key: list[str]) -> tuple[int, list[str]]:
    """The number of columns that were compared, and what differs, in words."""
    if not len(before) or not len(after):
        return 0, ["one is empty"]
    found = [f"only in one: {name}" for name in sorted(set(before.columns) ^ set(after.columns))]
    names = [name for name in before.columns if name in after.columns and name not in VARIES]
    if len(before) != len(after):
        return len(names), [*found, f"{len(before)} rows, and {len(after)}"]
    left = before.sort_values(key, kind="stable").reset_index(drop=True)
    right = after.sort_values(key, kind="stable").reset_index(drop=True)
    for name in names:
        pairs = zip(map(plain, left[name]), map(plain, right[name]), strict=True)
        n = sum(one != other for one, other in pairs)
        if n:
            found.append(f"{name} in {n} rows")
    return len(names), found


def plain(value: object) -> object:
    """A value such that nulls are equal, and a text of reasons equals a map of them."""
    if isinstance(value, str) and ": " in value:
        return frozenset(reason(part) for part in value.split("; "))
    if isinstance(value, Mapping):
        return frozenset(reason(f"{name}: {text}") for name, text in value.items())
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return frozenset(reason(f"{name}: {text}") for name, text in value)
    return None if pd.isna(value) else value  # type: ignore[call-overload]


def reason(text: str) -> str:
    """A reason as the older format kept it, without semicolons."""
    return " ".join(text.replace(";", ",").split())


def rows(run_dir: Path) -> pd.DataFrame:
    """The rows of a run."""
    return pd.concat(read(path) for path in sorted((run_dir / "per_image").glob("*.parquet")))


def streams(run_dir: Path) -> pd.DataFrame:
    """The coded files of a run, those of superseded shards left out."""
    return pd.concat(read(path) for path in sorted((run_dir / "streams").rglob("*.parquet")))


def summary(run_dir: Path) -> pd.DataFrame:
    """The summary of a run."""
    return read(run_dir / "summary.parquet")


def bd(run_dir: Path) -> pd.DataFrame:
    """The BD figures of a run, as they are written."""
    return pd.read_csv(run_dir / "bd.csv", dtype=str)


def read(path: Path) -> pd.DataFrame:
    """A Parquet file; nullable integers stay integers."""
    return pq.read_table(path).to_pandas(integer_object_nulls=True)


READERS: dict[str, tuple[Callable[[Path], pd.DataFrame], list[str]]] = {
    "rows": (rows, ROW_KEY),
    "streams": (streams, STREAM_KEY),
    "summary": (summary, SUMMARY_KEY),
    "BD figures": (bd, BD_KEY),
}


if __name__ == "__main__":
    sys.exit(main())

"""A summary as CSV for people, and beside it what its columns mean and why values are lacking.

It has the columns of ``summary.parquet`` and no others but those of parameters. The ends of an interval follow their
mean. Each parameter with numbers is a column of its own after ``setting``. The reasons for lacking metrics, the same in
many rows, are not in the rows: the table of columns has each of them once, with the number of rows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from uqdm.bench.analysis.csv_cells import write_table
from uqdm.bench.run.setting_families import parameters_of
from uqdm.bench.run.unscored import COLUMN as UNSCORED_COLUMN
from uqdm.bench.run.unscored import reasons_by_row
from uqdm.files import replacing
from uqdm.text import counted

_ENDS = ("_low", "_high")
_PARAMETER = "setting_"
"""Before the name of a parameter whose own name is that of another column."""


def write_summary_csv(table: pa.Table, path: Path, columns_path: Path) -> None:
    """Writes a summary as CSV to ``path``, and the table of its columns to ``columns_path``."""
    for_people = summary_for_people(table)
    for part, target in ((for_people, path), (columns_table(table, for_people), columns_path)):
        with replacing(target) as temporary:
            write_table(part, temporary)


def summary_for_people(table: pa.Table) -> pa.Table:
    """The columns of a summary in an order for people, with parameters as columns and without ``unscored``."""
    place = table.column_names.index("setting") + 1
    names = ordered([name for name in table.column_names if name != UNSCORED_COLUMN])
    found = table.select(names)
    for name, numbers in reversed(numeric_parameters(table["setting"].to_pylist()).items()):
        label = f"{_PARAMETER}{name}" if name in table.column_names else name
        comment = {"comment": f"parameter {name} of the setting; null where it has none, or no number"}
        found = found.add_column(place, pa.field(label, numbers.type, metadata=comment), numbers)
    return found


def ordered(names: Sequence[str]) -> list[str]:
    """Names of columns, with the ends of each interval behind their mean.

    >>> ordered(["n", "mse", "psnr_db", "mse_low", "mse_high"])
    ['n', 'mse', 'mse_low', 'mse_high', 'psnr_db']
    """
    ends = {name: [f"{name}{end}" for end in _ENDS if f"{name}{end}" in names] for name in names}
    behind = {end for found in ends.values() for end in found}
    return [one for name in names if name not in behind for one in (name, *ends[name])]


def numeric_parameters(settings: Sequence[str]) -> dict[str, pa.Array]:
    """The parameters that have a number in some setting, each as a column: null where a setting has no number of it.

    Whole numbers are integers where the column has no other.

    >>> found = numeric_parameters(["quality=5,speed=slow", "lam=0.5,quality=10", ""])
    >>> {name: numbers.to_pylist() for name, numbers in found.items()}
    {'quality': [5, 10, None], 'lam': [None, 0.5, None]}
    """
    parsed = [{name: _number(value) for name, value in parameters_of(setting).items()} for setting in settings]
    names = dict.fromkeys(name for each in parsed for name, value in each.items() if value is not None)
    return {name: pa.array([each.get(name) for each in parsed], _type(name, parsed)) for name in names}


def _number(text: str) -> int | float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return int(text) if text.lstrip("-").isdecimal() and abs(number) < 2**63 else number


def _type(name: str, parsed: Iterable[Mapping[str, int | float | None]]) -> pa.DataType:
    whole = all(isinstance(each.get(name, 0), int | None) for each in parsed)
    return pa.int64() if whole else pa.float64()


def columns_table(table: pa.Table, for_people: pa.Table) -> pa.Table:
    """A row for each column of ``for_people``: what it means, rows without a value, and why metrics are lacking."""
    reasons = _reasons(reasons_by_row(table[UNSCORED_COLUMN]))
    return pa.table(
        {
            "column": for_people.column_names,
            "meaning": [(field.metadata or {}).get(b"comment", b"").decode() for field in for_people.schema],
            "rows_without": [column.null_count for column in for_people.columns],
            "why": [reasons.get(name) for name in for_people.column_names],
        }
    )


def _reasons(of_rows: Iterable[Mapping[str, str] | None]) -> dict[str, str]:
    """For each metric that rows lack the reasons, most rows first."""
    counts = Counter((name, reason) for reasons in of_rows if reasons for name, reason in reasons.items())
    texts: dict[str, list[str]] = {}
    for (name, reason), n in counts.most_common():
        texts.setdefault(name, []).append(f"{counted(n, 'row')}: {reason}")
    return {name: "; ".join(found) for name, found in texts.items()}

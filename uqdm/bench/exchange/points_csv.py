"""Points as plain CSV: a row for each point, columns by name.

=============== =================================================================================
``curve``       name of the curve; a file without this column has one curve
``bpp``         rate, bits per pixel; required
a metric        its name here, such as ``psnr_db`` or ``ms_ssim``; one at least is required
``rate_kind``   what the rate is, such as ``file``; one value for each curve
``protocol``    how the figures were made; one value for each curve
``source``      where they come from; one value for each curve
=============== =================================================================================

Other columns are ignored when a file is read. Export adds ``dataset``, ``setting``, ``point``, ``reconstruction``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from uqdm.bench.exchange.rd_curve import RATE, PointsError, RdCurve, check_names, checked_points, metric_names
from uqdm.text import csv_cell, from_csv_cell

if TYPE_CHECKING:
    import pandas as pd

CURVE = "curve"
ABOUT = ("rate_kind", "protocol", "source")
"""Columns that describe a whole curve."""
ALIASES = {"rate": RATE, "psnr": "psnr_db", "psnr-rgb": "psnr_db", "ms-ssim": "ms_ssim", "ms-ssim-rgb": "ms_ssim"}
ALIASES |= {"msssim": "ms_ssim", "name": CURVE, "codec": CURVE, "system": CURVE}
"""Other names of columns that are read, beside the names in another case."""


def read_points_csv(path: Path) -> tuple[list[RdCurve], list[str]]:
    """The curves of a file, and the names of columns that were ignored; names of curves may be empty.

    Raises :class:`~uqdm.bench.exchange.rd_curve.PointsError` for a file that is no such table.
    """
    import pandas as pd

    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig")), strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise PointsError(f"{path}: does not read as CSV in UTF-8: {error}") from error
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if len(rows) < 2:
        raise PointsError(f"{path}: no rows below a row of column names; the columns are bpp, a metric, ...")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(rows[0]):
            raise PointsError(f"{path}: row {number} has {len(row)} cells, the row of column names {len(rows[0])}")
    table = pd.DataFrame(rows[1:], columns=_known_names(rows[0], path), dtype=str)
    known = [CURVE, RATE, *ABOUT, *metric_names()]
    ignored = [str(name) for name in table if name not in known]
    if RATE not in table:
        raise PointsError(f"{path}: no column {RATE}; it has: {', '.join(rows[0])}")
    names = table[CURVE] if CURVE in table else pd.Series("", table.index)
    found = [_curve(str(name), points, path) for name, points in table.groupby(names, sort=False)]
    check_names(found, str(path))
    return found, ignored


def _known_names(written: Sequence[str], path: Path) -> list[str]:
    """The columns by their names here; a name that is written as here comes before an alias of it."""
    plain = [name.strip().lower() for name in written]
    names = [name if ALIASES.get(name) in plain else ALIASES.get(name, name) for name in plain]
    for name in names:
        if names.count(name) > 1:
            raise PointsError(f"{path}: two columns are named {name}; name one of them otherwise")
    return names


def _curve(name: str, rows: pd.DataFrame, path: Path) -> RdCurve:
    where = f"{path}: curve {name!r}" if name else str(path)
    about = {column: _one_value(rows, column, where) for column in ABOUT}
    numbers = {column: _numbers(rows[column], where) for column in rows if column in (RATE, *metric_names())}
    points = checked_points(rows.assign(**numbers), where)
    return RdCurve(from_csv_cell(name.strip()), points, about["rate_kind"], about["protocol"], about["source"])


def _one_value(rows: pd.DataFrame, column: str, where: str) -> str:
    found = rows[column].str.strip().unique() if column in rows else [""]
    if len(found) > 1:
        raise PointsError(f"{where}: several values in the column {column}; give each curve one, or another name")
    return from_csv_cell(str(found[0]))


def _numbers(cells: pd.Series, where: str) -> list[float]:
    """Numbers of one column; empty cells are NaN."""
    found = []
    for cell in cells:
        try:
            found.append(float(cell) if cell.strip() else float("nan"))
        except ValueError:
            raise PointsError(f"{where}: {cells.name} is {cell!r}, not a number") from None
    return found


def points_csv(curves: Sequence[RdCurve], more: Mapping[str, pd.DataFrame] | None = None) -> str:
    """The text of such a file, numbers at full precision; ``more`` has further columns by name of the curve."""
    import pandas as pd

    tables = [_table(curve, None if more is None else more[curve.name]) for curve in curves]
    return str(pd.concat(tables, ignore_index=True).to_csv(index=False, lineterminator="\n"))


def _table(curve: RdCurve, more: pd.DataFrame | None) -> pd.DataFrame:
    about = {CURVE: curve.name, "rate_kind": curve.rate_kind, "protocol": curve.protocol, "source": curve.source}
    table = curve.points[[RATE, *curve.metrics]].assign(**{name: csv_cell(text) for name, text in about.items()})
    described = [] if more is None else list(more)
    if more is not None:
        table = table.assign(**{str(name): [csv_cell(str(text)) for text in more[name]] for name in more})
    return table[[CURVE, *described, RATE, *curve.metrics, *ABOUT]]

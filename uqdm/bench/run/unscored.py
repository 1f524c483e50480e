"""The column ``unscored``: which metrics a row lacks, and why each; a map from the metric's name to the reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from uqdm.bench.schema import ALL_METRICS, NOT_SCORED, UNSCORED

if TYPE_CHECKING:
    import pandas as pd

COLUMN = "unscored"


def unscored_map(reasons: Mapping[str, str]) -> dict[str, str] | None:
    """Reasons by metric as a row holds them, each on one line; None where there are none.

    >>> unscored_map({"lpips": "no weights;\\n fetch them"}), unscored_map({})
    ({'lpips': 'no weights; fetch them'}, None)
    """
    return {name: " ".join(reason.split()) for name, reason in reasons.items()} or None


def unscored_text(reasons: Mapping[str, str] | None) -> str | None:
    """The reasons as text for tables, CSV and messages; None where there are none.

    >>> unscored_text({"ms_ssim": "64 px is too small", "lpips": "no weights; fetch them"})
    'ms_ssim: 64 px is too small; lpips: no weights, fetch them'
    >>> unscored_text(NOT_SCORED)
    'not scored yet'
    """
    if not isinstance(reasons, Mapping):  # None, or the NaN of a data frame
        return None
    texts = (f"{name}: {' '.join(reason.replace(';', ',').split())}" for name, reason in reasons.items())
    return "; ".join(text.removeprefix(f"{ALL_METRICS}: ") for text in texts) or None


def reasons_in_text(text: str | None) -> dict[str, str] | None:
    """The reasons by metric in a text of row format 6 or below.

    >>> reasons_in_text("ms_ssim: 64 px is too small; lpips: no weights, fetch them")
    {'ms_ssim': '64 px is too small', 'lpips': 'no weights, fetch them'}
    >>> reasons_in_text("not scored yet"), reasons_in_text(None)
    ({'*': 'not scored yet'}, None)
    """
    if not text:
        return None
    parts = [part if ": " in part else f"{ALL_METRICS}: {part}" for part in text.split("; ")]
    return dict(part.split(": ", 1) for part in parts)


def as_maps(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column as maps, also where an older release wrote text."""
    if pa.types.is_map(column.type):
        return column.cast(UNSCORED)
    texts = column.cast(pa.string()).to_pylist()
    known = {text: reasons_in_text(text) for text in set(texts)}
    return pa.chunked_array([pa.array([known[text] for text in texts], UNSCORED)])


def with_maps(table: pa.Table) -> pa.Table:
    """A table of rows whose column ``unscored``, if it has one, holds maps."""
    if COLUMN not in table.column_names or table[COLUMN].type == UNSCORED:
        return table
    place = table.column_names.index(COLUMN)
    return table.set_column(place, pa.field(COLUMN, UNSCORED), as_maps(table[COLUMN]))


def reasons_by_row(column: pa.ChunkedArray) -> list[dict[str, str] | None]:
    """The reasons of each row by metric; rows of the same reasons share one dictionary, which must not be changed."""
    found: list[dict[str, str] | None] = []
    known: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    for chunk in as_maps(column).chunks:
        found += _reasons_in_chunk(chunk, known)
    return found


def _reasons_in_chunk(
    chunk: pa.MapArray, known: dict[tuple[tuple[str, str], ...], dict[str, str]]
) -> list[dict[str, str] | None]:
    """Rows are grouped by the numbers of their texts, and each distinct one is read once."""
    names = chunk.keys.dictionary_encode()
    reasons = chunk.items.dictionary_encode()
    numbers = np.stack([one.indices.to_numpy() for one in (names, reasons)], axis=1)  # (pairs, 2)
    offsets = chunk.offsets.to_pylist()
    rows: dict[bytes, dict[str, str]] = {}
    found: list[dict[str, str] | None] = []
    for place, there in enumerate(chunk.is_valid().to_pylist()):
        pairs = numbers[offsets[place] : offsets[place + 1]]
        key = pairs.tobytes()
        if there and key not in rows:
            texts = tuple((names.dictionary[int(n)].as_py(), reasons.dictionary[int(r)].as_py()) for n, r in pairs)
            rows[key] = known.setdefault(texts, dict(texts))
        found.append(rows[key] if there else None)
    return found


def to_frame(table: pa.Table) -> pd.DataFrame:
    """A table of rows or of a summary as a data frame, whose column ``unscored`` has dictionaries or None."""
    if COLUMN not in table.column_names:
        frame: pd.DataFrame = table.to_pandas()
        return frame
    import pandas as pd

    frame = table.drop_columns([COLUMN]).to_pandas()
    reasons = pd.Series(reasons_by_row(table[COLUMN]), index=frame.index, dtype=object)
    frame.insert(table.column_names.index(COLUMN), COLUMN, reasons)
    return frame


def as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """A data frame with the column ``unscored``, if it has one, as text."""
    return frame.assign(**{COLUMN: frame[COLUMN].map(unscored_text)}) if COLUMN in frame else frame


def is_not_scored(reasons: Mapping[str, str] | None) -> bool:
    """Whether no scoring has filled a row yet."""
    return isinstance(reasons, Mapping) and dict(reasons) == NOT_SCORED

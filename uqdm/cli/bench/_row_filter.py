"""Chooses, sorts and cuts rows of results by text from a command line. Text is parsed, never evaluated."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uqdm.registry import suggest

if TYPE_CHECKING:
    import pandas as pd

OPERATORS = ("<=", ">=", "==", "!=", "<", ">", "=", "~")
NULL = "null"

_OPERATOR = "|".join(map(re.escape, OPERATORS))
_TERM = re.compile(
    rf"""\s*(?P<column>\w+)\s*(?P<operator>{_OPERATOR})\s*
    (?P<value>"[^"]*"|'[^']*'|.*?)\s*
    (?:$|\band\b(?=\s*\w+\s*(?:{_OPERATOR})))""",
    re.VERBOSE,
)


class QueryError(ValueError):
    """A condition does not parse, or names what is not there. The message shows how it is written."""


@dataclass(frozen=True)
class Condition:
    """``column operator value``, as text."""

    column: str
    operator: str
    value: str

    def __str__(self) -> str:
        return f"{self.column}{self.operator}{self.value}"


def parse_conditions(text: str) -> list[Condition]:
    """Reads ``COLUMN OPERATOR VALUE``, several joined by ``and``; a value may stand in quotes.

    >>> parse_conditions("bpp<2 and setting = 'quality=50'")
    [Condition(column='bpp', operator='<', value='2'), Condition(column='setting', operator='=', value='quality=50')]
    """
    conditions: list[Condition] = []
    position = 0
    while position < len(text) or not conditions:
        found = _TERM.match(text, position)
        if found is None or (not found["value"] and found["operator"] not in ("=", "==", "!=")):
            raise QueryError(
                f"condition {text!r}: expected COLUMN OPERATOR VALUE, several joined by and, as in "
                f"'bpp<2 and psnr_db>30'; operators are {' '.join(OPERATORS)}"
            )
        value = found["value"]
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
        conditions.append(Condition(found["column"], found["operator"], value[1:-1] if quoted else value))
        position = found.end()
    return conditions


def where(frame: pd.DataFrame, conditions: Iterable[Condition]) -> pd.DataFrame:
    """The rows that meet every condition. A null meets none but ``= null``; ``~`` asks whether a text contains another.

    >>> import pandas as pd
    >>> where(pd.DataFrame({"bpp": [1.0, 3.0], "codec": ["png", "jpeg"]}), parse_conditions("bpp > 2")).codec.tolist()
    ['jpeg']
    """
    for condition in conditions:
        frame = frame[_meets(frame[_known(condition.column, frame)], condition)]
    return frame


def _meets(values: pd.Series, condition: Condition) -> pd.Series:
    import pandas as pd

    there, operator = values.notna(), {"==": "="}.get(condition.operator, condition.operator)
    if condition.value == NULL and operator in ("=", "!="):
        return ~there if operator == "=" else there
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    texts = values[there].map(str)
    if numeric:
        met = _compare(values[there].astype(float), operator, _number(condition))
    elif operator == "~":
        met = texts.str.contains(condition.value, case=False, regex=False)
    elif operator in ("=", "!="):
        met = _compare(texts.str.lower(), operator, condition.value.lower())
    else:
        raise QueryError(f"condition {str(condition)!r}: {condition.column} is no number; use =, != or ~")
    return met.reindex(values.index, fill_value=False).astype(bool)


def _compare(values: pd.Series, operator: str, wanted: float | str) -> pd.Series:
    compare = {"<": values.lt, "<=": values.le, ">": values.gt, ">=": values.ge, "=": values.eq, "!=": values.ne}
    return compare[operator](wanted)


def _number(condition: Condition) -> float:
    if condition.operator == "~":
        raise QueryError(f"condition {str(condition)!r}: {condition.column} is a number; ~ is for texts")
    try:
        return float(condition.value)
    except ValueError:
        raise QueryError(
            f"condition {str(condition)!r}: {condition.column} is a number, {condition.value!r} is none"
        ) from None


def matching(frame: pd.DataFrame, patterns: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The rows that in each column match one of its patterns (``*`` and ``?`` as for file names), if it has any.

    Raises :class:`QueryError` where a pattern matches nothing in the column, with names that are like it.
    """
    for column, wanted in patterns.items():
        if not wanted:
            continue
        known = sorted(map(str, frame[column].dropna().unique()))
        for pattern in wanted:
            if not fnmatch.filter(known, pattern):
                raise QueryError(f"no {column} {pattern!r}{suggest(pattern, known)}; there are: {', '.join(known)}")
        frame = frame[frame[column].map(lambda value: any(fnmatch.fnmatchcase(str(value), one) for one in wanted))]  # noqa: B023
    return frame


def ordered(frame: pd.DataFrame, column: str | None, *, descending: bool = False) -> pd.DataFrame:
    """The rows sorted by a column, null last; rows that are equal there stay in their order."""
    if column is None:
        return frame[::-1] if descending else frame
    return frame.sort_values(_known(column, frame), ascending=not descending, kind="stable", na_position="last")


def choose(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The named columns, in that order; raises :class:`QueryError` for one that is not there."""
    return frame[[_known(column, frame) for column in columns]]


def _known(column: str, frame: pd.DataFrame) -> str:
    names = list(map(str, frame.columns))
    if column not in names:
        raise QueryError(f"no column {column!r}{suggest(column, names)}; there are: {', '.join(names)}")
    return column

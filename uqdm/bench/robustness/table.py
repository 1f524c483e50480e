"""The tables of robustness for people: a line for each codec and setting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uqdm.bench.robustness.codec_process import Outcome
from uqdm.bench.robustness.damages import ABOUT, DamageKind
from uqdm.bench.robustness.measure import DAMAGE, ELSEWHERE, VARYING
from uqdm.bench.run.codec_settings import format_value
from uqdm.bench.run.setting_families import parameters_of
from uqdm.bench.run.tables import records
from uqdm.codec import codec_class

if TYPE_CHECKING:
    import pandas as pd

NONE = "-"
_FAILURES = (Outcome.CRASHED, Outcome.HUNG, Outcome.OUT_OF_MEMORY)
_CODEC = {"codec": "codec, with the parameters that are not at their defaults"}


@dataclass(frozen=True)
class ShownTable:
    """A table of texts: its title, its headings with explanations, and a line of cells for each codec and setting."""

    title: str
    headings: dict[str, str]
    lines: list[list[str]]


def shown_tables(table: pd.DataFrame) -> list[ShownTable]:
    """The tables that show a table of ``ROBUSTNESS``: outcomes, wrong pictures by kind of damage, other processes."""
    return [
        ShownTable("Damaged files, by the outcome of decoding", _OUTCOMES, list(_lines(table, DAMAGE, _outcomes))),
        ShownTable("Wrong pictures without an error, by damage", _WRONG, list(_lines(table, DAMAGE, _wrong))),
        ShownTable("Whole files, decoded in other processes", _CELLS, list(_lines(table, ELSEWHERE, _elsewhere))),
    ]


def markdown(shown: ShownTable) -> str:
    """A table as Markdown."""
    rows = [list(shown.headings), ["---"] + ["---:"] * (len(shown.headings) - 1)]
    rows += [[f"`{name}`", *cells] for name, *cells in shown.lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


_OUTCOMES = {
    **_CODEC,
    "files": "damaged files that were decoded",
    "error": "decoding raised an error",
    "earlier picture": "the picture of a shorter prefix, as cut progressive files have by design",
    "same picture": "the picture of the undamaged file",
    "wrong picture": "another picture, without an error",
    "crash": "the process ended",
    "hang": "no answer within the time limit",
    "out of memory": "more memory than the limit",
}
_WRONG = {**_CODEC, **{str(kind): about for kind, about in ABOUT.items()}}
_CELLS = {
    **_CODEC,
    "pictures": "pictures that were compared with the ones that were measured",
    "identical": "no value of a pixel differs",
    "varying": "different, of a kind that the codec declares as varying between machines; the largest difference",
    "differing": "different without such a declaration, or not decoded",
}


def _lines(table: pd.DataFrame, check: str, cells: Callable[[pd.DataFrame], list[str]]) -> Iterator[list[str]]:
    for (codec, setting), rows in table[table.check == check].groupby(["codec", "setting"], sort=False):
        yield [short_name(str(codec), str(setting)), *cells(rows)]


def short_name(codec: str, setting: str) -> str:
    """A codec with those parameters that are not at their defaults.

    >>> short_name("jpeg", "quality=60"), short_name("jpeg", "quality=75")
    ('jpeg:quality=60', 'jpeg')
    """
    try:
        defaults = {one.name: format_value(one.default) for one in codec_class(codec).parameters}
    except Exception:  # a codec that is not installed here
        defaults = {}
    others = [f"{name}={value}" for name, value in parameters_of(setting).items() if defaults.get(name) != value]
    return f"{codec}:{','.join(others)}" if others else codec


def _outcomes(rows: pd.DataFrame) -> list[str]:
    return [f"{rows.n.sum():,}", *(f"{rows[str(one)].sum():,.0f}" for one in Outcome)]


def _wrong(rows: pd.DataFrame) -> list[str]:
    found = {row["case"]: f"{row['wrong']:,} of {row['n']:,}" for row in records(rows) if row["n"]}
    return [found.get(kind, NONE) for kind in DamageKind]


def _elsewhere(rows: pd.DataFrame) -> list[str]:
    varying = int(rows[VARYING].sum())
    differing = sum(int(rows[str(one)].sum()) for one in (Outcome.REFUSED, Outcome.WRONG, *_FAILURES))
    largest = rows.largest_difference.max()
    return [
        f"{rows.n.sum():,}",
        f"{rows.same.sum():,}",
        f"{varying:,} (by {largest:g})" if varying else "0",
        f"{differing:,}",
    ]

"""The table as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from uqdm.bench.paper import head as heads
from uqdm.bench.paper.cells import (
    COST_HEADINGS,
    DOUBTFUL,
    HEADINGS,
    REFERENCE_HEADINGS,
    cells,
    cost_cells,
    reference_cells,
)
from uqdm.bench.paper.costs import cost_rules
from uqdm.bench.paper.head import Head
from uqdm.bench.paper.judge import WORDS
from uqdm.bench.run.tables import records

if TYPE_CHECKING:
    import pandas as pd


def markdown(head: Head, table: pd.DataFrame, costs: pd.DataFrame) -> str:
    """The whole page."""
    tally = [[title, *(str(found[word]) for word in WORDS)] for title, found in heads.counts(table, costs)]
    parts = [
        f"# {escape(head.title)}",
        *map(escape, head.images),
        "## Which rows can agree",
        _list(head.can_agree),
        "## When a row agrees",
        _list(head.rules),
        "## Verdicts",
        markdown_table(["figures of", *WORDS], tally, numeric=range(1, 1 + len(WORDS))),
    ]
    for title, rows in heads.by_system(table):
        versions = "; ".join(rows.codec_version.dropna().unique())
        parts += [f"## {escape(title)}", *([f"Measured with {escape(versions)}."] if versions else [])]
        parts.append(markdown_table(HEADINGS, map(cells, records(rows)), numeric=range(2, 6)))
    parts += [f"## {heads.COSTS_TITLE}", _list(cost_rules())]
    parts.append(markdown_table(COST_HEADINGS, map(cost_cells, records(costs)), numeric=range(2, 6)))
    others = heads.references(table)
    parts += ["## Published only", *_escaped_doubts(others)]
    parts.append(markdown_table(REFERENCE_HEADINGS, map(reference_cells, records(others)), numeric=(1, 3, 4, 5)))
    return "\n\n".join(parts) + "\n"


def _escaped_doubts(rows: pd.DataFrame) -> list[str]:
    return [escape(f"Figures with {DOUBTFUL} are doubtful. {text}.") for text in rows.doubt.unique() if text]


def _list(texts: Sequence[str]) -> str:
    return "\n".join(f"- {escape(text)}" for text in texts)


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]], numeric: Iterable[int]) -> str:
    """A table whose columns are aligned in the source text, too."""
    escaped = [[escape(cell) for cell in row] for row in [headings, *rows]]
    widths = [max(3, *map(len, column)) for column in zip(*escaped, strict=True)]
    right = set(numeric)
    rule = [("-" * (width - 1) + ":") if index in right else "-" * width for index, width in enumerate(widths)]
    lines = [
        [cell.rjust(width) if index in right else cell.ljust(width) for index, (cell, width) in enumerate(pairs)]
        for pairs in (list(zip(row, widths, strict=True)) for row in escaped)
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]])


def escape(text: str) -> str:
    r"""Text with Markdown's special characters escaped.

    >>> escape("a|b_c")
    'a\\|b\\_c'
    """
    return "".join(f"\\{character}" if character in r"\`*_[]<>|" else character for character in text)

"""The table as LaTeX, for ``\\input`` in a document that uses the packages array, booktabs and longtable."""

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

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
_TEXT = r">{\raggedright\arraybackslash}p{%s\linewidth}"
_COLUMNS = f"{_TEXT % 0.11}{_TEXT % 0.13}rrrr{_TEXT % 0.19}"
_REFERENCE_COLUMNS = f"lrlrrr{_TEXT % 0.3}"


def latex(head: Head, table: pd.DataFrame, costs: pd.DataFrame) -> str:
    """Text and tables, one for each system."""
    tally = [[title, *(str(found[word]) for word in WORDS)] for title, found in heads.counts(table, costs)]
    parts = [
        r"% \usepackage{array,booktabs,longtable}",
        r"\begingroup\footnotesize\setlength{\tabcolsep}{3pt}\setlength{\LTleft}{0pt}\setlength{\LTright}{0pt}",
        rf"\subsection*{{{escape(head.title)}}}",
        "\n\n".join(map(escape, head.images)),
        r"\paragraph{Which rows can agree.} " + _list(head.can_agree),
        r"\paragraph{When a row agrees.} " + _list(head.rules),
        longtable("Verdicts", "lrrrr", ["figures of", *WORDS], tally),
        r"\scriptsize",
    ]
    for title, rows in heads.by_system(table):
        versions = "; ".join(rows.codec_version.dropna().unique())
        caption = f"{title}; measured with {versions}" if versions else title
        parts.append(longtable(caption, _COLUMNS, HEADINGS, map(cells, records(rows))))
    parts.append(rf"\paragraph{{{escape(heads.COSTS_TITLE)}.}} " + _list(cost_rules()))
    parts.append(longtable(heads.COSTS_TITLE, _COLUMNS, COST_HEADINGS, map(cost_cells, records(costs))))
    others = heads.references(table)
    doubts = [f" Figures with {DOUBTFUL} are doubtful. {text}." for text in others.doubt.unique() if text]
    caption = f"Published only.{''.join(doubts)}"
    parts.append(longtable(caption, _REFERENCE_COLUMNS, REFERENCE_HEADINGS, map(reference_cells, records(others))))
    return "\n\n".join([*parts, r"\endgroup"]) + "\n"


def escape(text: str) -> str:
    r"""Text with LaTeX's special characters escaped; other characters stay, for a document in UTF-8.

    >>> escape("95 % of a_b & c")
    '95 \\% of a\\_b \\& c'
    """
    return "".join(_SPECIAL.get(character, character) for character in text)


def _list(texts: Sequence[str]) -> str:
    return " ".join(map(escape, texts))


def _setting(text: str) -> str:
    """Text with line breaks allowed after commas, for long lists of layers."""
    return escape(text).replace(",", r",\allowbreak{}")


def longtable(caption: str, columns: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of text cells; ``columns`` is LaTeX's column specification."""
    lines = [" & ".join([_setting(row[0]), *map(escape, row[1:])]) + r" \\" for row in rows]
    top = " & ".join(map(escape, headings)) + r" \\"
    return "\n".join(
        [
            rf"\begin{{longtable}}{{@{{}}{columns}@{{}}}}",
            rf"\caption{{{escape(caption)}}}\\",
            rf"\toprule {top} \midrule \endfirsthead",
            rf"\toprule {top} \midrule \endhead",
            *lines,
            r"\bottomrule",
            r"\end{longtable}",
        ]
    )

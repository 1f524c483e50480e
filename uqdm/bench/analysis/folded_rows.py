"""Rows of figures under headings in lines of a given width: what does not fit goes to further lines of the row."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

_BETWEEN = "  "
_INDENT = "  "
_LEAST_LABEL = 10  # columns for the label beside its figures; with less room it has lines of its own


def folded_rows(rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """The lines of each row, none longer than ``width``; the first row has the headings.

    The first cell of a row is text on the left, the others are figures in equal columns. A text that is too long for
    its column has lines of its own. Figures that do not fit in one line go on in further lines.

    >>> rows = [["codec", "30 dB", "exact"], ["jpeg-tuned at home", "1.250", "-"], ["png", "-", "15.914"]]
    >>> print("\\n".join(line for row in folded_rows(rows, 26) for line in row))
    codec        30 dB   exact
    jpeg-tuned at home
                 1.250       -
    png              -  15.914
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    beside = width - sum(size + len(_BETWEEN) for size in widths[1:])
    label_width = min(widths[0], beside)
    if label_width < min(widths[0], _LEAST_LABEL):
        label_width = 0
    groups = _groups(widths, label_width or len(_INDENT), width)
    return [_lines(row, widths, label_width, groups, width) for row in rows]


def _groups(widths: Sequence[int], indent: int, width: int) -> list[list[int]]:
    """The columns of figures of each line."""
    groups: list[list[int]] = [[]]
    used = indent
    for column in range(1, len(widths)):
        needed = len(_BETWEEN) + widths[column]
        if groups[-1] and used + needed > width:
            groups.append([])
            used = indent
        groups[-1].append(column)
        used += needed
    return groups


def _lines(
    row: Sequence[str], widths: Sequence[int], label_width: int, groups: Sequence[Sequence[int]], width: int
) -> list[str]:
    label, found = row[0], []
    if len(label) > label_width:
        found = textwrap.wrap(label, width, subsequent_indent=_INDENT)
        label = ""
    for group in groups:
        figures = (row[column].rjust(widths[column]) for column in group)
        found.append(_BETWEEN.join([label.ljust(label_width or len(_INDENT)), *figures]).rstrip())
        label = ""
    return found

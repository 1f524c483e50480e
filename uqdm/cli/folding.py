"""Texts and tables that fit the terminal: lines end between words, and rows that are too wide take several lines."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Sequence

import typer

Piece = tuple[str, str | None]
"""A text and its colour."""
_LEAST = 20  # columns of a terminal that lines are fitted to
_BETWEEN = "  "  # columns of a table
_FURTHER = "    "  # before the further lines of a row
_WORD = re.compile(r"\S+?(?:[,;|](?=[^\s,;|])|(?=\s)|$)|\s+")  # long lists without blanks may end after a comma


def terminal_width(*, errors: bool = False) -> int | None:
    """Columns of the terminal, by the variable COLUMNS if it is set; None if standard output is no terminal.

    With ``errors`` it is that of standard error.
    """
    stream = sys.stderr if errors else sys.stdout
    if not (stream.isatty() or os.environ.get("COLUMNS", "").isdigit()):
        return None
    return max(shutil.get_terminal_size().columns, _LEAST)


def wrapped(text: str, width: int | None, first: str = "", further: str = _FURTHER) -> list[str]:
    """A text in lines of at most ``width`` columns, the first after ``first``, others after ``further``.

    A line ends at a blank or after a comma; only a word that is longer than a line is divided.

    >>> wrapped("one two three", 10, further="  ")
    ['one two', '  three']
    >>> wrapped("one two three", None)
    ['one two three']
    """
    return ["".join(part for part, _ in line) for line in wrapped_pieces([(text, None)], width, first, further)]


def wrapped_pieces(
    pieces: Iterable[Piece], width: int | None, first: str = "", further: str = _FURTHER
) -> list[list[Piece]]:
    """As :func:`wrapped`, of texts in several colours; each line is a list of pieces."""
    lines: list[list[Piece]] = [[(first, None)]]
    used = len(first)
    for word, colour in _words(pieces, None if width is None else width - len(further)):
        if width is not None and used + len(word.rstrip()) > width and len(lines[-1]) > 1:
            lines[-1][-1] = (lines[-1][-1][0].rstrip(), lines[-1][-1][1])
            lines.append([(further, None)])
            used = len(further)
        if word.isspace() and len(lines[-1]) == 1 and len(lines) > 1:
            continue  # a blank between lines
        lines[-1].append((word, colour))
        used += len(word)
    return lines


def _words(pieces: Iterable[Piece], longest: int | None) -> Iterable[Piece]:
    for text, colour in pieces:
        for word in _WORD.findall(text) if longest else [text]:
            step = max(longest or len(word), 1)
            yield from ((word[start : start + step], colour) for start in range(0, len(word), step))


def show_text(text: str, *, err: bool = False) -> None:
    """Prints a text, on a terminal in lines that fit."""
    for line in wrapped(text, terminal_width(errors=err)):
        typer.echo(line, err=err)


def show_pieces(pieces: Iterable[Piece], width: int | None, first: str = "", further: str = _FURTHER) -> None:
    """Prints texts in their colours, in lines that fit; without colours where the output is no terminal."""
    for line in wrapped_pieces(pieces, width, first, further):
        typer.echo("".join(typer.style(text, fg=colour) for text, colour in line).rstrip())


def folded_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    texts: Sequence[str] = (),
    free: Sequence[str] = (),
) -> list[str]:
    """A table whose rows and headings take as many lines as they need, in ``width`` columns.

    Cells stand below each other in equal columns, those of ``texts`` left-aligned. Columns of ``free`` have texts of
    any length: each takes lines of its own, only in the rows that have it.

    >>> for line in folded_table(["codec", "bpp", "psnr_db"], [["jpeg", "1.5", "30.25"]], 12, texts=["codec"]):
    ...     print(line)
    codec  bpp
        psnr_db
    ------------
    jpeg   1.5
          30.25
    """
    plain = [number for number, heading in enumerate(headings) if heading not in free]
    widths = {at: max(map(len, [headings[at], *(row[at] for row in rows)])) for at in plain}
    lines = _lines_of_columns(plain, widths, width)
    left = {at for at in plain if headings[at] in texts}
    printed = [line for group in lines for line in _cells(headings, group, widths, left, width, group is lines[0])]
    printed.append("-" * width)
    for row in rows:
        for group in lines:
            printed += _cells(row, group, widths, left, width, group is lines[0])
        for at, heading in enumerate(headings):
            if heading in free and row[at]:
                printed += wrapped(row[at], width, _FURTHER, _FURTHER)
    return printed


def _lines_of_columns(plain: Sequence[int], widths: dict[int, int], width: int) -> list[list[int]]:
    """The columns of each line of a row."""
    lines: list[list[int]] = [[]]
    used = 0
    for at in plain:
        indent = 0 if len(lines) == 1 else len(_FURTHER)
        if lines[-1] and indent + used + len(_BETWEEN) + widths[at] > width:
            lines.append([])
            used = 0
        used += widths[at] + len(_BETWEEN) * bool(lines[-1])
        lines[-1].append(at)
    return lines


def _cells(
    row: Sequence[str], group: Sequence[int], widths: dict[int, int], left: set[int], width: int, is_first: bool
) -> list[str]:
    """The cells of one line of a row; a line with a single cell may be longer than the terminal, and is wrapped."""
    indent = "" if is_first else _FURTHER
    aligned = [row[at].ljust(widths[at]) if at in left else row[at].rjust(widths[at]) for at in group]
    line = indent + _BETWEEN.join(aligned)
    return [line.rstrip()] if len(line) <= width else wrapped(row[group[0]], width, indent)

"""Text from outside, made safe to print and to store: from programs, libraries, file names and error messages.

Output of programs, names of plug-ins and file names may contain terminal escapes, line ends, marks that change the
direction of writing, or halves of surrogate pairs. They are replaced on entry, so that rows, logs, tables and reports
never contain them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

# C0 and C1 controls, DEL, line and paragraph separators, marks that reorder or hide text, halves of surrogate pairs,
# and code points without a character.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
_ERROR_LENGTH = 500  # characters of an exception in a row
_LONGEST = 1 << 20  # characters that are processed, since a fault may produce gigabytes


def printable(text: str) -> str:
    r"""The text with every control character, escape, direction mark and lone surrogate replaced by an escape.

    >>> printable("red \x1b[31m\udcff"), printable("two\nlines"), printable("größer")
    ('red \\x1b[31m\\udcff', 'two\\nlines', 'größer')
    """
    return _UNSAFE.sub(lambda found: _written_out(found[0]), text)


@functools.cache
def _written_out(character: str) -> str:
    return character.encode("unicode_escape").decode()


def one_line(text: str, longest: int | None = None, *, end: bool = False) -> str:
    r"""The text on one line: :func:`printable`, with each run of blanks and line ends as one blank.

    It is cut to ``longest`` characters, of which the beginning is kept, or with ``end`` the end.

    >>> one_line("cannot\n\n  open \x07it"), one_line("0123456789", 7), one_line("0123456789", 7, end=True)
    ('cannot open \\x07it', '0123...', '...6789')
    """
    if len(text) > _LONGEST:
        text = text[-_LONGEST:] if end else text[:_LONGEST]
    line = printable(" ".join(text.split()))
    if longest is None or len(line) <= longest:
        return line
    return f"...{line[len(line) - longest + 3 :]}" if end else f"{line[: longest - 3]}..."


def counted(n: float, noun: str, plural: str | None = None) -> str:
    """A number with its noun in the singular or the plural, ``plural`` where it is not the noun with an s.

    >>> counted(1, "codec"), counted(0, "image"), counted(1200, "entry", "entries")
    ('1 codec', '0 images', '1,200 entries')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def shortened_list(names: Sequence[str], most: int = 6) -> str:
    """Names in a row, at most ``most`` of them, and how many more there are.

    >>> shortened_list(["png", "jpeg"]), shortened_list(["a", "b", "c", "d"], most=2)
    ('png, jpeg', 'a, b and 2 more')
    """
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def error_text(error: BaseException, longest: int) -> str:
    """An exception as one line, its type first, even if its own text raises an exception.

    >>> error_text(ValueError("too small"), 80)
    'ValueError: too small'
    """
    try:
        text = str(error)
    except BaseException as fault:
        text = f"(its text cannot be made: {type(fault).__name__})"
    return one_line(f"{type(error).__name__}: {text}", longest)


def error_line(error: BaseException) -> str:
    """An exception as one line, cut to the length for a table.

    >>> error_line(ValueError("too small"))
    'ValueError: too small'
    """
    return error_text(error, _ERROR_LENGTH)


def csv_cell(text: str) -> str:
    """The text as a cell of a CSV file: text that a spreadsheet would run as a formula gets a leading quote.

    Text that is a number stays as it is.

    >>> csv_cell("=HYPERLINK(A1)"), csv_cell("@2x.png"), csv_cell("-1.5"), csv_cell("quality=50")
    ("'=HYPERLINK(A1)", "'@2x.png", '-1.5', 'quality=50')
    """
    shown = printable(text)
    runs = text[:1] in ("\t", "\r", "\n") or shown.lstrip().startswith(_RUN_BY_SPREADSHEETS)
    return f"'{shown}" if runs and len(shown) > 1 and not _is_number(text) else shown


def from_csv_cell(cell: str) -> str:
    """The text of a cell that :func:`csv_cell` wrote.

    >>> from_csv_cell("'=HYPERLINK(A1)"), from_csv_cell("'tis"), from_csv_cell("-1.5")
    ('=HYPERLINK(A1)', "'tis", '-1.5')
    """
    rest = cell[1:].lstrip()
    return cell[1:] if cell.startswith("'") and rest.startswith((*_RUN_BY_SPREADSHEETS, "\\")) else cell


_RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last four: full-width forms


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and text.strip() == text

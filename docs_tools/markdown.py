"""Markdown of generated pages: text without accidental markup, code, tables."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~^])")
_OPTION = re.compile(r"(?<![\w`-])(--?[a-z][a-z0-9-]*)(?![\w`])")


def text(plain: str) -> str:
    """Plain text as Markdown that shows the same characters.

    >>> text("a|b <str> *")
    'a\\\\|b &lt;str&gt; \\\\*'
    """
    return html.escape(_SPECIAL.sub(r"\\\1", plain), quote=False)


def prose(plain: str) -> str:
    """As :func:`text`, with options of a command line as code.

    >>> prose("Without --codec, all.")
    'Without `--codec`, all.'
    """
    parts = _OPTION.split(plain)
    return "".join(code(part) if place % 2 else text(part) for place, part in enumerate(parts))


def code(plain: str) -> str:
    """Text as inline code; empty for empty text. Backticks and pipes need HTML in a table.

    >>> code("a"), code("a|b"), code("")
    ('`a`', '<code>a&#124;b</code>', '')
    """
    if not plain:
        return ""
    if "|" in plain or "`" in plain:
        return f"<code>{html.escape(plain, quote=False).replace('|', '&#124;').replace('`', '&#96;')}</code>"
    return f"`{plain}`"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose cells are Markdown; empty if it has no rows.

    >>> table(("a", "b"), [("1", "2")])
    '| a | b |\\n| --- | --- |\\n| 1 | 2 |\\n'
    """
    lines = [" | ".join(" ".join(cell.split()) for cell in row) for row in rows]
    if not lines:
        return ""
    head = [" | ".join(headings), " | ".join("---" for _ in headings)]
    return "".join(f"| {line} |\n" for line in [*head, *lines])


def fence(content: str, language: str = "text", title: str = "") -> str:
    """A block of code, with a fence that is longer than any in it.

    >>> fence("a")
    '```text\\na\\n```\\n'
    """
    longest = max((len(run) for run in re.findall(r"`{3,}", content)), default=2)
    marks = "`" * (longest + 1)
    named = f' title="{title}"' if title else ""
    return f"{marks}{language}{named}\n{content.rstrip()}\n{marks}\n"

"""Text of pages that are readable in the repository, for their place on the site: links, and pipes in tables."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from docs_tools.pages import ROOT

_FENCED = re.compile(r"(^ *(`{3,})[^\n]*\n.*?^ *\2`*$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\])\(([^)\s]+)\)")
_CODE_IN_TABLE = re.compile(r"`[^`\n]*`")
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:|/|#")


@dataclass(frozen=True)
class Link:
    """A relative link: the file of the repository that it names, and the anchor with its sign, or nothing."""

    path: str
    anchor: str

    @classmethod
    def of(cls, target: str, page: str) -> Link | None:
        """The link ``target`` on the file ``page`` of the repository; None if it is not relative to a file.

        >>> Link.of("../README.md#run-it", "docs/runs.md")
        Link(path='README.md', anchor='#run-it')
        """
        if _ABSOLUTE.match(target):
            return None
        path, sign, anchor = target.partition("#")
        return cls(posixpath.normpath(posixpath.join(posixpath.dirname(page), path)), sign + anchor)


def linked_files(markdown: str, page: str) -> Iterator[str]:
    """The files of the repository that a page links to."""
    for text, is_code in _pieces(markdown):
        for match in () if is_code else _LINK.finditer(text):
            link = Link.of(match.group(2), page)
            if link is not None:
                yield link.path


def for_site(markdown: str, page: str, places: Mapping[str, str]) -> str:
    """The text of the repository's file ``page`` with the links of its page on the site.

    ``places`` maps files of the repository to their paths on the site. A link to a folder becomes its
    text. A link to a file that is missing stays, and a strict build reports it.

    >>> places = {"README.md": "overview.md", "docs/runs.md": "runs.md"}
    >>> for_site("see [it](../README.md#a) or [that](../uqdm/)", "docs/runs.md", places)
    'see [it](overview.md#a) or that'
    """
    here = posixpath.dirname(places[page])

    def moved(match: re.Match[str]) -> str:
        shown, target = match.groups()
        link = Link.of(target, page)
        if link is None:
            return match.group()
        if link.path in places:
            return f"{shown}({posixpath.relpath(places[link.path], here or '.')}{link.anchor})"
        return shown[1:-1] if (ROOT / link.path).is_dir() else match.group()

    return "".join(text if is_code else _LINK.sub(moved, _bare_pipes(text)) for text, is_code in _pieces(markdown))


def _bare_pipes(text: str) -> str:
    r"""Code in tables without the backslashes that GitHub wants before pipes.

    >>> _bare_pipes(r"| `a\|b` | \| |")
    '| `a|b` | \\| |'
    """
    lines = text.split("\n")
    unescaped = (_CODE_IN_TABLE.sub(lambda code: code.group().replace(r"\|", "|"), line) for line in lines)
    return "\n".join(new if line.startswith("|") else line for line, new in zip(lines, unescaped, strict=True))


def _pieces(markdown: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces, each with whether it is a block of code."""
    start = 0
    for match in _FENCED.finditer(markdown):
        yield markdown[start : match.start()], False
        yield match.group(), True
        start = match.end()
    yield markdown[start:], False

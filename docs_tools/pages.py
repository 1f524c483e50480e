"""Pages that are made, and not files of ``docs/``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class MadePage:
    """A page of Markdown at a path of the site, such as ``reference/codecs.md``."""

    path: str
    title: str
    markdown: str


@dataclass(frozen=True)
class Section:
    """Made pages, the files that they show, and their entries in the navigation."""

    pages: tuple[MadePage, ...]
    files: dict[str, Path | bytes] = field(default_factory=dict)
    """Files by their path on the site."""
    entries: tuple[Any, ...] = ()
    """Entries of the navigation, where they are not the pages in order."""

    @property
    def navigation(self) -> list[Any]:
        """Titles and paths, as MkDocs takes them."""
        return list(self.entries) or [{page.title: page.path} for page in self.pages]

"""The commands that the README and the pages in docs/ tell a user to type."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"(?<!\S)#.*")
_INLINE = re.compile(r"`((?:uqdm|snakemake) [^`]*)`")


@dataclass(frozen=True)
class Command:
    """A command as it is typed, and the page that it stands on, relative to the repository."""

    page: str
    text: str


def pages() -> list[Path]:
    """The README first, then the other pages of the repository that are for users, by name."""
    cards = sorted((ROOT / "uqdm" / "pretrained").glob("*/README.md"))
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md", *cards]


def recipe_pages() -> list[Path]:
    """The pages of codecs of other people, whose commands need the network, weights and hours."""
    return sorted((ROOT / "recipes").rglob("README.md"))


def commands(of: Iterable[Path] | None = None) -> list[Command]:
    """Each command of each block for the shell, in the order of the page; a continued line is one command."""
    found = []
    for page in pages() if of is None else of:
        for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
            lines = (_COMMENT.sub("", line).strip() for line in block.replace("\\\n", " ").splitlines())
            found += [Command(str(page.relative_to(ROOT)), line) for line in lines if line]
    return found


def inline_commands() -> list[Command]:
    """Commands in the text of the pages, between backticks; some are only the beginning of a command."""
    return [
        Command(str(page.relative_to(ROOT)), " ".join(found.split()))
        for page in pages()
        for found in _INLINE.findall(page.read_text(encoding="utf-8"))
    ]

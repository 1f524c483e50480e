"""Files of the repository outside ``docs/`` that are pages of the site: READMEs, and files that pages link to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from docs_tools.links import linked_files
from docs_tools.markdown import fence
from docs_tools.pages import ROOT, MadePage

_NAMED = {
    "README.md": "overview.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "SECURITY.md": "project/security.md",
    "CODE_OF_CONDUCT.md": "project/code-of-conduct.md",
    "uqdm/published/README.md": "project/published-curves.md",
    "recipes/README.md": "recipes/index.md",
}
_LANGUAGES = {".yaml": "yaml", ".yml": "yaml", ".py": "python", ".cff": "yaml", ".toml": "toml", ".sh": "sh"}
INDEX_OF_DOCS = "docs/README.md"
"""The index of the guides in a repository browser; on the site the navigation is in its place."""

NOTEBOOKS = "notebooks"
"""Their folder, here and on the site; :mod:`docs_tools.notebooks` makes their pages."""


def page_places(root: Path = ROOT) -> dict[str, str]:
    """Paths on the site by files of the repository: all of ``docs/``, and READMEs and the like elsewhere."""
    docs = root / "docs"
    places = {
        file.relative_to(root).as_posix(): file.relative_to(docs).as_posix()
        for file in sorted(docs.rglob("*"))
        if file.is_file()
    }
    places |= {file: place for file, place in _NAMED.items() if (root / file).is_file()}
    for folder, place in (("recipes", "recipes"), ("uqdm/pretrained", "cards")):
        for page in sorted((root / folder).glob("*/README.md")):
            places[page.relative_to(root).as_posix()] = f"{place}/{page.parent.name}.md"
    notebooks = sorted((root / NOTEBOOKS).glob("*.md"))
    places |= {f"{NOTEBOOKS}/{page.name}": f"{NOTEBOOKS}/{page.name}" for page in notebooks}
    return places | {INDEX_OF_DOCS: "index.md"}


def source_places(texts: Mapping[str, str], places: Mapping[str, str], root: Path = ROOT) -> dict[str, str]:
    """Paths on the site of further files that pages link to; ``texts`` are the pages by their file.

    MkDocs leaves out names that begin with a dot, so that they lose it.
    """
    linked = {path for page, text in texts.items() for path in linked_files(text, page)}
    files = [path for path in sorted(linked - places.keys()) if (root / path).is_file()]
    return {path: "/".join(["source", *(part.lstrip(".") for part in f"{path}.md".split("/"))]) for path in files}


def source_page(path: str, place: str, root: Path = ROOT) -> MadePage:
    """The page that shows a file of the repository."""
    file = root / path
    shown = fence(file.read_text(encoding="utf-8"), _LANGUAGES.get(file.suffix, "text"))
    return MadePage(place, path, f"# {path}\n\n{shown}")


def title_of(markdown: str) -> str:
    """The heading of a page.

    >>> title_of("# `diffc`: a codec")
    'diffc: a codec'
    """
    found = re.search(r"^# (.*)$", markdown, re.MULTILINE)
    return re.sub(r"[`*]|\]\([^)]*\)|\[", "", found.group(1)).strip() if found else "Page"


def pages_of_folder(places: Mapping[str, str], folder: str, texts: Mapping[str, str]) -> list[tuple[str, str]]:
    """Titles and paths on the site of the pages in a folder of the site."""
    inside: Iterable[tuple[str, str]] = ((file, place) for file, place in places.items() if place.startswith(folder))
    return [(title_of(texts[file]), place) for file, place in inside if file in texts]

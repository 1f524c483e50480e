"""What MkDocs calls while it builds the site (``hooks`` in mkdocs.yml): pages that are made, navigation, links."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the command mkdocs does not look in its folder

from docs_tools import gallery, links, notebooks, repository
from docs_tools.markdown import fence
from docs_tools.pages import ROOT, MadePage, Section
from docs_tools.reference import codecs, columns, command_line, configuration, metrics, python

_TRANSCRIPT = re.compile(r"^<!-- transcript: (\S+) -->$", re.MULTILINE)
_ONLY_ON_SITE = re.compile(r"^<!-- on the site: ([\w.]+) -->$", re.MULTILINE)


@dataclass
class Site:
    """What a build makes: sections by their name in the navigation, and the places of files of the repository."""

    sections: dict[str, Section]
    places: dict[str, str]
    texts: dict[str, str] = field(default_factory=dict)
    """Pages of the repository by their file."""
    sources: dict[str, str] = field(default_factory=dict)
    """Files that pages link to, and their places."""

    @classmethod
    def make(cls, run_dir: Path) -> Site:
        """Makes all pages; the gallery shows the run in ``run_dir``."""
        places = repository.page_places()
        texts = {file: (ROOT / file).read_text(encoding="utf-8") for file in places if file.endswith(".md")}
        texts.pop(repository.INDEX_OF_DOCS)
        sources = repository.source_places(texts, places)
        made = [codecs.page(), metrics.page(), configuration.page(), columns.page()]
        sections = {
            "reference": Section(tuple(made)),
            "command-line": command_line.section(),
            "python": python.section(),
            "gallery": gallery.section(run_dir),
            "notebooks": notebooks.section({**places, **sources}),
        }
        return cls(sections, places, texts, sources)

    def navigation(self, name: str) -> list[Any]:
        """The entries of a made section, or of a folder of the site (``recipes/``)."""
        if name in self.sections:
            return self.sections[name].navigation
        return [{title: place} for title, place in repository.pages_of_folder(self.places, name, self.texts)]

    def pages(self) -> list[MadePage]:
        """Every page that is no file of ``docs/``, with links for its place."""
        everywhere = {**self.places, **self.sources}
        moved = [
            MadePage(place, file, links.for_site(self.texts[file], file, everywhere))
            for file, place in self.places.items()
            if file in self.texts and file.partition("/")[0] not in ("docs", repository.NOTEBOOKS)
        ]
        shown = [repository.source_page(file, place) for file, place in self.sources.items()]
        made = [page for section in self.sections.values() for page in section.pages]
        return [*moved, *shown, *made]


_site: Site | None = None


def on_config(config: Any) -> Any:
    """Makes the pages, and puts them into the navigation where it names them: ``made:NAME``."""
    global _site
    _site = Site.make(ROOT / os.environ.get("UQDM_SITE_RUN", config["extra"]["run"]))
    config["nav"] = _with_made(config["nav"], _site)
    return config


def _with_made(entries: Any, site: Site) -> Any:
    """Navigation with the entries of the sections that it names."""
    if isinstance(entries, dict):
        return {title: _with_made(entry, site) for title, entry in entries.items()}
    if isinstance(entries, str) and entries.startswith("made:"):
        return site.navigation(entries.removeprefix("made:"))
    if not isinstance(entries, list):
        return entries
    found: list[Any] = []
    for entry in entries:
        made = _with_made(entry, site)
        found += made if isinstance(made, list) else [made]
    return found


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages that are made and the files that they show."""
    assert _site is not None
    for page in _site.pages():
        files.append(File.generated(config, page.path, content=page.markdown))
    files.append(File.generated(config, "stylesheets/site.css", abs_src_path=str(ROOT / "docs_tools" / "site.css")))
    for section in _site.sections.values():
        for place, content in section.files.items():
            shown = {"content": content} if isinstance(content, bytes) else {"abs_src_path": str(content)}
            files.append(File.generated(config, place, **shown))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Moves the links of guides to their targets on the site, and inserts recordings and what only the site has."""
    assert _site is not None
    here = f"docs/{page.file.src_uri}"
    if here in _site.texts:
        markdown = links.for_site(markdown, here, {**_site.places, **_site.sources})
    docs = Path(config["docs_dir"])
    markdown = _TRANSCRIPT.sub(lambda found: _recording(docs / found.group(1)), markdown)
    return _ONLY_ON_SITE.sub(lambda found: _part(found.group(1)), markdown)


def _recording(file: Path) -> str:
    """A recorded session as a block of text; nothing if it is missing."""
    return fence(file.read_text(encoding="utf-8")) if file.is_file() else ""


def _part(name: str) -> str:
    """A part of a page whose links lead to made pages, which a repository browser does not have."""
    return (ROOT / "docs_tools" / name).read_text(encoding="utf-8")

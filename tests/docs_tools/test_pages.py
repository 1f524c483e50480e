"""Links, docstrings and notebooks as pages of the site."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs_tools import gallery, links, repository

PLACES = {"docs/a.md": "a.md", "docs/images/p.png": "images/p.png", "recipes/x/README.md": "recipes/x.md"}


def test_links_follow_their_targets_from_deeper_pages() -> None:
    text = "[![shown](../../docs/images/p.png)](../../docs/a.md#part)"
    assert links.for_site("![shown](../../docs/images/p.png)", "recipes/x/README.md", PLACES) == (
        "![shown](../images/p.png)"
    )
    assert "(../a.md#part)" in links.for_site(text, "recipes/x/README.md", PLACES)


def test_links_within_a_page_to_addresses_and_in_code_stay() -> None:
    text = "[a](#part) [b](https://example.org/x) \n\n```md\n[c](../nothing.md)\n```\n"
    assert links.for_site(text, "docs/a.md", PLACES) == text


def test_a_link_to_a_missing_file_stays_for_the_strict_build_to_report() -> None:
    assert links.for_site("[a](gone.md)", "docs/a.md", PLACES) == "[a](gone.md)"


def test_a_link_to_a_folder_becomes_text() -> None:
    assert links.for_site("see [`the` code](../uqdm/)", "docs/a.md", PLACES) == "see `the` code"


def test_files_that_pages_link_to_get_pages_of_their_own(tmp_path: Path) -> None:
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config" / "c.yaml").write_text("a: 1\n")
    found = repository.source_places({"docs/a.md": "[c](../.config/c.yaml) [d](../gone.py)"}, PLACES, tmp_path)
    assert found == {".config/c.yaml": "source/config/c.yaml.md"}
    page = repository.source_page(".config/c.yaml", found[".config/c.yaml"], tmp_path)
    assert "```yaml\na: 1\n```" in page.markdown


def test_roles_in_docstrings_become_references() -> None:
    pytest.importorskip("griffe")
    from docs_tools.docstrings import with_references

    scope = ("uqdm.codec.Codec", "uqdm.codec")
    assert 'identifier="uqdm.codec.Codec.encode" optional><code>encode</code>' in with_references(
        ":meth:`encode`", scope
    )
    assert 'identifier="uqdm.codec.StreamError"' in with_references(":class:`StreamError`", scope)
    assert "<code>Job</code>" in with_references(":class:`~uqdm.bench.execute.job.Job`", scope)


def test_a_site_without_a_run_says_how_to_make_one(tmp_path: Path) -> None:
    section = gallery.section(tmp_path)
    assert section.files == {}
    assert all("make site" in page.markdown for page in section.pages)


def test_every_guide_is_in_the_navigation() -> None:
    named = set(re.findall(r"^ +- (?:\w+: )?([\w-]+\.md)$", (repository.ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    guides = {page.name for page in (repository.ROOT / "docs").glob("*.md")} - {"README.md"}
    assert guides - named == set(), "each page of docs/ has its place in the navigation of mkdocs.yml"

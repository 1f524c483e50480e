"""The whole site, built as users build it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs")
pytest.importorskip("mkdocstrings")

ROOT = Path(__file__).resolve().parents[2]
LOADED = re.compile(r"""<(?:link|script|img|iframe|source)\b[^>]*?\s(?:src|href)=["']?(?:https?:)?//[^>]*>""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site without a run and without results of notebooks; a broken link or reference would fail the build."""
    folder = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "UQDM_SITE_RUN": str(folder / "no-run"), "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder / "site")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr
    return folder / "site"


@pytest.mark.slow
def test_every_guide_is_a_page(site: Path) -> None:
    guides = {page.stem for page in (ROOT / "docs").glob("*.md")} - {"README"}
    assert guides <= {page.stem for page in site.glob("*.html")}


@pytest.mark.slow
def test_pages_load_nothing_from_the_network(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 80
    found = {page.name: LOADED.findall(page.read_text(encoding="utf-8")) for page in pages}
    assert {name: tags for name, tags in found.items() if tags} == {}


@pytest.mark.slow
def test_docstrings_are_linked_and_examples_are_code(site: Path) -> None:
    page = (site / "reference" / "python" / "codec.html").read_text(encoding="utf-8")
    assert 'id="uqdm.codec.Codec.encode"' in page
    assert re.search(r'href="#uqdm\.codec\.StreamError"', page)
    assert ":class:`" not in page
    assert "&gt;&gt;&gt; </span>" in page


@pytest.mark.slow
def test_files_outside_the_guides_are_linked(site: Path) -> None:
    assert "source/config/config.yaml.html" in (site / "codecs.html").read_text(encoding="utf-8")
    assert "recipes/compressai.html" in (site / "systems.html").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.usefixtures("site")  # without the broken anchor the build succeeds
def test_a_broken_anchor_fails_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mkdocs.commands.build import build
    from mkdocs.config import load_config
    from mkdocs.exceptions import Abort

    monkeypatch.setenv("UQDM_SITE_RUN", str(tmp_path / "no-run"))
    docs = tmp_path / "docs"
    shutil.copytree(ROOT / "docs", docs)
    with (docs / "glossary.md").open("a") as page:
        page.write("\nSee [a part](runs.md#no-such-part).\n")
    places = {"docs_dir": str(docs), "site_dir": str(tmp_path / "site")}
    with pytest.raises(Abort):
        build(load_config(str(ROOT / "mkdocs.yml"), **places))

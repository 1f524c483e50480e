"""Guards docs/systems.md: what it says that this project has is here, and everything of the kind is named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from uqdm.bench.analysis.published_systems import all_system_names
from uqdm.codec import codec_names
from uqdm.model import zoo
from uqdm.model.files import CONFIG

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "systems.md").read_text(encoding="utf-8")
STATUSES = {"runs here", "in the manner of", "by recipe", "curve only", "no"}
RECIPES = {folder.name for folder in (ROOT / "recipes").iterdir() if (folder / "host.py").is_file()}


def rows() -> Iterator[list[str]]:
    """The cells of each system: name, terms, status, how, curves."""
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 5 and cells[0] not in ("system", "---"):
            yield cells


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def codecs_in(text: str) -> set[str]:
    """The names after the word codec, with commas or `and` between them."""
    lists = re.findall(r"\bcodecs? ((?:`[^`]+`(?:, | and )?)+)", text)
    return {name for one in lists for name in quoted(one)}


def test_there_are_rows() -> None:
    assert len(list(rows())) >= 30


@pytest.mark.parametrize("row", list(rows()), ids=lambda row: row[0][:30])
def test_a_row_keeps_what_its_status_says(row: list[str]) -> None:
    _, terms, status, how, curves = row
    stated = set(re.findall(r"\*\*([^*]+)\*\*", status))
    assert stated
    assert stated <= STATUSES
    assert terms
    assert how
    recipes = set(re.findall(r"\(\.\./recipes/([\w-]+)/README\.md\)", how))
    assert recipes <= RECIPES
    assert bool(recipes) == ("by recipe" in stated)
    assert codecs_in(how) <= set(codec_names())
    if stated & {"runs here", "in the manner of"}:
        assert codecs_in(how)
    if "curve only" in stated:
        assert curves


def test_published_systems_models_and_codecs_exist() -> None:
    models = {folder.parent.name for folder in zoo.SHIPPED.glob(f"*/{CONFIG}")} | set(zoo.KNOWN)
    published, codecs = set(all_system_names()), set(codec_names())
    for name, _, _, how, curves in rows():
        assert [one for one in quoted(curves) if one not in published] == [], name
        others = [one for one in quoted(how) if one not in codecs | models]
        assert [one for one in others if not one.startswith(("uqdm ", ".pkl", "lossless", "remote"))] == [], name


def test_every_recipe_is_on_the_page() -> None:
    assert set(re.findall(r"\(\.\./recipes/([\w-]+)/README\.md\)", PAGE)) == RECIPES


def test_the_number_of_published_systems_is_that_of_the_files() -> None:
    (stated,) = re.findall(r"lists all (\d+) systems", PAGE)
    assert int(stated) == len(all_system_names())

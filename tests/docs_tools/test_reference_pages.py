"""The generated reference has every command, option, codec, key, column and metric, and names that guides import."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest
import yaml

from docs_tools.reference import codecs, columns, command_line, configuration, metrics, python
from uqdm.bench.metrics import declared
from uqdm.bench.schema import BD, ROWS, SUMMARY
from uqdm.codec import codec_class

ROOT = Path(__file__).resolve().parents[2]
MODULES = ("markdown", "links", "repository", "docstrings", "reference.configuration")


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    if name == "docstrings":
        pytest.importorskip("griffe")
    results = doctest.testmod(importlib.import_module(f"docs_tools.{name}"))
    assert results.attempted > 0
    assert results.failed == 0


def test_each_command_has_a_page_with_its_options() -> None:
    pages = {page.title: page.markdown for page in command_line.section().pages}
    assert {"uqdm", "uqdm encode", "uqdm models get", "uqdm bench run"} <= pages.keys()
    for one in command_line.commands():
        for parameter in one.command.get_params(one.context):
            assert any(name in pages[one.name] for name in parameter.opts), f"{one.name}: {parameter.opts}"


def test_a_group_links_to_the_pages_of_its_commands() -> None:
    files = {page.path.rpartition("/")[2] for page in command_line.section().pages}
    for page in command_line.section().pages:
        assert set(re.findall(r"\]\(([\w-]+\.md)\)", page.markdown)) <= files


def test_commands_of_a_group_stand_below_it_in_the_navigation() -> None:
    (bench,) = (one["bench"] for one in command_line.section().navigation if isinstance(one, dict) and "bench" in one)
    assert bench[0] == "reference/cli/uqdm-bench.md"
    assert {"run": "reference/cli/uqdm-bench-run.md"} in bench


def test_each_codec_is_listed_with_its_parameters() -> None:
    text = codecs.page().markdown
    sections = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert {"uqdm", "jpeg", "program"} <= sections.keys()
    for name, section in sections.items():
        for parameter in codec_class(name).parameters:
            assert f"| `{parameter.name}` |" in section


def test_each_shipped_key_of_the_configuration_is_listed() -> None:
    text = configuration.page().markdown
    shipped = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    shipped.pop("runs")
    for section, values in shipped.items():
        for key in values if isinstance(values, dict) else ():
            assert f"| `{section}.{key}` |" in text
    assert "| `runs.NAME.dataset` |" in text


def test_the_shipped_value_of_a_key_is_shown() -> None:
    lines = configuration.page().markdown.splitlines()
    (shard_size,) = (line for line in lines if line.startswith("| `evaluate.shard_size` |"))
    (seeds,) = (line for line in lines if line.startswith("| `swirl.seeds` |"))
    assert shard_size.endswith("| integer, at least 1 | `50` |")
    assert seeds.endswith("| list of integer or null | `null` |")


def test_each_column_is_listed_with_its_comment() -> None:
    lines = columns.page().markdown.splitlines()
    for schema in (ROWS, SUMMARY, BD):
        for name in schema.names:
            assert any(line.startswith(f"| `{name}` |") for line in lines), name
    assert "information content up to the point" in columns.page().markdown


def test_each_metric_is_listed_with_its_source() -> None:
    text = metrics.page().markdown
    for metric in declared():
        assert f"{{#{metric.name}}}" in text
    assert "Wang &amp; Bovik" in text


def imported_by_guides() -> set[str]:
    """Names of this package that blocks of code in the guide on codecs import."""
    text = (ROOT / "docs" / "add-a-codec.md").read_text()
    found = re.findall(r"^from (uqdm(?:\.\w+)*) import (.+)$", text, re.MULTILINE)
    return {f"{module}.{name.strip()}" for module, names in found for name in names.split(",")}


def test_names_that_the_guide_imports_are_on_pages() -> None:
    shown = {
        f"{name}.{member}" if member else name
        for part in python.PARTS
        for name, members in part.objects.items()
        for member in members or ("",)
    }
    wanted = imported_by_guides()
    assert "uqdm.bench.plots.Plot" in wanted
    assert {name for name in wanted if name not in shown and name.rpartition(".")[0] not in shown} == set()

"""Imports point down the table of folders in README.md, and that table has every part of the package."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UNLISTED = {"__init__", "__main__", "pretrained"}  # the package's own door; data


def rooms() -> list[str]:
    """The parts of the package as the table lists them, from the top."""
    named = re.findall(r"^\| `uqdm/([a-z0-9_]+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    return [name for name in named if name != "pretrained"]


def imported(file: Path) -> set[str]:
    """The parts of the package that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "uqdm":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.removeprefix("uqdm.").split(".")[0] if node.module.startswith("uqdm.") else "")
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("uqdm.")}
    return found


def parts() -> dict[Path, str]:
    files = (ROOT / "uqdm").rglob("*.py")
    return {file: file.relative_to(ROOT / "uqdm").parts[0].removesuffix(".py") for file in files}


def test_the_table_has_every_part_of_the_package():
    assert set(parts().values()) - UNLISTED == set(rooms())


def test_imports_point_down():
    order = {name: place for place, name in enumerate(rooms())}
    upward = [
        f"{file.relative_to(ROOT)} imports uqdm.{name}"
        for file, room in parts().items()
        if room in order
        for name in imported(file)
        if order.get(name, len(order)) < order[room]
    ]
    assert upward == []


def test_the_package_knows_nothing_of_the_baselines():
    texts = {file: file.read_text() for file in parts()}
    assert [
        file for file, text in texts.items() if re.search(r"^\s*(from|import) baselines\b", text, re.MULTILINE)
    ] == []


def test_the_baselines_know_the_contract_and_what_lies_below_it():
    files = [*(ROOT / "baselines").rglob("*.py")]
    allowed = rooms()[rooms().index("codec") :]
    assert {name for file in files for name in imported(file)} - {""} <= set(allowed)


def test_every_rule_that_runs_something_keeps_its_log_and_its_time():
    rules = [
        text
        for file in (ROOT / "workflow" / "rules").glob("*.smk")
        for text in re.split(r"^rule ", file.read_text(), flags=re.MULTILINE)[1:]
    ]
    working = [text for text in rules if re.search(r"^    (shell|script|run):", text, re.MULTILINE)]
    assert working
    assert [text.split(":")[0] for text in working if "    benchmark:" not in text or "    log:" not in text] == []

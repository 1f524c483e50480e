"""Imports point down the table of folders in README.md, and that table has every part of the package."""

import ast
import re
from collections.abc import Collection, Mapping
from pathlib import Path

import networkx as nx

ROOT = Path(__file__).resolve().parents[1]
UNLISTED = {"__init__", "__main__", "pretrained"}  # the entry points of the package; data
BENCH = ROOT / "uqdm" / "bench"


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


def test_the_table_lists_every_part_of_the_package():
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


def rooms_of_bench() -> list[str]:
    """The rooms of ``uqdm/bench`` as the table lists them, from the top."""
    return re.findall(r"^\| `bench/([a-z0-9_]+)", (ROOT / "README.md").read_text(), re.MULTILINE)


def room_in_bench(module: str) -> str:
    """The room of a module of ``uqdm.bench``; empty for the package itself and for modules elsewhere."""
    parts = module.split(".")
    return parts[2] if parts[:2] == ["uqdm", "bench"] and len(parts) > 2 else ""


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for file in (ROOT / "uqdm").rglob("*.py"):
        parts = file.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def import_graph() -> dict[str, set[str]]:
    """The modules of the package that each module imports, wherever in it, also in functions and for types alone."""
    known = modules()
    return {name: imported_modules(file, known) - {name} for name, file in known.items()}


def imported_modules(file: Path, known: Collection[str]) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {member if member in known else node.module for member in members}
    return found & set(known)


def circles(graph: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Groups of modules that import each other in a circle."""
    groups = nx.strongly_connected_components(nx.DiGraph({name: list(found) for name, found in graph.items()}))
    return sorted(sorted(group) for group in groups if len(group) > 1)


def test_the_table_lists_every_room_of_bench():
    found = {path.stem for path in BENCH.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert found - {"__init__"} == set(rooms_of_bench())
    assert len(rooms_of_bench()) == len(set(rooms_of_bench()))


def test_imports_within_bench_point_down():
    order = {name: place for place, name in enumerate(rooms_of_bench())}
    upward = [
        f"{name} imports {other}"
        for name, found in import_graph().items()
        for other in found
        if (room_in_bench(name) and room_in_bench(other)) and order[room_in_bench(other)] < order[room_in_bench(name)]
    ]
    assert upward == []


def test_no_import_circle_exists():
    assert circles(import_graph()) == []


def test_a_circle_is_found():
    assert circles({"a": ["b"], "b": ["c"], "c": ["b"]}) == [["b", "c"]]


def test_no_module_of_the_package_is_imported_by_a_string():
    hidden = [
        str(file.relative_to(ROOT))
        for file in parts()
        if re.search(r"""import_module\(f?["']uqdm\.""", file.read_text())
    ]
    assert hidden == []


def test_tests_of_bench_mirror_its_rooms():
    folders = {path.name for path in (ROOT / "tests" / "bench").iterdir() if path.is_dir() and path.name[0] != "_"}
    assert folders <= set(rooms_of_bench())


def test_the_package_does_not_import_the_baselines():
    texts = {file: file.read_text() for file in parts()}
    assert [
        file for file, text in texts.items() if re.search(r"^\s*(from|import) uqdm_baselines\b", text, re.MULTILINE)
    ] == []


def test_the_baselines_import_only_the_contract_lower_parts_the_coder_and_transforms():
    files = [*(ROOT / "uqdm_baselines").rglob("*.py")]
    allowed = ["coding", "transform", *rooms()[rooms().index("codec") :]]
    assert {name for file in files for name in imported(file)} - {""} <= set(allowed)


def test_every_working_rule_has_a_log_and_a_benchmark():
    rules = [
        text
        for file in (ROOT / "workflow" / "rules").glob("*.smk")
        for text in re.split(r"^rule ", file.read_text(), flags=re.MULTILINE)[1:]
    ]
    working = [text for text in rules if re.search(r"^    (shell|script|run):", text, re.MULTILINE)]
    assert working
    assert [text.split(":")[0] for text in working if "    benchmark:" not in text or "    log:" not in text] == []

"""The recipes: their locks, host scripts and pages, without their environments."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

from uqdm.environments.lock_file import parse_lock
from uqdm_baselines.remote.host_file import uqdm_codec_host

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
HOSTS = sorted(RECIPES.glob("*/host.py"))
LOCKS = sorted(RECIPES.glob("*/lock.txt"))
NAMES = [path.parent.name for path in HOSTS]
ROW = re.compile(r"^\| \[[^\]]+\]\(([a-z0-9-]+)/README\.md\) \|(.*)\|$", re.MULTILINE)


def table() -> dict[str, list[str]]:
    """The table of all recipes: the other cells of a row, by the name of its folder."""
    text = (RECIPES / "README.md").read_text()
    return {folder: [cell.strip() for cell in cells.split("|")] for folder, cells in ROW.findall(text)}


def was_run(folder: str) -> bool:
    return table()[folder][1] == "yes"


def test_the_table_has_each_folder() -> None:
    folders = {path.name for path in RECIPES.iterdir() if path.is_dir()} - {"recipe_tools", "__pycache__"}
    assert set(table()) == folders == set(NAMES)
    assert {cells[1] for cells in table().values()} <= {"yes", "no"}


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.parent.name)
def test_a_lock_has_versions_only(path: Path) -> None:
    lock = parse_lock(path.read_bytes(), path.name)
    for line in path.read_text().splitlines():
        assert re.fullmatch(r"#.*|--no-deps|[A-Za-z0-9._-]+==[A-Za-z0-9._!+-]+", line), line
    names = [requirement.name.lower().replace("_", "-") for requirement in lock.requirements]
    assert names
    assert len(names) == len(set(names))
    assert lock.python is not None


@pytest.mark.parametrize("path", [*HOSTS, *sorted(RECIPES.glob("recipe_tools/*.py"))], ids=str)
def test_a_host_is_written_for_python_3_8(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 8))


@pytest.mark.parametrize("path", HOSTS, ids=NAMES)
def test_a_host_uses_what_the_protocol_offers(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = [alias.name for node in imported if node.module == "uqdm_codec_host" for alias in node.names]
    assert "serve" in names
    assert set(names) <= {"serve", "Stream", "StreamError"} <= set(vars(uqdm_codec_host))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    (served,) = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "serve"]
    known = inspect.signature(uqdm_codec_host.serve).parameters
    assert len(served.args) == 2
    assert {keyword.arg for keyword in served.keywords} <= set(known)
    assert {"name", "version", "parameters"} <= {keyword.arg for keyword in served.keywords}


@pytest.mark.parametrize("path", HOSTS, ids=NAMES)
def test_a_host_names_the_version_of_what_the_recipes_share(path: Path) -> None:
    """The benchmark hashes the script, but not the package that it imports."""
    text = path.read_text()
    assert ("from recipe_tools import" in text) == ('"recipe_tools": digest()' in text)


@pytest.mark.parametrize("path", HOSTS, ids=NAMES)
def test_a_recipe_says_whether_it_was_run(path: Path) -> None:
    """At the top of its page, in the docstring of its host, and by the lock file that its environment was made from."""
    folder = path.parent
    top = (folder / "README.md").read_text()[:400]
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    if was_run(folder.name):
        assert "**Run here**" in top
        assert (folder / "lock.txt").is_file()
    else:
        assert "**Not run here.**" in top
    assert ("was not run" in docstring) != was_run(folder.name)


@pytest.mark.parametrize("path", HOSTS, ids=NAMES)
def test_the_kind_of_bytes_fits_the_codec(path: Path) -> None:
    """A codec that estimates its bits is served as one, and its page names the codec `remote-estimate`."""
    estimates = table()[path.parent.name][2].startswith("estimate")
    assert ("estimate=True" in path.read_text()) == estimates
    assert ("remote-estimate:" in (path.parent / "README.md").read_text()) == estimates

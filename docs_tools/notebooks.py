"""The notebooks of ``notebooks/``, executed and as pages: ``python -m docs_tools.notebooks`` executes them.

A source is a page of Markdown whose blocks of Python are cells, as jupytext reads it. Executed copies are kept, so that
a build of the site executes nothing; they are made again when their source or the package changes.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docs_tools.links import for_site
from docs_tools.markdown import fence
from docs_tools.pages import ROOT, MadePage, Section
from docs_tools.repository import NOTEBOOKS

SOURCES = ROOT / NOTEBOOKS
EXECUTED = ROOT / "build" / "notebooks"
TIME_LIMIT_S = 600
_NOT_EXECUTED = (
    '!!! note "Without results"\n    This build of the site has not executed the notebook: `make site` does.\n'
)
_WRITE_FILE = "%%writefile "
_TEXT_RESULT = "{ .text .no-copy .output }"
"""Kind of block that site.css draws as a result."""
_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def sources() -> list[Path]:
    """The notebooks, by name."""
    return sorted(SOURCES.glob("*.md"))


def execute(source: Path, folder: Path) -> Any:
    """The notebook with its results. It runs in ``folder``, by a kernel of this Python.

    Raises :class:`nbclient.exceptions.CellExecutionError` if a cell fails.
    """
    import jupytext
    from nbclient import NotebookClient

    notebook = jupytext.read(source)
    client = NotebookClient(notebook, timeout=TIME_LIMIT_S, kernel_name="python3", coalesce_streams=True)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # commands of this Python
    client.execute(cwd=str(folder), env={**os.environ, "PATH": path, "COLUMNS": "100", "PYTHONWARNINGS": "ignore"})
    return notebook


def executed_path(source: Path, folder: Path = EXECUTED) -> Path:
    """Where the copy of a notebook is kept that the present package has executed."""
    return folder / f"{source.stem}-{_digest(source)}.ipynb"


def _digest(source: Path) -> str:
    """Hash of a notebook and of all modules that it may use."""
    digest = hashlib.sha256(source.read_bytes())
    for package in ("uqdm", "uqdm_baselines"):
        for module in sorted((ROOT / package).rglob("*.py")):
            digest.update(module.read_bytes())
    return digest.hexdigest()[:16]


def execute_all(folder: Path = EXECUTED) -> Iterator[Path]:
    """Executes the notebooks that have changed since; yields the path of each that is new."""
    import nbformat

    for source in sources():
        path = executed_path(source, folder)
        if path.is_file():
            continue
        with tempfile.TemporaryDirectory() as work:
            notebook = execute(source, Path(work))
        folder.mkdir(parents=True, exist_ok=True)
        for former in folder.glob(f"{source.stem}-*.ipynb"):
            former.unlink()
        path.write_text(nbformat.writes(notebook), encoding="utf-8")
        yield path


def section(places: Mapping[str, str], folder: Path = EXECUTED) -> Section:
    """A page for each notebook with its results, or with a note where there are none.

    ``places`` maps files of the repository to their paths on the site.
    """
    pages: list[MadePage] = []
    files: dict[str, Path | bytes] = {}
    for source in sources():
        page, shown = _page(source, places, folder)
        pages.append(page)
        files |= shown
    return Section(tuple(pages), files)


def _page(source: Path, places: Mapping[str, str], folder: Path) -> tuple[MadePage, dict[str, Path | bytes]]:
    import jupytext
    import nbformat

    path = executed_path(source, folder)
    notebook = nbformat.read(path, as_version=4) if path.is_file() else jupytext.read(source)
    content = nbformat.writes(notebook).encode()
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = for_site(cell.source, f"{NOTEBOOKS}/{source.name}", places)
    text, files = markdown_of(notebook, source.stem)
    title = re.search(r"^# (.*)$", text, re.MULTILINE)
    assert title is not None, f"{source}: a notebook begins with a heading"
    heading, rest = text.split("\n", 1)
    note = "" if path.is_file() else _NOT_EXECUTED
    link = f"[Download the notebook]({source.stem}.ipynb), and open it in Jupyter.\n"
    whole = "\n\n".join(filter(None, [heading, note, link, rest]))
    shown: dict[str, Path | bytes] = {f"notebooks/{name}": content for name, content in files.items()}
    shown[f"notebooks/{source.stem}.ipynb"] = content
    return MadePage(f"notebooks/{source.stem}.md", title.group(1), whole), shown


def markdown_of(notebook: Any, name: str) -> tuple[str, dict[str, Path | bytes]]:
    """A notebook as Markdown, and its pictures by path: ``NAME/CELL-OUTPUT.png``."""
    parts: list[str] = []
    files: dict[str, Path | bytes] = {}
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        elif cell.cell_type == "code" and cell.source.strip():
            parts.append(_code(cell.source))
            is_file = cell.source.startswith(_WRITE_FILE)  # whose result says only that it was written
            for number, output in enumerate(() if is_file else cell.get("outputs", ())):
                shown, pictures = _output(output, f"{name}/{place}-{number}")
                parts.append(shown)
                files |= pictures
    return "\n\n".join(filter(None, parts)), files


def _code(source: str) -> str:
    """The code of a cell; a command of the shell, or the content of a file, without the line that says so."""
    first, _, rest = source.partition("\n")
    if first == "%%bash":
        return fence(rest, "sh")
    if first.startswith(_WRITE_FILE):
        name = first.removeprefix(_WRITE_FILE)
        return fence(rest, Path(name).suffix.removeprefix(".") or "text", name)
    return fence(source, "python")


def _output(output: Any, path: str) -> tuple[str, dict[str, Path | bytes]]:
    """One result of a cell: a picture before a table before text."""
    import base64

    if output.output_type == "stream":
        return fence(_plain(output.text), _TEXT_RESULT), {}
    data = output.get("data", {})
    if "image/png" in data:
        return f"![Result of the cell above]({path}.png)\n", {f"{path}.png": base64.b64decode(data["image/png"])}
    if "text/html" in data:
        return f'<div class="result">\n{_without_styles(data["text/html"])}\n</div>\n', {}
    if "text/markdown" in data:
        return str(data["text/markdown"]), {}
    return (fence(_plain(data["text/plain"]), _TEXT_RESULT), {}) if "text/plain" in data else ("", {})


def _plain(text: str) -> str:
    """Text of a terminal as a reader sees it: no colours, and of lines that were overwritten the last state."""
    return "\n".join(line.rsplit("\r", 1)[-1] for line in _TERMINAL.sub("", text).replace("\r\n", "\n").split("\n"))


def _without_styles(markup: str) -> str:
    """HTML of a data frame without its own style sheet; an empty line would end it in Markdown."""
    text = re.sub(r"<style.*?</style>", "", markup, flags=re.DOTALL).replace(' border="1"', "")
    return "\n".join(line for line in text.split("\n") if line.strip())


def main() -> None:
    """Executes the notebooks that have no executed copy."""
    for path in execute_all():
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()

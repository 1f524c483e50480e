"""The workflow's files: those of a checkout, or the copy of them that an installed package has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
COPY = PACKAGE / "packaged"
"""Where ``setup.py`` puts the workflow's files in a wheel."""


def workflow_folder() -> Path:
    """The folder that has ``Snakefile``, ``workflow/``, ``config/`` and ``recipes/``.

    It is the package's own copy, or, of an editable installation, the checkout. Raises FileNotFoundError where neither
    has them.

    >>> (workflow_folder() / "Snakefile").is_file()
    True
    """
    for folder in (COPY, PACKAGE.parent):
        if (folder / "Snakefile").is_file() and (folder / "workflow").is_dir():
            return folder
    raise FileNotFoundError(f"{COPY}: the installation of uqdm has no workflow; install it again")


def configuration_file(name: str, shipped: Path) -> Path:
    """``config/NAME`` of the working folder, or else that beside the Snakefile, in ``shipped``.

    >>> configuration_file("absent.yaml", Path("/site")).as_posix()
    '/site/config/absent.yaml'
    """
    own = Path("config") / name
    return own if own.is_file() else shipped / own


def files_of(folder: Path, *parts: str) -> Iterator[Path]:
    """The files in these parts of a folder, relative to it, in order of their paths; no byte code."""
    for part in parts:
        found = (path.relative_to(folder) for path in sorted((folder / part).rglob("*")) if path.is_file())
        yield from (path for path in found if "__pycache__" not in path.parts)

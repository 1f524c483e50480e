"""The plot of docs/add-a-codec.md, added as one file or as one package with an entry point."""

from __future__ import annotations

import re
from pathlib import Path

NAME = "rates"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "add-a-codec.md"


def source() -> str:
    """The block of the page that is the plot's module."""
    found = re.search(
        r"^```python\n# uqdm/bench/plots/rates.py\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    assert found is not None
    return found[1]


def drop(folder: Path) -> None:
    """Writes the plot's module into a folder that is a part of ``uqdm.bench.plots``."""
    (folder / f"{NAME}.py").write_text(source())


def install(folder: Path) -> None:
    """Makes a package of the plot, to be put on the path of a Python process."""
    information = folder / "zzpackage-1.0.dist-info"
    information.mkdir(parents=True)
    (folder / "zzpackage.py").write_text(source())
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: zzpackage\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[uqdm.plots]\n{NAME} = zzpackage:PLOT\n")

"""The stamp of an environment: a file that is written last, and says what was made."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from uqdm.files import write_bytes

STAMP = "uqdm-environment.json"


@dataclass(frozen=True)
class Stamp:
    """What was made, in an environment that is complete."""

    lock: str
    """Path of the file that it was made from, at that time."""
    sha256: str
    """Hash of that file."""
    python: str
    """Version of its Python, such as 3.11.7; empty if it has none."""
    packages: list[str]
    """What is installed, as ``pip freeze`` writes it."""
    unlocked: list[str]
    """Names of installed packages whose version the file does not fix."""
    made: str
    """Local time with offset, ISO 8601."""

    def write(self, folder: Path) -> None:
        """Writes it into the environment's folder in one step."""
        write_bytes(folder / STAMP, (json.dumps(asdict(self), indent=2) + "\n").encode())


def read_stamp(folder: Path) -> Stamp | None:
    """The stamp of an environment; None if its folder is absent or not complete."""
    try:
        found = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        return Stamp(**{field.name: found[field.name] for field in fields(Stamp)})
    except (OSError, ValueError, KeyError, TypeError):
        return None

"""Notes of environments that were made: a JSON file for the workflow, and whether what it says still holds."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from uqdm.environments.contract import EnvironmentMakeError
from uqdm.environments.made import MadeEnvironment
from uqdm.environments.stamp import read_stamp
from uqdm.files import write_bytes


def entry(environment: MadeEnvironment) -> dict[str, Any]:
    """What a note says of an environment: its identity, folder, Python and packages, but no time and no path of a file.

    Raises :class:`EnvironmentMakeError` if it is not made.
    """
    stamp = environment.stamp()
    if stamp is None:
        raise EnvironmentMakeError(str(environment.missing()))
    told = {name: value for name, value in asdict(stamp).items() if name not in ("lock", "made")}
    return {"identity": environment.identity, "folder": str(environment.folder), **told}


def write_note(path: Path, entries: Iterable[dict[str, Any]]) -> None:
    """Writes entries as a JSON object, in one step."""
    write_bytes(path, (json.dumps({"environments": list(entries)}, indent=2) + "\n").encode())


def holds(note: Path) -> bool:
    """Whether every environment that a note names is still there."""
    try:
        named = json.loads(note.read_text(encoding="utf-8"))["environments"]
        return all(read_stamp(Path(one["folder"])) is not None for one in named)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def refresh_state(note: Path, state: Path) -> None:
    """Writes the file ``state`` if it is absent, and writes it anew if the note is there and does not hold any more.

    An input of the rule that makes the note: it becomes newer than a note whose environment was removed.
    """
    if not state.is_file() or (note.exists() and not holds(note)):
        write_bytes(state, f"{time.time_ns()}\n".encode())

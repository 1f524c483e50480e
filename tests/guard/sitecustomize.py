"""Stops a test from starting Ray, Snakemake or a browser unless its marks say that it does.

``tests/conftest.py`` loads this in pytest's process and puts its folder on ``PYTHONPATH``, so that Python loads it in
every process that a test starts. The variable ``UQDM_TESTS_MAY_START`` holds the marks of the running test; where it is
not set, nothing is stopped.
"""

import os
import sys
from collections.abc import Iterable

MAY_START = "UQDM_TESTS_MAY_START"
PROGRAMS = {"raylet": "cluster", "gcs_server": "cluster", "snakemake": "workflow"}


def required_mark(command: Iterable[str | bytes | os.PathLike]) -> str | None:
    """The mark of tests that may run a command; None if every test may."""
    first = [os.fsdecode(part) for part in command][:3]  # PROGRAM, or python -m PROGRAM
    if first and "/playwright/driver/" in first[0]:
        return "browser"
    return next((PROGRAMS[name] for name in map(os.path.basename, first) if name in PROGRAMS), None)


def check(event: str, arguments: tuple) -> None:
    """Raises RuntimeError where a process is about to start that the running test may not start."""
    if event != "subprocess.Popen" or MAY_START not in os.environ:
        return
    command = arguments[1]
    mark = required_mark([command] if isinstance(command, (str, bytes, os.PathLike)) else command)
    if mark is not None and mark not in os.environ[MAY_START].split(","):
        raise RuntimeError(f"this test starts {command}: mark it with @pytest.mark.{mark}")


sys.addaudithook(check)

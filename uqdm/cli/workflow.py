"""What the Snakefile takes from the command line: errors on one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from uqdm.errors import USER_ERRORS, message_of
from uqdm.registry import suggest

Run = TypeVar("Run")


@contextmanager
def errors_on_one_line(about: str = "") -> Iterator[None]:
    """An error that a user can fix ends the process with one line and exit status 1, as on the command line.

    Snakemake would print its own stack around it. ``about`` begins the message, for example with a key of the
    configuration. With ``UQDM_TRACEBACK=1`` the error is raised. It also decorates functions.

    >>> with errors_on_one_line("runs: demo: "):
    ...     raise ValueError("limit=0: must be at least 1")
    Traceback (most recent call last):
    SystemExit: error: runs: demo: limit=0: must be at least 1
    """
    try:
        yield
    except USER_ERRORS as error:
        if wants_traceback():
            raise
        sys.exit(f"error: {about}{message_of(error)}")


def wants_traceback() -> bool:
    """Whether the user asked for tracebacks of errors."""
    return os.environ.get("UQDM_TRACEBACK", "0") not in ("", "0")


def check_configuration(config: Mapping[str, Any], schema_file: str | Path) -> None:
    """Raises ValueError with the first mistake of a configuration, in one line."""
    import yaml

    from uqdm.config_schema import check_against_schema
    from uqdm.paths import check_run_names

    runs = config.get("runs")
    if isinstance(runs, Mapping):
        check_run_names(runs)
    check_against_schema(config, yaml.safe_load(Path(schema_file).read_text(encoding="utf-8")))


def named_run(runs: Mapping[str, Run], name: str) -> Run:
    """The run of that name; raises LookupError, with near names, where the configuration has none.

    >>> named_run({"demo": 1}, "demmo")
    Traceback (most recent call last):
    LookupError: no run of that name (did you mean demo?); the configuration has: demo
    """
    if name not in runs:
        raise LookupError(f"no run of that name{suggest(name, runs)}; the configuration has: {', '.join(runs)}")
    return runs[name]


def key_of_run(run: str) -> str:
    """The keys of a run in the configuration, as messages begin.

    >>> key_of_run("demo"), key_of_run("paper_cifar10"), key_of_run("contest")
    ('runs: demo: ', 'paper: cifar10: ', 'contest: ')
    """
    if run == "contest":
        return "contest: "
    section, _, name = run.partition("_")
    return f"paper: {name}: " if section == "paper" and name else f"runs: {run}: "

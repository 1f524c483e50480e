"""What every environment can do: be identified, be made, and start commands."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

from uqdm.errors import UserError

Report = Callable[[str], object]
"""Called with a line on what is done now."""

_OF_THE_CALLER = ("PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__")
"""Variables by which the caller's Python would leak into another one."""


class EnvironmentMakeError(UserError):
    """An environment could not be made. The message says why, and names the log and the remedy."""


class Environment(ABC):
    """The software that commands run with.

    ``name`` is short and printable. ``folder`` holds the software; None if that is not this project's concern.
    """

    name: str
    folder: Path | None = None

    @property
    @abstractmethod
    def identity(self) -> str:
        """What decides the software, in one line for a codec's version; the same on every machine."""

    @abstractmethod
    def missing(self) -> str | None:
        """What this machine lacks, with the remedy, in one line; None if commands can start."""

    @abstractmethod
    def make(self, report: Report = lambda line: None) -> None:
        """Makes it on this machine, unless it is made; raises :class:`EnvironmentMakeError`."""

    @abstractmethod
    def command(self, words: Sequence[str]) -> list[str]:
        """The program and arguments that start ``words`` in it; they need :meth:`variables`."""

    @abstractmethod
    def variables(self) -> dict[str, str]:
        """The environment variables of commands in it, all of them."""


def variables_without_python() -> dict[str, str]:
    """The variables of this process without those that are for its own Python."""
    return {name: value for name, value in os.environ.items() if name not in _OF_THE_CALLER}

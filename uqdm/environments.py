"""Environments that programs of codecs run in: that of this process, or what a command enters."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Environment:
    """An environment by a command that enters it; empty for the one of this process.

    >>> environment("conda run -n cdc").command(["python", "host.py"])
    ['conda', 'run', '-n', 'cdc', 'python', 'host.py']
    """

    text: str

    @property
    def identity(self) -> str:
        """For the version column; empty for the environment of this process."""
        return f"environment {self.text}" if self.text else ""

    def missing(self) -> str | None:
        """What this machine lacks, and the remedy."""
        return None

    def command(self, words: Sequence[str]) -> list[str]:
        """How a program and its arguments are started in it."""
        return [*shlex.split(self.text), *words]

    def variables(self) -> dict[str, str]:
        """The variables of its processes."""
        return dict(os.environ)


def environment(text: str) -> Environment:
    """The environment that a setting names."""
    return Environment(text)


def canonical_text(text: str) -> str:
    """One spelling for one environment."""
    return text

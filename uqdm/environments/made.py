"""Environments that are made from a file, once: in a folder whose name has the hash of the file."""

from __future__ import annotations

import datetime
import hashlib
import os
import re
import shutil
import socket
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from uqdm.environments.contract import Environment, EnvironmentMakeError, Report, variables_without_python
from uqdm.environments.logged import LoggedPrograms
from uqdm.environments.stamp import Stamp, read_stamp
from uqdm.environments.storage import (
    VARIABLE,
    environments_folder,
    held,
    log_path,
    writable_environments_folder,
)
from uqdm.text import one_line

_NAME_LENGTH = 60
_MOVES_INSTALLATION = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER")
"""Variables by which pip would install elsewhere."""


@dataclass(frozen=True)
class Installed:
    """What an installation has: version of its Python, packages, and those whose version the file does not fix."""

    python: str
    packages: list[str]
    unlocked: list[str]


class MadeEnvironment(Environment):
    """An environment that is made from ``file``, whose bytes are ``content``, below :func:`environments_folder`.

    It counts as made when its stamp exists, which is written last.
    """

    folder: Path
    variable: ClassVar[str]
    """The variable that names the folder of an active environment."""

    def __init__(self, file: Path, content: bytes, name_end: str = "") -> None:
        self.file = file
        self.name = one_line(file.name, _NAME_LENGTH)
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.short_name = f"{_stem(file)}-{self.sha256[:12]}"
        """Stem of the file and hash of its bytes."""
        self.folder = environments_folder() / f"{self.short_name}{name_end}"

    def stamp(self) -> Stamp | None:
        """The stamp; None if the environment is not made, or its Python is not on this machine."""
        return None if self._lacks_python() else self._written_stamp()

    def missing(self) -> str | None:
        """Why commands cannot start here, with the remedy; None once it is made."""
        if self.stamp() is not None:
            return None
        host = socket.gethostname()
        if self._lacks_python():
            return (
                f"environment {self.name} cannot run on {host}: its Python, {os.path.realpath(self._python)}, is not "
                f"there; install that, or run `uqdm environments remove {self.folder.name}` and make it again"
            )
        state = "is not complete" if self.folder.is_dir() else "is absent"
        return (
            f"environment {self.name} is not made on {host}: {self.folder} {state}; run "
            f"`uqdm environments make {self.file}` there, or set {VARIABLE} to a folder that all nodes share"
        )

    def make(self, report: Report = lambda line: None) -> None:
        """Makes it, unless it is made; one process of those that try at once does the work, and the others wait.

        Raises :class:`EnvironmentMakeError` if a program fails, and OSError if the folder cannot be written. A folder
        that is not complete is removed first; one whose Python is not here is kept, since other machines may use it.
        """
        if self.stamp() is not None:
            return
        if self._lacks_python():
            raise EnvironmentMakeError(str(self.missing()))
        self._check_tools()
        writable_environments_folder()

        def wait() -> None:
            report(f"{self.folder.name}: waiting for another process that makes it")

        def unlocked() -> None:
            report(f"{self.folder.name}: this file system has no locks; do not make it twice at once")

        with held(self.folder, wait, unlocked) as descriptor:
            if self.stamp() is None:
                self._make(descriptor, report)

    def command(self, words: Sequence[str]) -> list[str]:
        """The words, with the full path of a program that the environment has."""
        program = self.folder / "bin" / words[0]
        return [str(program) if "/" not in words[0] and program.exists() else words[0], *words[1:]]

    def variables(self) -> dict[str, str]:
        """Those of this process with the environment active, and without what other Pythons would add."""
        inherited = variables_without_python()
        path = os.pathsep.join(filter(None, [str(self.folder / "bin"), inherited.get("PATH", os.defpath)]))
        others = {name: value for name, value in inherited.items() if name not in ("VIRTUAL_ENV", "CONDA_PREFIX")}
        return {**others, "PATH": path, self.variable: str(self.folder), "PYTHONNOUSERSITE": "1"}

    @abstractmethod
    def _check_tools(self) -> None:
        """Raises :class:`EnvironmentMakeError` if a program that makes it is not on this machine."""

    @abstractmethod
    def _install(self, programs: LoggedPrograms, report: Report) -> Installed:
        """Makes the folder and all in it; raises :class:`EnvironmentMakeError` if that fails, or is not as locked."""

    @property
    def _python(self) -> Path:
        return self.folder / "bin" / "python"

    def _written_stamp(self) -> Stamp | None:
        found = read_stamp(self.folder)
        return found if found is not None and found.sha256 == self.sha256 else None

    def _lacks_python(self) -> bool:
        """Whether it is complete, but its Python, which a virtual environment only links to, is not on this machine."""
        found = self._written_stamp()
        return found is not None and bool(found.python) and not os.access(self._python, os.X_OK)

    def _make(self, descriptor: int, report: Report) -> None:
        if self.folder.exists():
            report(f"{self.folder.name}: removing what an earlier attempt left")
            shutil.rmtree(self.folder)
        log = log_path(self.folder)
        log.write_bytes(b"")
        report(f"{self.folder.name}: making it in {self.folder} (log: {log})")
        programs = LoggedPrograms(f"environment {self.name}", log, self.file.parent, _variables(), descriptor)
        try:
            found = self._install(programs, report)
            made = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
            Stamp(str(self.file), self.sha256, found.python, found.packages, found.unlocked, made).write(self.folder)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise


def _stem(file: Path) -> str:
    """The stem of a file's name, as a part of a folder's name."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", file.stem).strip(".-")[:40] or "environment"


def _variables() -> dict[str, str]:
    """The variables of programs that install."""
    kept = {name: value for name, value in variables_without_python().items() if name not in _MOVES_INSTALLATION}
    return {**kept, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PYTHONNOUSERSITE": "1"}

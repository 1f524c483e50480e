"""Environments made from a lock file: a virtual environment, into which pip installs the packages."""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import sys
from pathlib import Path

from uqdm.environments.contract import EnvironmentMakeError, Report
from uqdm.environments.lock_file import differences, installed_versions, parse_lock, unlocked_names
from uqdm.environments.logged import LoggedPrograms
from uqdm.environments.made import Installed, MadeEnvironment
from uqdm.text import counted, shortened_list

RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
_PROBE_SECONDS = 60
_VERSION_CODE = "import platform; print(platform.python_version())"


class VenvEnvironment(MadeEnvironment):
    """A virtual environment with the packages of a lock file.

    Where the lock names no version of Python, the folder's name does: two of them may share the place.
    """

    variable = "VIRTUAL_ENV"

    def __init__(self, file: Path, content: bytes) -> None:
        self._lock = parse_lock(content, f"environment {file}")
        self.python = self._lock.python or RUNNING
        """Version of Python with two numbers, such as 3.9."""
        super().__init__(file, content, "" if self._lock.python else f"-py{self.python}")

    @property
    def identity(self) -> str:
        """The lock file by name and hash, and the version of Python."""
        return f"environment {self.name} sha256:{self.sha256[:12]}, Python {self.python}"

    def _check_tools(self) -> None:
        if _find_python(self.python, os.environ.get("PATH", os.defpath)) is None:
            raise EnvironmentMakeError(
                f"environment {self.name}: {socket.gethostname()} has no python{self.python} on PATH that runs, which "
                f"{self.file} names; install it, or change its line `# python: {self.python}`"
            )

    def _install(self, programs: LoggedPrograms, report: Report) -> Installed:
        base = _find_python(self.python, os.environ.get("PATH", os.defpath))
        assert base is not None, "checked before"
        programs.run(base, "-m", "venv", self.folder)
        copy = self.folder / "lock.txt"
        copy.write_text(self._lock.for_pip, encoding="utf-8")
        report(f"{self.folder.name}: installing {counted(len(self._lock.requirements), 'requirement')}")
        python = self.folder / "bin" / "python"
        programs.run(python, "-m", "pip", "install", *(["--no-deps"] if self._lock.no_deps else []), "-r", copy)
        return self._installed(python, programs)

    def _installed(self, python: Path, programs: LoggedPrograms) -> Installed:
        version = programs.output(python, "-c", _VERSION_CODE).strip()
        packages = programs.output(python, "-m", "pip", "freeze", "--all").splitlines()
        found = installed_versions(packages)
        wrong = list(differences(self._lock.requirements, found, version))
        if wrong:
            raise EnvironmentMakeError(
                f"environment {self.name}: pip did not install what the lock says: {shortened_list(wrong)}; "
                f"log: {programs.log}"
            )
        return Installed(version, packages, unlocked_names(self._lock.requirements, found))


@functools.lru_cache(maxsize=16)
def _find_python(version: str, search_path: str) -> str | None:
    """The Python of a version with two numbers: the one that runs, or the first on the path that really runs."""
    if version == RUNNING:
        return sys.executable
    places = (Path(folder, f"python{version}") for folder in search_path.split(os.pathsep) if folder)
    return next((str(place) for place in places if _runs(place, version)), None)


def _runs(program: Path, version: str) -> bool:
    """Whether it is a Python of that version; tools that choose among versions have programs that are none."""
    if not os.access(program, os.X_OK):
        return False
    command = [str(program), "-I", "-c", _VERSION_CODE]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.startswith(f"{version}.")

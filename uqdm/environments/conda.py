"""Environments made from a file of conda, by conda, mamba or micromamba."""

from __future__ import annotations

import json
import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from uqdm.environments.contract import EnvironmentMakeError, Report
from uqdm.environments.lock_file import installed_versions, parse_requirements, unlocked_names
from uqdm.environments.logged import LoggedPrograms
from uqdm.environments.made import Installed, MadeEnvironment

TOOLS = {
    "conda": ("env", "create"),
    "mamba": ("env", "create"),
    "micromamba": ("create", "--yes"),
}
"""Programs that make such an environment, in the order that they are looked for, and their subcommands."""

_PYTHON = re.compile(r"(?:\S+::)?python\s*={1,2}\s*(\d+\.\d+)\b.*")
_FIXED = re.compile(r"(?:\S+::)?([A-Za-z0-9._-]+)\s*={1,2}\s*[^=*,|<>\s]+(?:=[^=]+)?")


class CondaEnvironment(MadeEnvironment):
    """An environment of conda, as a file such as ``conda env export`` writes describes it."""

    variable = "CONDA_PREFIX"

    def __init__(self, file: Path, content: bytes) -> None:
        self._content = content
        self._packages, pip_lines = _dependencies(content, f"environment {file}")
        self._requirements = list(parse_requirements(pip_lines, f"environment {file}"))
        super().__init__(file, content)

    @property
    def identity(self) -> str:
        """The file by name and hash, and the version of Python if the file names one."""
        named = [found[1] for found in map(_PYTHON.fullmatch, self._packages) if found]
        python = f", Python {named[0]}" if named else ""
        return f"environment {self.name} sha256:{self.sha256[:12]}{python}"

    def variables(self) -> dict[str, str]:
        """As for every environment that is made; scripts that packages run on activation are not run."""
        return {**super().variables(), "CONDA_DEFAULT_ENV": str(self.folder)}

    def _check_tools(self) -> None:
        if _tool() is None:
            raise EnvironmentMakeError(
                f"environment {self.name}: {socket.gethostname()} has no {', '.join(TOOLS)} on PATH; install one of "
                "them, or name a lock file of pip (.txt)"
            )

    def _install(self, programs: LoggedPrograms, report: Report) -> Installed:
        tool = _tool()
        assert tool is not None, "checked before"
        copy = self.folder.with_name(f".{self.folder.name}{self.file.suffix}")
        copy.write_bytes(self._content)
        report(f"{self.folder.name}: {tool} solves and installs")
        try:
            programs.run(tool, *TOOLS[tool], "--prefix", self.folder, "--file", copy)
        finally:
            copy.unlink()
        return self._installed(programs)

    def _installed(self, programs: LoggedPrograms) -> Installed:
        packages = dict(_records(self.folder))
        lines = [f"{name}=={version}" for name, version in sorted(packages.items())]
        python = self.folder / "bin" / "python"
        if (self.folder / "bin" / "pip").exists():
            listed = programs.output(python, "-m", "pip", "list", "--format=freeze").splitlines()
            known = set(map(canonicalize_name, packages))
            lines += [line for line in listed if not known & set(installed_versions([line]))]
        fixed = {canonicalize_name(found[1]) for found in map(_FIXED.fullmatch, self._packages) if found}
        free = unlocked_names(self._requirements, installed_versions(lines))
        return Installed(packages.get("python", ""), lines, [name for name in free if name not in fixed])


def _dependencies(content: bytes, name: str) -> tuple[list[str], list[str]]:
    """The packages of conda and the lines for pip in a file; raises ValueError if it has another structure."""
    import yaml  # other environments do not need it

    try:
        found = yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise ValueError(f"{name}: not YAML: {error}") from error
    listed = found.get("dependencies") if isinstance(found, Mapping) else None
    if not isinstance(listed, list) or not all(isinstance(one, str) or _is_pip(one) for one in listed):
        raise ValueError(f"{name}: it has no list `dependencies` of packages; see docs/environments.md")
    packages = [one.strip() for one in listed if isinstance(one, str)]
    return packages, [line.strip() for one in listed if isinstance(one, Mapping) for line in one["pip"]]


def _is_pip(entry: Any) -> bool:
    is_list = isinstance(entry, Mapping) and set(entry) == {"pip"} and isinstance(entry["pip"], list)
    return is_list and all(isinstance(line, str) for line in entry["pip"])


def _tool() -> str | None:
    return next((name for name in TOOLS if shutil.which(name) is not None), None)


def _records(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and version of each package that conda has installed."""
    for file in sorted((folder / "conda-meta").glob("*.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        yield record["name"], record["version"]

"""What is installed here: versions of uqdm, of Python and of its libraries, and the machine."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from packaging.requirements import Requirement

_OF_DEVELOPERS = ("test", "docs")  # extras


def installation() -> dict[str, Any]:
    """Versions and the machine, as ``uqdm doctor --json`` begins."""
    from uqdm.machine import machine

    facts = dict(machine())
    first = {"uqdm": _version("uqdm"), "python": facts.pop("python"), "platform": facts.pop("platform")}
    return {**first, "machine": facts, "libraries": libraries()}


def libraries() -> dict[str, str | None]:
    """Versions of the libraries that uqdm and its extras require, by name; None for one that is not installed.

    >>> libraries()["numpy"] == importlib.metadata.version("numpy")
    True
    """
    required = map(Requirement, importlib.metadata.requires("uqdm") or [])
    names = {one.name for one in required if not _is_for_developers(one)}
    return {name: _version(name) for name in sorted(names, key=str.lower)}


def _is_for_developers(requirement: Requirement) -> bool:
    """Whether no command of a user needs it.

    >>> [_is_for_developers(Requirement(f"ruff; extra == '{extra}'")) for extra in ("test", "codecs")]
    [True, False]
    """
    return any(f'extra == "{name}"' in str(requirement.marker) for name in _OF_DEVELOPERS)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None

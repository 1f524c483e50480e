"""Lock files: requirements of pip with their versions, and the version of Python that they are for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

_PYTHON = re.compile(r"#\s*python\s*:\s*(.*)", re.IGNORECASE)
_VERSION = re.compile(r"\d+\.\d+")
_NO_DEPS = "--no-deps"
_OTHER_FILES = re.compile(r"--(?:requirement|constraint|editable)\b|-[rce]")
_TOOLS = {"pip", "setuptools", "wheel", "distribute"}
"""What a new virtual environment has, and a lock need not name."""


@dataclass(frozen=True)
class LockFile:
    """A lock file as it was read.

    ``python`` is the version that its first comments name, such as 3.9. ``for_pip`` is the text that pip reads: it
    lacks ``--no-deps``, which pip takes on its command line only.
    """

    requirements: tuple[Requirement, ...]
    python: str | None
    no_deps: bool
    for_pip: str


def parse_lock(content: bytes, name: str) -> LockFile:
    """Reads a lock file, whose ``name`` begins messages.

    Raises ValueError for a text that is not UTF-8, a version of Python that is none, and for lines that pip would not
    read or that name other local files: the hash of the lock does not cover these.

    >>> lock = parse_lock(b"# python: 3.9\\n--no-deps\\nidna==3.7\\n", "lock.txt")
    >>> lock.python, lock.no_deps, [str(one) for one in lock.requirements]
    ('3.9', True, ['idna==3.7'])
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: not a text in UTF-8") from error
    requirements = parse_requirements(_lines(text), name)
    rest = "\n".join(map(_without_no_deps, text.splitlines())) + "\n"
    return LockFile(tuple(requirements), _python(text, name), any(map(_has_no_deps, text.splitlines())), rest)


def parse_requirements(lines: Iterable[str], name: str) -> Iterator[Requirement]:
    """The requirements among lines, without options of pip; raises ValueError as :func:`parse_lock` does."""
    for line in lines:
        if _OTHER_FILES.match(line):
            raise ValueError(f"{name}: {line!r}: write the packages themselves; other local files are not in the hash")
        if line.startswith("-"):
            continue
        written = re.split(r"\s+--?[A-Za-z]", line)[0]  # without --hash=...
        try:
            found = Requirement(written)
        except InvalidRequirement as error:
            raise ValueError(f"{name}: {written!r}: write PACKAGE==VERSION, or PACKAGE @ URL") from error
        if found.url is not None and found.url.startswith("file:"):
            raise ValueError(f"{name}: {written!r}: a local file is not in the hash; name a package of an index")
        yield found


def _lines(text: str) -> Iterator[str]:
    """The lines as pip reads them: joined after a backslash, without comments."""
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        content = re.sub(r"(^|\s)#.*$", "", line).strip()
        if content:
            yield content


def _has_no_deps(line: str) -> bool:
    return line.lstrip().startswith("-") and _NO_DEPS in line.partition(" #")[0].split()


def _without_no_deps(line: str) -> str:
    return " ".join(word for word in line.split() if word != _NO_DEPS) if _has_no_deps(line) else line


def _python(text: str, name: str) -> str | None:
    """The version that a comment before the first other line names."""
    for line in filter(None, map(str.strip, text.splitlines())):
        if not line.startswith("#"):
            return None
        found = _PYTHON.fullmatch(line)
        if found is None:
            continue
        if not _VERSION.fullmatch(found[1].strip()):
            raise ValueError(f"{name}: {line!r}: write a version with two numbers, as in # python: 3.9")
        return found[1].strip()
    return None


# ---- what was installed -----------------------------------------------------------------------------------------


def installed_versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Versions by canonical name, of lines that ``pip freeze`` writes; None where a line has an address instead.

    >>> installed_versions(["Some_Package==1.0", "other @ https://host/other.whl"])
    {'some-package': '1.0', 'other': None}
    """
    found: dict[str, str | None] = {}
    for line in packages:
        name, _, version = line.partition("==")
        name = name.partition("@")[0].strip()
        if name and not name.startswith(("#", "-")):
            found[canonicalize_name(name)] = version or None
    return found


def differences(requirements: Iterable[Requirement], installed: Mapping[str, str | None], python: str) -> Iterator[str]:
    """What an installation lacks of requirements, or has in other versions; ``python`` is its Python's full version.

    >>> list(differences([Requirement("idna==3.7")], {"idna": "3.6"}, "3.11.7"))
    ['idna==3.7 (installed: 3.6)']
    """
    markers = {"python_version": ".".join(python.split(".")[:2]), "python_full_version": python, "extra": ""}
    for one in requirements:
        if one.marker is not None and not one.marker.evaluate(markers):
            continue
        name = canonicalize_name(one.name)
        if name not in installed:
            yield f"{one} (not installed)"
        version = installed.get(name)
        if version is not None and not one.specifier.contains(version, prereleases=True):
            yield f"{one} (installed: {version})"


def unlocked_names(requirements: Iterable[Requirement], installed: Iterable[str]) -> list[str]:
    """Installed packages whose version no requirement fixes, sorted; without the tools of a new environment.

    >>> unlocked_names([Requirement("idna==3.7"), Requirement("six>=1")], ["idna", "six", "pip"])
    ['six']
    """
    locked = {canonicalize_name(one.name) for one in requirements if _fixes_version(one)}
    return sorted(set(installed) - locked - _TOOLS)


def _fixes_version(requirement: Requirement) -> bool:
    exact = [one for one in requirement.specifier if one.operator in ("==", "===") and not one.version.endswith(".*")]
    return bool(exact) or requirement.url is not None

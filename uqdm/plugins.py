"""Plug-ins of other packages (codecs, metrics, data sets): found by entry point; a fault of one stops no other.

A plug-in that does not load, has a name that cannot be used, or takes a name that is taken is left out: nothing else
suffers, and :class:`Broken` says which and why.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import re
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from types import FrameType
from typing import Any

from uqdm.text import error_text, one_line, printable

LONGEST_NAME = 64
_REASON_LENGTH = 500  # characters
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._+-]*[A-Za-z0-9_+])?")
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class PluginError(RuntimeError):
    """A plug-in raised what would end the process (SystemExit, KeyboardInterrupt); this error takes its place."""


@dataclass(frozen=True)
class Broken:
    """A plug-in that is left out: of which kind, its name, where it is from, and why."""

    kind: str
    name: str
    origin: str
    reason: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} ({self.origin}): {self.reason}"


# ---- names ----------------------------------------------------------------------------------------------------


def check_name(kind: str, name: Any) -> str:
    """Returns a name that can be part of a path, a command line and a table; raises ValueError for another.

    >>> check_name("codec", "jpeg-xl"), check_name("codec", "v1.2")
    ('jpeg-xl', 'v1.2')
    >>> check_name("codec", "../jpeg")
    Traceback (most recent call last):
    ValueError: codec name '../jpeg': letters, digits and ._+- are allowed, a letter or digit first, 64 at most
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise ValueError(
            f"{kind} name {_shown(name)}: letters, digits and ._+- are allowed, a letter or digit first, "
            f"{LONGEST_NAME} at most"
        )
    return name


def check_column(kind: str, name: Any) -> str:
    """Returns a name that can be a column of the results; raises ValueError for another.

    >>> check_column("metric", "psnr_db")
    'psnr_db'
    """
    if not isinstance(name, str) or not _COLUMN.fullmatch(name) or len(name) > LONGEST_NAME:
        raise ValueError(
            f"{kind} name {_shown(name)}: letters, digits and _ are allowed, no digit first, {LONGEST_NAME} at most"
        )
    return name


def _shown(name: Any) -> str:
    return f"{one_line(name, LONGEST_NAME)!r}" if isinstance(name, str) else f"of type {type(name).__name__}"


# ---- code of others -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def contained() -> Iterator[None]:
    """Runs code of a plug-in: SystemExit, KeyboardInterrupt and the like come out of it as :class:`PluginError`.

    The user's own Ctrl-C still interrupts, and Ray still ends its workers.
    """
    with _listening_to_the_user() as pressed:
        try:
            yield
        except (Exception, GeneratorExit):
            raise
        except BaseException as error:
            if pressed() or _is_from_ray(error):
                raise
            raise PluginError(f"it raised {error_text(error, _REASON_LENGTH)}") from error


_n_interrupts = 0


def _note_interrupt(number: int, frame: FrameType | None) -> None:
    global _n_interrupts
    _n_interrupts += 1
    signal.default_int_handler(number, frame)


@contextlib.contextmanager
def _listening_to_the_user() -> Iterator[Any]:
    """Gives a function that says whether an interrupt came from the terminal since."""
    before = _n_interrupts
    replaced = threading.current_thread() is threading.main_thread() and (
        signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if replaced:
        signal.signal(signal.SIGINT, _note_interrupt)
    try:
        yield lambda: _n_interrupts > before
    finally:
        if replaced:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_from_ray(error: BaseException) -> bool:
    """Whether Ray ends the worker by this SystemExit (it marks them)."""
    return hasattr(error, "ray_terminate_msg") or hasattr(error, "is_ray_terminate")


# ---- entry points ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """The plug-ins of a kind by name, those whose name cannot be used, and the names that several packages claim."""

    usable: Mapping[str, EntryPoint]
    broken: tuple[Broken, ...] = ()
    clashes: Mapping[str, str] = field(default_factory=dict)
    """By name: why none of its claimants is taken."""


def find(kind: str, group: str, own: Iterable[str] = ()) -> Found:
    """The entry points of a group; ``own`` are names that this package has taken, which no plug-in replaces."""
    taken = {name.casefold(): name for name in own}
    claims: dict[str, list[EntryPoint]] = {}
    broken: list[Broken] = []
    for entry_point in entry_points(group):
        try:
            check_name(kind, entry_point.name)
        except ValueError as error:
            broken.append(_broken(kind, entry_point, str(error)))
            continue
        if entry_point.name.casefold() in taken:
            broken.append(_broken(kind, entry_point, f"{entry_point.name!r} is taken; rename that entry point"))
            continue
        claimed = claims.setdefault(entry_point.name.casefold(), [])
        if all((one.name, one.value) != (entry_point.name, entry_point.value) for one in claimed):
            claimed.append(entry_point)
    usable, clashes = dict[str, EntryPoint](), dict[str, str]()
    for claimed in claims.values():
        ours = [one for one in claimed if _package(one) == "uqdm"]
        if len(claimed) == 1:
            usable[claimed[0].name] = claimed[0]
        elif len(ours) == 1:
            usable[ours[0].name] = ours[0]
            others = [one for one in claimed if one is not ours[0]]
            broken += [_broken(kind, one, f"{one.name!r} is taken by {origin(ours[0])}; rename it") for one in others]
        else:
            named = " and ".join(map(origin, claimed))
            reason = f"registered twice: {named}; uninstall one of them or rename its entry point"
            clashes |= {one.name: reason for one in claimed}
            broken += [_broken(kind, one, reason) for one in claimed]
    return Found(usable, tuple(broken), clashes)


def entry_points(group: str) -> list[EntryPoint]:
    """All entry points of a group; a package whose list of them does not parse hides no other's."""
    try:
        return list(importlib.metadata.entry_points(group=group))
    except Exception:
        return [one for found in _by_package() for one in found if one.group == group]


def _by_package() -> Iterator[list[EntryPoint]]:
    seen: set[str] = set()
    for distribution in importlib.metadata.distributions():
        try:
            name = distribution.metadata["Name"]
            if name not in seen:  # the first on the path hides the others, as in importlib.metadata
                seen.add(name)
                yield list(distribution.entry_points)
        except Exception:  # its metadata are damaged; of its plug-ins nothing is known
            continue


def load(entry_point: EntryPoint) -> Any:
    """Imports what an entry point names; raises an Exception, whatever the import raises."""
    if not EntryPoint.pattern.fullmatch(entry_point.value):
        raise ValueError("the value of its entry point is not MODULE:OBJECT")
    with contained():
        return entry_point.load()


def fault(kind: str, entry_point: EntryPoint, error: BaseException) -> Broken:
    """A plug-in that is left out since loading or checking it raised ``error``."""
    return _broken(kind, entry_point, reason_of(error))


def reason_of(error: BaseException) -> str:
    """An exception as the reason why a plug-in is left out; the plain errors of a check need no type."""
    return error_text(error, _REASON_LENGTH)


def origin(entry_point: EntryPoint) -> str:
    """The object that an entry point names, and its package.

    >>> origin(EntryPoint("jpeg", "baselines.jpeg:JPEG", "uqdm.codecs"))
    'baselines.jpeg:JPEG of an unnamed package'
    """
    return f"{one_line(entry_point.value, 200)} of {_package(entry_point) or 'an unnamed package'}"


def _package(entry_point: EntryPoint) -> str:
    try:
        return printable(entry_point.dist.name) if entry_point.dist is not None else ""
    except Exception:  # its metadata are damaged
        return ""


def _broken(kind: str, entry_point: EntryPoint, reason: str) -> Broken:
    return Broken(kind, one_line(entry_point.name, LONGEST_NAME), origin(entry_point), one_line(reason, _REASON_LENGTH))

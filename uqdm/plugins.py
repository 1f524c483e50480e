"""Plug-ins (codecs, data sets, metrics, plots): rules for their names, and calls of their code.

A fault of one plug-in does not affect others: :func:`contained` turns everything that its code raises into an
exception that can be caught, and :class:`Broken` says which plug-in is left out and why. :mod:`uqdm.registry`
finds and loads them.
"""

from __future__ import annotations

import contextlib
import re
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from uqdm.errors import UserError
from uqdm.interrupts import Interrupted
from uqdm.text import error_text, one_line

LONGEST_NAME = 64
REASON_LENGTH = 500
"""Maximum number of characters of a reason."""
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._+-]*[A-Za-z0-9_+])?")
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class PluginError(UserError):
    """A plug-in raised SystemExit or KeyboardInterrupt, which would end the process; this error replaces it."""


@dataclass(frozen=True)
class Broken:
    """A plug-in that is left out: its kind and name, the object and package that it comes from, and the reason."""

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


# ---- running a plug-in's code -----------------------------------------------------------------------------------


@contextlib.contextmanager
def contained() -> Iterator[None]:
    """Runs code of a plug-in: SystemExit, KeyboardInterrupt and similar exceptions become :class:`PluginError`.

    The user's own Ctrl-C still interrupts, and Ray still ends its workers.
    """
    with _interrupts_noted() as interrupted:
        try:
            yield
        except (Exception, GeneratorExit):
            raise
        except BaseException as error:
            if interrupted() or isinstance(error, Interrupted) or _is_from_ray(error):
                raise
            raise PluginError(f"it raised {error_text(error, REASON_LENGTH)}") from error


_n_interrupts = 0


def _note_interrupt(number: int, frame: FrameType | None) -> None:
    global _n_interrupts
    _n_interrupts += 1
    signal.default_int_handler(number, frame)


@contextlib.contextmanager
def _interrupts_noted() -> Iterator[Any]:
    """Yields a function that returns whether the terminal has sent an interrupt since."""
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
    """Whether this SystemExit is Ray's end of the worker (Ray marks them)."""
    return hasattr(error, "ray_terminate_msg") or hasattr(error, "is_ray_terminate")


def reason_of(error: BaseException) -> str:
    """An exception as the reason why a plug-in is left out, on one line."""
    return error_text(error, REASON_LENGTH)

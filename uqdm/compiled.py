"""Compiled functions, and the folder that their machine code is cached in.

Numba keeps it next to the source or in the user's home, and refuses to load if neither can be written (a read-only
installation, used by a user without a home). It is then kept in a private folder among the temporary files. Without
such a folder, functions are compiled in each process.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import numba.core.config

from uqdm.places import cache_folder, private_temporary_folder

F = TypeVar("F", bound=Callable[..., Any])

config: Any = numba.core.config
_PACKAGE = Path(__file__).parent
_ROOMS = ("coding", "channel", "images", "progressive/banded")  # that have compiled functions


def njit(*, cache: bool, nogil: bool = False) -> Callable[[F], F]:
    """As :func:`numba.njit`; ``cache`` is ignored if no folder can be written."""
    compile_it: Any = numba.njit(cache=cache and _HAS_PLACE, nogil=nogil)
    decorated: Callable[[F], F] = compile_it
    return decorated


def _find_place() -> bool:
    """Whether machine code can be cached; sets Numba's folder if its default cannot be used."""
    if config.CACHE_DIR:
        return _can_write(Path(config.CACHE_DIR))
    if all(
        _can_write(_PACKAGE / name / "__pycache__") for name in ("coding", "channel", "images", "progressive/banded")
    ):
        return True
    for folder in (cache_folder, private_temporary_folder):
        with contextlib.suppress(OSError):
            place = folder() / "numba"
            if _can_write(place):
                config.CACHE_DIR = str(place)
                return True
    return False


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


_HAS_PLACE = _find_place()

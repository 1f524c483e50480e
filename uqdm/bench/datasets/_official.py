"""Finds the official files of published data sets; an error says how to get those that are absent."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from uqdm.bench.datasets._base import DataSetError
from uqdm.paths import absolute_path, expand_path
from uqdm.places import home_cache_folder

_CHUNK = 2**20


def data_folder() -> Path:
    """The folder of official files when no path is given: ``UQDM_DATA``, or ``~/.cache/uqdm/data``."""
    named = os.environ.get("UQDM_DATA")
    return expand_path(named, "UQDM_DATA") if named else home_cache_folder() / "data"


def find_official(kind: str, path: str, names: Iterable[str], fetch: str) -> Path:
    """The file or folder that ``path`` names, or else the first of ``names`` in the data folder.

    ``fetch`` says what to fetch from where; it is part of the :class:`DataSetError` that is raised if none is there.
    """
    names = list(names)
    given = absolute_path(path, kind) if path else None
    found = [given] if given else [data_folder().absolute() / name for name in names]
    for candidate in found:
        if candidate.is_file() or candidate.is_dir():
            return candidate
        if candidate.exists():  # it is not opened, so nothing blocks
            raise DataSetError(f"{kind}:{candidate}: not a file (a device, FIFO or socket)")
    lacking = f"no {given}" if path else f"there is no {' and no '.join(names)} in {data_folder()}"
    raise DataSetError(
        f"{kind}: {lacking}. {fetch} Put it into {data_folder()} (or the folder that UQDM_DATA names), "
        f"or give its path: {kind}:PATH"
    )


def hex_digest(stream: IO[bytes], algorithm: str = "sha256") -> str:
    """Digest of the rest of a stream, read in pieces.

    >>> import io
    >>> hex_digest(io.BytesIO(b"abc"), "md5")
    '900150983cd24fb0d6963f7d28e17f72'
    """
    digest = hashlib.new(algorithm, usedforsecurity=False)
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()

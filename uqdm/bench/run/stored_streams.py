"""Checks stored coded files by their length and SHA-256, before they are decoded.

Most image formats detect few changes of their files (see ``docs/robustness.md``); these checks detect every one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any


class StreamDamagedError(ValueError):
    """A stored coded file is not the one that was measured. The message says how it differs."""


def stream_sha256(stream: bytes) -> str:
    """SHA-256 of a coded file, in hexadecimal."""
    return hashlib.sha256(stream).hexdigest()


def check_columns(stream: bytes) -> dict[str, Any]:
    """The columns of ``STREAMS`` that a coded file is checked by.

    >>> check_columns(b"abc")["n_bytes"]
    3
    """
    return {"n_bytes": len(stream), "stream_sha256": stream_sha256(stream)}


def checked_stream(row: Mapping[str, Any], measured_sha256: str | None = None) -> bytes:
    """The coded file in a row of ``STREAMS``; ``measured_sha256`` is its hash in the rows, None where they have none.

    Raises :class:`StreamDamagedError` if it has another length or hash than when it was measured. The files of older
    releases have neither and are not checked.

    >>> checked_stream({"stream": b"ab", "n_bytes": 3, "stream_sha256": "12"})
    Traceback (most recent call last):
    uqdm.bench.run.stored_streams.StreamDamagedError: the stored coded file is damaged: it has 2 bytes, and had 3
    """
    stream: bytes = row["stream"]
    n_bytes, expected = row.get("n_bytes"), row.get("stream_sha256")
    if n_bytes is not None and len(stream) != n_bytes:
        raise StreamDamagedError(f"the stored coded file is damaged: it has {len(stream):,} bytes, and had {n_bytes:,}")
    found = stream_sha256(stream)
    for one in (expected, measured_sha256):
        if one is not None and found != one:
            raise StreamDamagedError(
                f"the stored coded file is not the one that was measured: its SHA-256 is {found[:16]}, and was "
                f"{one[:16]}"
            )
    return stream


def all_whole(rows: Iterable[Mapping[str, Any]], measured_sha256: Mapping[int, str]) -> bool:
    """Whether rows of ``STREAMS`` hold exactly the coded files that were measured, unchanged.

    ``measured_sha256`` are the files' hashes in the rows, by index of their image.
    """
    found = set()
    try:
        for row in rows:
            checked_stream(row, measured_sha256.get(row["image_index"]))
            found.add(row["image_index"])
    except StreamDamagedError:
        return False
    return found == set(measured_sha256)

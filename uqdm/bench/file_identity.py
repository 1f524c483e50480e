"""The identity of a stored file, in its own metadata: a file that was copied, renamed or replaced is detected.

A name is not enough: files are copied over one another, restored from the wrong backup, or replaced by folders or
links. So each file of the store has an *identity* in its metadata, a mapping with the ``kind`` of the file and the
``key`` in its name. It is compared with the expected one when the file is opened.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from uqdm.files import write_bytes

METADATA_KEY = b"identity"
"""Key of the identity, as JSON, in the schema metadata of a Parquet file."""

KIND_ROWS = "rows of a shard"
KIND_STREAMS = "streams of a shard"
KIND_RECONSTRUCTIONS = "reconstructions of a shard"
"""Kinds of a shard's files."""
KIND_SCORES = "scores of a shard"
KIND_TIMINGS = "timings of a shard"
KIND_SET_SCORES = "scores of a set"
KIND_FEATURES = "features of a picture"
KIND_ORIGINALS = "originals of a run"
"""Kinds of files in the other stores."""

DAMAGED = (OSError, pa.ArrowException, ValueError, KeyError, OverflowError, MemoryError)
"""Errors of reading a stored file that is absent, damaged, or not the file that its name says."""

Identity = Mapping[str, Any]

_NAMED = ("kind", "codec", "setting", "start", "stop", "dataset", "metric", "key")  # parts that a message shows


class WrongFileError(OSError):
    """A stored file is not the one that its name says. The message has the expected and the actual identity."""


@dataclass(frozen=True)
class ShardFacts:
    """The facts that identify a shard: images ``start`` to ``stop`` of a data set, by one codec at one setting.

    ``key`` is the name of the shard's files; ``row_format`` is the format that they were written in.
    """

    row_format: int
    key: str
    dataset: str
    fingerprint: str
    start: int
    stop: int
    codec: str
    codec_version: str | None
    setting: str

    def identity(self, kind: str) -> dict[str, Any]:
        """The identity of the shard's file of this kind."""
        return {"kind": kind, **asdict(self)}


def with_identity(schema: pa.Schema, identity: Identity) -> pa.Schema:
    """``schema`` with an identity in its metadata.

    >>> read_identity(with_identity(pa.schema([]), {"kind": "streams", "key": "12ab"}))
    {'kind': 'streams', 'key': '12ab'}
    """
    return schema.with_metadata({**(schema.metadata or {}), METADATA_KEY: json.dumps(identity).encode()})


def read_identity(schema: pa.Schema) -> dict[str, Any]:
    """The identity in a schema's metadata; empty if there is none, or if it is not valid JSON."""
    try:
        found = json.loads((schema.metadata or {}).get(METADATA_KEY, b"{}"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def check_identity(path: Path, schema: pa.Schema, expected: Identity) -> None:
    """Raises :class:`WrongFileError` unless ``schema`` has the identity ``expected``."""
    found = read_identity(schema)
    if found != json.loads(json.dumps(expected)):
        is_now = f"it is {_words(found, expected)}" if found else "it has no identity"
        raise WrongFileError(f"{path}: not the file that its name says: {is_now}, expected {_words(expected, found)}")


def open_parquet(path: Path, expected: Identity | None = None) -> pq.ParquetFile:
    """Opens a Parquet file; the checksums of its pages are verified, and with ``expected`` its identity.

    Raises one of :data:`DAMAGED`. Only regular files, and links to them, are opened: opening a FIFO would block.
    """
    check_regular(path)
    file = pq.ParquetFile(path, page_checksum_verification=True)
    if expected is not None:
        check_identity(path, file.schema_arrow, expected)
    return file


def check_regular(path: Path) -> None:
    """Raises FileNotFoundError, IsADirectoryError or :class:`WrongFileError` if ``path`` is no regular file."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "a folder is in the place of a file", str(path))
    if not stat.S_ISREG(mode):
        raise WrongFileError(f"{path}: neither a file nor a link to one")


def write_stored(path: Path, data: bytes) -> None:
    """Writes a file of the store in one step, and replaces what has this name (see :func:`clear_way`)."""
    clear_way(path)
    write_bytes(path, data)


def clear_way(path: Path) -> None:
    """Moves away what has the name of a file of the store and is not a regular file.

    A link is removed, but never its target, which may be another shard's file. A folder, or anything else, is kept
    under a hidden name, since its content is unknown.
    """
    if path.is_symlink():
        path.unlink()
    elif path.exists() and not path.is_file():
        path.rename(path.with_name(f".in-the-way-{os.urandom(4).hex()}-{path.name}"))


def _words(identity: Identity, other: Identity) -> str:
    """The parts of an identity that differ from another, as text."""
    parts = [name for name in identity if identity[name] != other.get(name)]
    named = [name for name in _NAMED if name in parts and (name != "key" or len(parts) == 1)]
    return ", ".join(f"{name} {str(identity[name])[:60]!r}" for name in named or parts)

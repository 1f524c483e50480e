"""What a stored file is, said in its own metadata: none that was copied, renamed or replaced is taken for another.

A name alone proves nothing: files are copied over one another, restored from the wrong backup, replaced by folders or
links. So each file of the store carries its *identity*, a mapping that holds the ``kind`` of the file and the ``key``
in its name, and whoever opens it compares that with what is expected.
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
"""What a shard's files say that they are."""
KIND_SCORES = "scores of a shard"
KIND_SET_SCORES = "scores of a set"
KIND_FEATURES = "features of a picture"
"""What files of the other stores say that they are."""

DAMAGED = (OSError, pa.ArrowException, ValueError, KeyError, OverflowError, MemoryError)
"""What reading a stored file raises where it is absent, damaged, or not what its name says."""

Identity = Mapping[str, Any]

_NAMED = ("kind", "codec", "setting", "start", "stop", "dataset", "metric", "key")  # parts that a message shows


class WrongFileError(OSError):
    """A stored file is not what its name says. The message says what was expected, and what it is."""


@dataclass(frozen=True)
class ShardFacts:
    """What tells a shard from all others: images ``start`` to ``stop`` of a data set, by one codec at one setting.

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
        """What the shard's file of this kind says of itself."""
        return {"kind": kind, **asdict(self)}


def with_identity(schema: pa.Schema, identity: Identity) -> pa.Schema:
    """``schema`` with an identity in its metadata.

    >>> read_identity(with_identity(pa.schema([]), {"kind": "streams", "key": "12ab"}))
    {'kind': 'streams', 'key': '12ab'}
    """
    return schema.with_metadata({**(schema.metadata or {}), METADATA_KEY: json.dumps(identity).encode()})


def read_identity(schema: pa.Schema) -> dict[str, Any]:
    """The identity in a schema's metadata; empty where there is none that can be read."""
    try:
        found = json.loads((schema.metadata or {}).get(METADATA_KEY, b"{}"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def check_identity(path: Path, schema: pa.Schema, expected: Identity) -> None:
    """Raises :class:`WrongFileError` unless ``schema`` carries the identity ``expected``."""
    found = read_identity(schema)
    if found != json.loads(json.dumps(expected)):
        is_now = f"it is {_words(found, expected)}" if found else "it does not say what it is"
        raise WrongFileError(f"{path}: not the file that its name says: {is_now}, expected {_words(expected, found)}")


def open_parquet(path: Path, expected: Identity | None = None) -> pq.ParquetFile:
    """Opens a Parquet file, whose pages are checked as they are read; with ``expected``, its identity too.

    Raises one of :data:`DAMAGED`. Only regular files, and links to them, are opened: a FIFO would wait for ever.
    """
    check_regular(path)
    file = pq.ParquetFile(path, page_checksum_verification=True)
    if expected is not None:
        check_identity(path, file.schema_arrow, expected)
    return file


def check_regular(path: Path) -> None:
    """Raises FileNotFoundError, IsADirectoryError or :class:`WrongFileError` unless a regular file is there."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "a folder is in the place of a file", str(path))
    if not stat.S_ISREG(mode):
        raise WrongFileError(f"{path}: neither a file nor a link to one")


def write_stored(path: Path, data: bytes) -> None:
    """Writes a file of the store in one step, in the place of whatever is there (see :func:`clear_way`)."""
    clear_way(path)
    write_bytes(path, data)


def clear_way(path: Path) -> None:
    """Makes room for a file of the store where something is that is no regular file.

    A link is removed, never what it points to: that may be another shard's file. A folder is renamed and stays, under
    a hidden name, since nobody knows what is in it; so is whatever else is there.
    """
    if path.is_symlink():
        path.unlink()
    elif path.exists() and not path.is_file():
        path.rename(path.with_name(f".in-the-way-{os.urandom(4).hex()}-{path.name}"))


def _words(identity: Identity, other: Identity) -> str:
    """The parts of an identity in which it differs from another, in words."""
    parts = [name for name in identity if identity[name] != other.get(name)]
    named = [name for name in _NAMED if name in parts and (name != "key" or len(parts) == 1)]
    return ", ".join(f"{name} {str(identity[name])[:60]!r}" for name in named or parts)

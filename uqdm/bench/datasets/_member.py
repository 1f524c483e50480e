"""Random access to a member of a zip archive, in bounded memory.

An uncompressed member is read in place. A compressed one can only be decompressed from its beginning. This is done
once, up to the requested end, and the state of the decompressor (about 40 KiB) is kept every few megabytes; any part is
then decompressed from the nearest state before it. The parts used last stay decompressed.
"""

from __future__ import annotations

import os
import threading
import zipfile
import zlib
from bisect import bisect_right
from collections import OrderedDict
from pathlib import Path
from typing import Any, Protocol

_LOCAL_HEADER = 30  # bytes before the name and the extra field of a member
_PIECE = 2**12  # compressed bytes at once: at most 4 MiB decompressed
_BLOCK = 2**23  # least number of decompressed bytes between two states that are kept
_BLOCKS = 8  # number of blocks that stay decompressed


class Member(Protocol):
    """The bytes of a member."""

    def read(self, begin: int, n_bytes: int) -> bytes:
        """``n_bytes`` from ``begin`` on; raises ValueError if the member ends before."""


def open_member(path: Path, name: str, end: int) -> Member:
    """Opens the first ``end`` bytes of a member; if these are all of it, its checksum is checked.

    Raises the exceptions of zipfile and zlib, and ValueError.
    """
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(name)
        if info.flag_bits & 1:
            raise ValueError(f"{name} is encrypted")
    if info.file_size < end:
        raise ValueError(f"cut short: {info.file_size} of {end} bytes")
    with path.open("rb") as file:
        file.seek(info.header_offset)
        header = file.read(_LOCAL_HEADER)
    lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    start = info.header_offset + _LOCAL_HEADER + lengths
    if info.compress_type == zipfile.ZIP_STORED:
        stored = Stored(path, start)
        if end == info.file_size:
            _check(info, _checksum(stored, end))
        return stored
    if info.compress_type != zipfile.ZIP_DEFLATED:
        raise ValueError(f"{name} has an unsupported compression; save it with numpy.savez")
    deflated = Deflated(path, start, start + info.compress_size, end)
    if end == info.file_size:
        _check(info, deflated.checksum)
    return deflated


def _checksum(member: Member, end: int) -> int:
    crc = 0
    for begin in range(0, end, _BLOCK):
        crc = zlib.crc32(member.read(begin, min(_BLOCK, end - begin)), crc)
    return crc


def _check(info: zipfile.ZipInfo, crc: int) -> None:
    if crc != info.CRC:
        raise zipfile.BadZipFile(f"Bad CRC-32 for file {info.filename!r}")


class Stored:
    """A member that is not compressed."""

    def __init__(self, path: Path, start: int) -> None:
        self._path, self._start = path, start

    def read(self, begin: int, n_bytes: int) -> bytes:
        """See :class:`Member`."""
        with self._path.open("rb") as file:
            file.seek(self._start + begin)
            data = file.read(n_bytes)
        if len(data) < n_bytes:
            raise ValueError(f"cut short: {len(data)} of {n_bytes} bytes")
        return data


class Deflated:
    """A compressed member, bytes ``start`` to ``stop`` of the file; ``end`` decompressed bytes of it can be read."""

    def __init__(self, path: Path, start: int, stop: int, end: int) -> None:
        self._path, self._stop = path, stop
        self._begins: list[int] = []
        self._states: list[tuple[int, Any]] = []
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self.checksum = 0
        self._n_bytes = self._walk(start, end)

    def _walk(self, start: int, end: int) -> int:
        """Decompresses the first ``end`` bytes once, keeps states of the decompressor, and returns the length."""
        state, position, length = zlib.decompressobj(-zlib.MAX_WBITS), start, 0
        with self._path.open("rb") as file:
            file.seek(start)
            while length < end:
                if not self._begins or length - self._begins[-1] >= _BLOCK:
                    self._begins.append(length)
                    self._states.append((position, state.copy()))
                data = file.read(min(_PIECE, self._stop - position))
                if not data:
                    raise ValueError(f"cut short: {length} of {end} bytes")
                found = state.decompress(data)
                self.checksum = zlib.crc32(found, self.checksum)
                position, length = position + len(data), length + len(found)
        return length

    def read(self, begin: int, n_bytes: int) -> bytes:
        """See :class:`Member`."""
        if begin + n_bytes > self._n_bytes:
            raise ValueError(f"cut short: {self._n_bytes} of {begin + n_bytes} bytes")
        parts = []
        with self._lock:
            while n_bytes:
                number = bisect_right(self._begins, begin) - 1
                block = self._block(number)
                offset = begin - self._begins[number]
                parts.append(block[offset : offset + n_bytes])
                begin, n_bytes = begin + len(parts[-1]), n_bytes - len(parts[-1])
        return b"".join(parts)

    def _block(self, number: int) -> bytes:
        if number not in self._kept:
            if len(self._kept) >= _BLOCKS:
                self._kept.popitem(last=False)
            self._kept[number] = self._decompressed(number)
        self._kept.move_to_end(number)
        return self._kept[number]

    def _decompressed(self, number: int) -> bytes:
        position, kept = self._states[number]
        state, last = kept.copy(), number + 1 == len(self._begins)
        stop = self._stop if last else self._states[number + 1][0]
        wanted = (self._n_bytes if last else self._begins[number + 1]) - self._begins[number]
        found, length = [], 0
        with self._path.open("rb") as file:
            file.seek(position)
            while length < wanted:
                data = file.read(min(_PIECE, stop - position))
                if not data:
                    raise ValueError(f"{os.fspath(self._path)} has changed since it was opened")
                found.append(state.decompress(data))
                position, length = position + len(data), length + len(found[-1])
        return b"".join(found)

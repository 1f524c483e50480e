"""The data set ``npz:PATH``: images in a NumPy archive, one uint8 array [N, H, W, 3].

``npz:PATH#KEY`` names the array where the archive holds several. Nothing is unpickled. Type and shape are checked
in the array's header before its data is read. Images are read from the file one at a time, so an array may be of any
size; of a compressed one (``numpy.savez_compressed``) about 64 MiB stay decompressed. Ids are the positions, with five
digits or more.
"""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import numpy as np

from uqdm.bench.datasets._base import DataSet, DataSetError
from uqdm.bench.datasets._member import Member, open_member
from uqdm.bench.datasets._npy import UNREADABLE, check_archive, read_header
from uqdm.bench.lazy_ids import NumberedIds
from uqdm.paths import absolute_path, split_path


@dataclass(frozen=True)
class Array:
    """Consecutive images [H, W, 3] in a member of an archive, from byte ``begin`` on."""

    member: Member
    begin: int
    shape: tuple[int, ...]

    def image(self, index: int) -> np.ndarray:
        """Image ``index``, uint8."""
        size = math.prod(self.shape)
        data = bytearray(self.member.read(self.begin + index * size, size))  # a copy that callers may change
        return np.frombuffer(data, np.uint8).reshape(self.shape)


class Npz(DataSet):
    """Images of one size in an ``.npz`` file, named after the file (and the key, if one is given)."""

    kind = "npz"
    holds_pixels = True
    argument = "PATH[#KEY]"

    def __init__(self, name: str, path: Path, key: str, array: Array, count: int) -> None:
        super().__init__(name, f"{self.kind}:{path}#{key}", NumberedIds(count))
        self._array = array

    @classmethod
    def open(cls, argument: str, limit: int | None) -> Self:
        """Finds the array and checks its header, and the archive's checksum if all of its images are wanted."""
        path, wanted = _split(argument)
        try:
            check_archive(path)
            with zipfile.ZipFile(path) as archive:
                key = _choose_key(archive, path, wanted)
                with archive.open(f"{key}.npy") as member:
                    shape = _checked_shape(member)
                    begin = member.tell()
                size = archive.getinfo(f"{key}.npy").file_size
            count = min(shape[0], limit or shape[0])
            end = begin + count * math.prod(shape[1:])
            if size < end:
                raise ValueError(f"cut short: {size - begin} of {end - begin} bytes of pixels")
            if count == shape[0] and size > end:
                raise ValueError("more data than the array's header says")
            array = Array(open_member(path, f"{key}.npy", end), begin, shape[1:])
        except DataSetError:
            raise
        except UNREADABLE as error:
            raise DataSetError(f"npz:{argument}: {error}") from error
        return cls(f"{path.stem}-{wanted}" if wanted else path.stem, path, key, array, count)

    @classmethod
    def files(cls, argument: str) -> list[Path]:
        """The archive."""
        return [_split(argument)[0]]

    def read(self, index: int) -> np.ndarray:
        """Image ``index``."""
        return self._array.image(index)


def _split(argument: str) -> tuple[Path, str]:
    """Path and key."""
    path, key = split_path(argument)
    return absolute_path(path, Npz.kind), key


def _choose_key(archive: zipfile.ZipFile, path: Path, wanted: str) -> str:
    keys = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    listed = ", ".join(keys) or "none"
    if wanted and wanted not in keys:
        raise DataSetError(f"npz:{path}: no array {wanted!r}; it holds: {listed}")
    if not wanted and len(keys) != 1:
        raise DataSetError(f"npz:{path}: name one array as npz:{path}#KEY; it holds: {listed}")
    return wanted or keys[0]


def _checked_shape(member: IO[bytes]) -> tuple[int, ...]:
    shape, dtype = read_header(member)
    if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or 0 in shape:
        raise ValueError(f"expected uint8 [N, H, W, 3], got {dtype} {list(shape)}")
    return shape

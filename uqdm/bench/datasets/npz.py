"""The data set ``npz:PATH``: images in a NumPy archive, one uint8 array [N, H, W, 3].

``npz:PATH#KEY`` names the array where the archive holds several. Nothing is unpickled. Type and shape are checked
in the array's header before its data is read; the images (with a limit: the first so many) are held in memory.
Ids are the positions, as five digits or more.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO, Self

import numpy as np

from uqdm.bench.datasets._base import DataSet, DataSetError
from uqdm.bench.datasets._npy import UNREADABLE, read_exactly, read_header


class Npz(DataSet):
    """Images of one size in an ``.npz`` file, named after the file (and the key, if one is given)."""

    kind = "npz"
    argument = "PATH[#KEY]"

    def __init__(self, name: str, path: Path, key: str, images: np.ndarray) -> None:
        super().__init__(name, f"{self.kind}:{path}#{key}", [f"{index:05d}" for index in range(len(images))])
        self._images_uint8 = images  # (N, H, W, 3)

    @classmethod
    def open(cls, argument: str, limit: int | None) -> Self:
        """Finds the array, checks its header, and reads its first ``limit`` images."""
        path, wanted = _split(argument)
        try:
            with zipfile.ZipFile(path) as archive:
                key = _choose_key(archive, path, wanted)
                with archive.open(f"{key}.npy") as member:
                    images = _read_images(member, limit)
        except DataSetError:
            raise
        except UNREADABLE as error:
            raise DataSetError(f"npz:{argument}: {error}") from error
        return cls(f"{path.stem}-{wanted}" if wanted else path.stem, path, key, images)

    def read(self, index: int) -> np.ndarray:
        """Image ``index``."""
        return self._images_uint8[index].copy()


def _split(argument: str) -> tuple[Path, str]:
    """Path and key; the part after the last # is a key unless the whole is a file."""
    path = Path(argument).expanduser().absolute()
    if path.is_file() or "#" not in argument:
        return path, ""
    name, _, key = argument.rpartition("#")
    return Path(name).expanduser().absolute(), key


def _choose_key(archive: zipfile.ZipFile, path: Path, wanted: str) -> str:
    keys = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    listed = ", ".join(keys) or "none"
    if wanted and wanted not in keys:
        raise DataSetError(f"npz:{path}: no array {wanted!r}; it holds: {listed}")
    if not wanted and len(keys) != 1:
        raise DataSetError(f"npz:{path}: name one array as npz:{path}#KEY; it holds: {listed}")
    return wanted or keys[0]


def _read_images(member: IO[bytes], limit: int | None) -> np.ndarray:
    shape = _checked_shape(member)
    count = min(shape[0], limit or shape[0])
    data = read_exactly(member, count * math.prod(shape[1:]))
    if count == shape[0] and member.read(1):  # reading to the end also checks the archive's checksum
        raise ValueError("more data than the array's header says")
    return np.frombuffer(data, np.uint8).reshape(count, *shape[1:])


def _checked_shape(member: IO[bytes]) -> tuple[int, ...]:
    shape, dtype = read_header(member)
    if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or 0 in shape:
        raise ValueError(f"expected uint8 [N, H, W, 3], got {dtype} {list(shape)}")
    return shape

"""Image arrays in ``.npz`` files, mapped into memory instead of read, so that they may be larger than it."""

from __future__ import annotations

import glob
import hashlib
import math
import os
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from uqdm.bench.datasets import check_archive
from uqdm.paths import expand_path, split_path
from uqdm.places import cache_folder, writable_cache_folder
from uqdm.training.data.base import TrainingDataError

_LOCAL_HEADER = 30  # bytes before name and extra field of a member
CHANNELS = 3


class Arrays:
    """Arrays of images, uint8 [N, S, S, 3], one after the other; indexed as ``arrays[i, rows, columns]``."""

    def __init__(self, parts: Sequence[np.ndarray]):
        self._parts = parts
        self._starts = np.cumsum([0, *(len(part) for part in parts)])

    @property
    def shape(self) -> tuple[int, ...]:
        """[N, S, S, 3] of all together."""
        return (int(self._starts[-1]), *self._parts[0].shape[1:])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, key: int | tuple[int, slice, slice]) -> np.ndarray:
        index, *rest = key if isinstance(key, tuple) else (key,)
        part = int(np.searchsorted(self._starts, index, side="right")) - 1
        return np.asarray(self._parts[part][(index - self._starts[part], *rest)])


def open_arrays(argument: str) -> Arrays:
    """Maps the arrays of ``PATH[#KEY]``, where PATH may be a pattern for several files (``train_*.npz``).

    An array is uint8: [N, S, S, 3], [N, 3, S, S], or [N, 3 S^2] in planes, as ImageNet64 comes. Members that are
    compressed cannot be mapped: they are unpacked once into the cache folder (``UQDM_CACHE``, else
    ``~/.cache/uqdm``). Raises :class:`uqdm.training.data.TrainingDataError`.
    """
    pattern, key = split_path(argument)
    path = str(expand_path(pattern, "npz"))
    files = [path] if os.path.exists(path) else sorted(glob.glob(path))
    if not files:
        raise TrainingDataError(f"npz:{argument}: no such file")
    try:
        parts = [_as_images(_open_member(Path(file), key), file) for file in files]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise TrainingDataError(f"npz:{argument}: {error}") from error
    if len({part.shape[1:] for part in parts}) > 1:
        raise TrainingDataError(f"npz:{argument}: images of several sizes: {sorted({p.shape[1:] for p in parts})}")
    return Arrays(parts)


def _open_member(file: Path, key: str) -> np.ndarray:
    check_archive(file)
    with zipfile.ZipFile(file) as archive:
        members = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
        if not key:
            arrays = [name for name in members if _shape_of(archive, members[name])[1].ndim > 1]
            if len(arrays) != 1:
                raise ValueError(f"name one array as #KEY; {file} holds: {', '.join(members) or 'none'}")
            key = arrays[0]
        if key not in members:
            raise ValueError(f"no array {key!r} in {file}; it holds: {', '.join(members) or 'none'}")
        info = archive.getinfo(members[key])
        if info.compress_type != zipfile.ZIP_STORED:
            return np.load(_unpacked(archive, info, file), mmap_mode="r", allow_pickle=False)
        offset, array = _shape_of(archive, members[key])
    with file.open("rb") as data:
        data.seek(info.header_offset)
        header = data.read(_LOCAL_HEADER)
    names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    start = info.header_offset + _LOCAL_HEADER + names + offset
    return np.memmap(file, array.dtype, mode="r", offset=start, shape=array.shape)


def _shape_of(archive: zipfile.ZipFile, name: str) -> tuple[int, np.ndarray]:
    """Where an array's data begins in its member, and an array of its type and shape that takes no memory."""
    with archive.open(name) as member:
        shape, dtype = _header(member)
        return member.tell(), np.broadcast_to(np.zeros((), dtype), shape)


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran_order, dtype = read(member)
    if fortran_order or dtype.hasobject:
        raise ValueError("an array in Fortran order or of objects; save numpy.ascontiguousarray of numbers")
    return shape, dtype


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: Path) -> Path:
    folder = cache_folder() / "arrays"
    identity = f"{file.absolute()} {info.filename} {info.CRC} {info.file_size}"
    target = folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.npy"
    if not target.is_file():
        writable_cache_folder("arrays")
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        with archive.open(info) as source, temporary.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
        os.replace(temporary, target)
    return target


def _as_images(array: np.ndarray, file: str) -> np.ndarray:
    """The array as [N, S, S, 3], without copying it."""
    if array.dtype != np.uint8:
        raise ValueError(f"{file}: expected uint8, got {array.dtype}")
    if array.ndim == 2:
        side = math.isqrt(array.shape[1] // CHANNELS)
        if CHANNELS * side * side == array.shape[1]:
            return array.reshape(-1, CHANNELS, side, side).transpose(0, 2, 3, 1)
    if array.ndim == 4 and array.shape[3] == CHANNELS and array.shape[1] == array.shape[2]:
        return array
    if array.ndim == 4 and array.shape[1] == CHANNELS and array.shape[2] == array.shape[3]:
        return array.transpose(0, 2, 3, 1)
    raise ValueError(
        f"{file}: expected square images [N, S, S, 3], [N, 3, S, S] or [N, 3 S^2], got {list(array.shape)}"
    )

"""The data set ``imagenet64``: validation images of ImageNet at 64x64, from the archives of image-net.org.

``imagenet64:PATH`` names ``Imagenet64_val_npz.zip``, the ``val_data.npz`` in it, or a folder that holds either;
``imagenet64`` alone looks for them in the data folder. The first 10,000 images in the file's order are used.
Options follow after ``#``, separated by commas:

- ``removed=FILE``: first leave out the images whose positions FILE lists (a NumPy array ``.npy`` of integers, or text
  with one number a line); the paper leaves out duplicates of training images in this way;
- ``all``: use all remaining images, not 10,000.

Two releases with different images have this name: the newer one has 50,000 (Chrabaszcz et al. 2017, box-reduced; the
paper's), the older one 49,999 (van den Oord et al. 2016). They are distinguished by their number, and the data set
is named ``imagenet64`` or ``imagenet64-older``, with the suffixes ``-deduplicated`` and ``-all`` if requested. The zip
of the newer one is checked by its SHA-256; of an unpacked file only shape and number of images are checked.
"""

from __future__ import annotations

import contextlib
import itertools
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import numpy as np

from uqdm.bench.datasets._base import DataSet, DataSetError, Origin
from uqdm.bench.datasets._npy import UNREADABLE, read_exactly, read_header
from uqdm.bench.datasets._official import find_official, hex_digest
from uqdm.bench.lazy_ids import NumberedIds
from uqdm.paths import absolute_path, split_path

ZIP, FILE = "Imagenet64_val_npz.zip", "val_data.npz"
URL = f"https://image-net.org/data/downsample/{ZIP}"
ZIP_SHA256 = "e1e75133158a1924135a9c6f97a80d2d237b158945e0b34074e58e6c8430eeb8"  # as TensorFlow Datasets checks it
SUBSET = 10_000


@dataclass(frozen=True)
class Release:
    """One of the two releases: the name of its data set, and the name and description of the origin of its images."""

    name: str
    release: str
    text: str


RELEASES = {
    50_000: Release("imagenet64", "imagenet64-val", "the validation images of the newer ImageNet64 release (50,000)"),
    49_999: Release(
        "imagenet64-older", "imagenet64-val-older", "the validation images of the older ImageNet64 release (49,999)"
    ),
}
"""The releases by the number of their validation images."""

_SHAPE = (3, 64, 64)  # of an image in the archive
_N_VALUES = 3 * 64 * 64
_MAX_INDEX_BYTES = 2**23
_FETCH = f"Sign in at image-net.org and fetch {URL} (505 MiB, SHA-256 {ZIP_SHA256[:16]}...); it can stay packed."


class ImageNet64(DataSet):
    """Validation images, held in memory."""

    kind = "imagenet64"
    holds_pixels = True
    argument = "[PATH][#removed=FILE,all]"

    def __init__(self, name: str, spec: str, positions: np.ndarray, images_uint8: np.ndarray, origin: Origin) -> None:
        super().__init__(name, spec, NumberedIds(positions))
        self._images_uint8 = images_uint8  # (N, 3, 64, 64)
        self.origin = origin

    @classmethod
    def open(cls, argument: str, limit: int | None) -> Self:
        """Finds the array, recognizes its release by the number of images, and reads the requested ones."""
        path, index_file, take_all = _parse(argument)
        removed = _read_positions(index_file) if index_file else frozenset[int]()
        proof = _proof(path)
        try:
            with _open_array(path) as member:
                release = _release(member)
                positions = _choose(release, removed, index_file, take_all)[:limit]
                images = _read_images(member, positions)
        except DataSetError:
            raise
        except UNREADABLE as error:
            raise DataSetError(f"imagenet64:{path}: {error}. {_FETCH}") from error
        name = "-".join([RELEASES[release].name, *["deduplicated"] * bool(index_file), *["all"] * take_all])
        options = ",".join([*([f"removed={index_file}"] if index_file else []), *["all"] * take_all])
        origin = Origin(RELEASES[release].release, RELEASES[release].text, proof)
        return cls(name, f"{cls.kind}:{path}" + (f"#{options}" if options else ""), positions, images, origin)

    @classmethod
    def files(cls, argument: str) -> list[Path]:
        """The archive or the file in it, and the file of positions."""
        path, index_file, _ = _parse(argument)
        return [path, *([index_file] if index_file else [])]

    def read(self, index: int) -> np.ndarray:
        """Image ``index``."""
        return self._images_uint8[index].transpose(1, 2, 0)


def _parse(argument: str) -> tuple[Path, Path | None, bool]:
    """The archive, the file of positions to leave out, and whether all remaining images are requested."""
    path, options = split_path(argument)
    index_file, take_all = None, False
    for option in options.split(",") if options else ():
        if option == "all":
            take_all = True
        elif option.startswith("removed=") and len(option) > len("removed="):
            index_file = absolute_path(option.removeprefix("removed="), "imagenet64")
        else:
            raise DataSetError(f"imagenet64:{argument}: after # come removed=FILE and all, not {option!r}")
    return _find(path), index_file, take_all


def _find(path: str) -> Path:
    found = find_official("imagenet64", path, (ZIP, f"{Path(ZIP).stem}/{FILE}", FILE), _FETCH)
    if not found.is_dir():
        return found
    inside = [found / name for name in (ZIP, f"{Path(ZIP).stem}/{FILE}", FILE)]
    for candidate in inside:
        if candidate.is_file():
            return candidate
    raise DataSetError(f"imagenet64:{path}: the folder holds no {ZIP} and no {FILE}. {_FETCH}")


def _proof(path: Path) -> str:
    if path.suffix != ".zip":
        return ""
    with path.open("rb") as file:
        found = hex_digest(file)
    if found != ZIP_SHA256:
        raise DataSetError(
            f"imagenet64:{path}: not the official archive (its SHA-256 is {found}, not {ZIP_SHA256}). {_FETCH}"
        )
    return f"SHA-256 of {ZIP} as published"


@contextlib.contextmanager
def _open_array(path: Path) -> Iterator[IO[bytes]]:
    """The array ``data`` in the file, or in the file in the zip."""
    with contextlib.ExitStack() as stack:
        outer = stack.enter_context(zipfile.ZipFile(path))
        inner = [name for name in outer.namelist() if name.rpartition("/")[2] == FILE]
        if inner:
            outer = stack.enter_context(zipfile.ZipFile(stack.enter_context(outer.open(inner[0]))))
        if "data.npy" not in outer.namelist():
            raise ValueError(f"holds no array 'data'; it holds: {', '.join(outer.namelist()[:5])}")
        yield stack.enter_context(outer.open("data.npy"))


def _release(member: IO[bytes]) -> int:
    """The number of images, which identifies the release."""
    shape, dtype = read_header(member)
    if dtype != np.uint8 or len(shape) != 2 or shape[1] != _N_VALUES:
        raise ValueError(f"expected uint8 [N, {_N_VALUES}], got {dtype} {list(shape)}")
    if shape[0] not in RELEASES:
        known = " or ".join(f"{count:,}" for count in RELEASES)
        raise ValueError(f"{shape[0]:,} images are no release of ImageNet64's validation images, which has {known}")
    return int(shape[0])


def _choose(release: int, removed: Collection[int], index_file: Path | None, take_all: bool) -> np.ndarray:
    """Positions of the requested images, in increasing order."""
    beyond = [position for position in removed if not 0 <= position < release]
    if beyond:
        raise DataSetError(f"imagenet64: {index_file}: position {beyond[0]}, but there are {release:,} images, from 0")
    left = (position for position in range(release) if position not in removed)
    return np.fromiter(itertools.islice(left, None if take_all else SUBSET), np.int64)


def _read_images(member: IO[bytes], positions: np.ndarray) -> np.ndarray:
    """Reads the array up to the last requested image, one image at a time."""
    wanted = set(positions.tolist())
    images = np.empty((len(positions), *_SHAPE), np.uint8)
    filled = 0
    for position in range(int(positions.max(initial=-1)) + 1):
        data = read_exactly(member, _N_VALUES)
        if position in wanted:
            images[filled] = np.frombuffer(data, np.uint8).reshape(_SHAPE)
            filled += 1
    return images


def _read_positions(path: Path) -> frozenset[int]:
    """The positions that a file lists."""
    try:
        if path.stat().st_size > _MAX_INDEX_BYTES:
            raise ValueError(f"more than {_MAX_INDEX_BYTES:,} bytes")
        values = np.load(path, allow_pickle=False) if path.suffix == ".npy" else _read_numbers(path)
    except (OSError, EOFError, ValueError) as error:
        raise DataSetError(f"imagenet64: cannot read positions from {path}: {error}") from error
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise DataSetError(f"imagenet64: {path} holds {values.dtype} {list(values.shape)}, not a list of whole numbers")
    return frozenset(values.tolist())


def _read_numbers(path: Path) -> np.ndarray:
    return np.array([int(line) for line in path.read_text(encoding="utf-8").split()], np.int64)

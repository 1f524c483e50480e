"""The data set ``cifar10``: the 10,000 test images of CIFAR-10, 32x32, from the official Python archive.

``cifar10:PATH`` names ``cifar-10-python.tar.gz`` or the folder ``cifar-10-batches-py`` that it unpacks to; ``cifar10``
alone looks for both in the data folder. ``cifar10:PATH#train`` (``cifar10:#train``) is the 50,000 training images,
batch after batch. The MD5 of each batch must be the published one: this name always means the same images, in the
same order. (Other images in such arrays are read by the kind ``npz``.)

The batches are pickles. None is unpickled: the bytes of the pixels are found by iterating over the pickle's opcodes.
Labels are ignored. Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
"""

from __future__ import annotations

import hashlib
import pickletools
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np

from uqdm.bench.datasets._base import DataSet, DataSetError, Origin
from uqdm.bench.datasets._official import find_official
from uqdm.bench.lazy_ids import NumberedIds
from uqdm.paths import split_path

ARCHIVE, FOLDER = "cifar-10-python.tar.gz", "cifar-10-batches-py"
URL = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"
ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"  # as published there
# MD5 of the files in that archive, as torchvision checks them.
TEST = {"test_batch": "40351d587109b95175f43aff81a1287e"}
TRAIN = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
}
PER_BATCH = 10_000
PARTS = {"": ("cifar10", TEST, "test"), "train": ("cifar10-train", TRAIN, "training")}

_SHAPE = (3, 32, 32)  # of an image in the batches
_MAX_BATCH_BYTES = 2**26  # twice the size of an official batch
_MAX_MEMBERS = 64  # an official archive has 9
_FETCH = f"Fetch {URL} (163 MB, MD5 {ARCHIVE_MD5}); it can stay packed."


class Cifar10(DataSet):
    """The official test or training images."""

    kind = "cifar10"
    holds_pixels = True
    argument = "[PATH][#train]"

    def __init__(self, name: str, spec: str, images_uint8: np.ndarray, origin: Origin) -> None:
        super().__init__(name, spec, NumberedIds(len(images_uint8)))
        self._images_uint8 = images_uint8  # (N, 32, 32, 3)
        self.origin = origin

    @classmethod
    def open(cls, argument: str, limit: int | None) -> Self:
        """Reads the batches, checks them against the published MD5, and keeps the first ``limit`` images."""
        (path,) = cls.files(argument)
        _, part = split_path(argument)
        if part not in PARTS:
            raise DataSetError(f"cifar10:{argument}: after # comes 'train', or leave it out for the test images")
        name, published_md5, words = PARTS[part]
        batches = _read_folder(path, published_md5) if path.is_dir() else _read_archive(path, published_md5)
        images = np.concatenate([_pixels(batches[batch], f"{path}: {batch}") for batch in published_md5])
        origin = Origin(
            f"cifar10-{part or 'test'}",
            f"the {len(images):,} {words} images of CIFAR-10",
            f"MD5 of {', '.join(published_md5)} as published",
        )
        return cls(name, f"{cls.kind}:{path}" + (f"#{part}" if part else ""), images[:limit], origin)

    @classmethod
    def files(cls, argument: str) -> list[Path]:
        """The archive or the folder."""
        found = find_official(cls.kind, split_path(argument)[0], (ARCHIVE, FOLDER), _FETCH)
        return [found / ARCHIVE if (found / ARCHIVE).is_file() else found]

    def read(self, index: int) -> np.ndarray:
        """Image ``index``."""
        return self._images_uint8[index].copy()


def _read_folder(folder: Path, published_md5: Mapping[str, str]) -> dict[str, bytes]:
    root = folder if any((folder / name).is_file() for name in published_md5) else folder / FOLDER
    found = {}
    for name in published_md5:
        try:
            with (root / name).open("rb") as file:
                found[name] = file.read(_MAX_BATCH_BYTES)
        except OSError as error:
            raise DataSetError(f"cifar10:{folder}: cannot read {name}: {error.strerror}. {_FETCH}") from error
    return _checked(found, published_md5, folder)


def _read_archive(path: Path, published_md5: Mapping[str, str]) -> dict[str, bytes]:
    """The requested batches by their names; read from the archive, nothing is written to disk."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:*") as archive:
            for _, member in zip(range(_MAX_MEMBERS), archive, strict=False):
                name = member.name.rpartition("/")[2]
                file = archive.extractfile(member) if name in published_md5 and member.isfile() else None
                if file is not None:
                    found[name] = file.read(_MAX_BATCH_BYTES)
                if len(found) == len(published_md5):
                    break
    except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error) as error:
        raise DataSetError(f"cifar10:{path}: does not read as an archive ({error}). {_FETCH}") from error
    lacking = [name for name in published_md5 if name not in found]
    if lacking:
        raise DataSetError(f"cifar10:{path}: holds no {', '.join(lacking)}. {_FETCH}")
    return _checked(found, published_md5, path)


def _checked(found: dict[str, bytes], published_md5: Mapping[str, str], path: Path) -> dict[str, bytes]:
    for name, data in found.items():
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        if md5 != published_md5[name]:
            raise DataSetError(
                f"cifar10:{path}: {name} is not the official one (its MD5 is {md5}, not {published_md5[name]}). "
                f"{_FETCH} Other images can be measured as npz:PATH or folder:PATH"
            )
    return found


def _pixels(batch: bytes, place: str) -> np.ndarray:
    """The images [N, 32, 32, 3] of a batch: the one string of the right length among the pickle's arguments."""
    n_bytes = PER_BATCH * int(np.prod(_SHAPE))
    try:
        arguments = [argument for _, argument, _ in pickletools.genops(batch) if isinstance(argument, (bytes, str))]
    except (ValueError, IndexError) as error:
        raise DataSetError(f"cifar10:{place}: not a pickle ({error})") from error
    strings = [argument for argument in arguments if len(argument) == n_bytes]
    if len(strings) != 1:
        raise DataSetError(f"cifar10:{place}: no array of {PER_BATCH:,} images of 32x32")
    # A string of Python 2 is read as text with one character for each byte.
    data = strings[0].encode("latin-1") if isinstance(strings[0], str) else strings[0]
    return np.frombuffer(data, np.uint8).reshape(-1, *_SHAPE).transpose(0, 2, 3, 1)

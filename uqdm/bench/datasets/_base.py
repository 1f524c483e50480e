"""The base class of data sets: numbered uint8 images with names and a fingerprint, checked once before work starts."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from uqdm.bench.lazy_ids import NumberedIds
from uqdm.codec import check_images
from uqdm.images import ImageError, files_below
from uqdm.paths import absolute_path, split_path
from uqdm.plugins import contained, reason_of
from uqdm.text import printable

_LISTED = 20  # the most bad images that an error names; the rest are counted


class DataSetError(ValueError):
    """A data set cannot be used: a path is wrong, or images in it cannot be read. The message names each and the
    remedy."""


class UnknownDataSetError(LookupError):
    """No kind of data set has that name. The message suggests near names and lists all of them."""


@dataclass(frozen=True)
class Origin:
    """The release of a well-known data set that images were taken from, in its order."""

    release: str
    """Its name, e.g. ``"cifar10-test"``."""
    text: str
    """The release in words, for readers."""
    proof: str
    """Evidence that these are its images, e.g. a published checksum; empty if only number and shape were checked."""


class DataSet(ABC):
    """Images in a fixed order, read one at a time; opened with :func:`uqdm.bench.datasets.open_dataset`.

    A subclass defines :meth:`open` and :meth:`read`. The fingerprint is that of the images when the data set was
    opened.
    """

    kind: ClassVar[str]
    """Name of this kind of data set, as at the start of a spec; that of its module, hyphens in place of underscores."""
    argument: ClassVar[str] = ""
    """The argument after the kind in a spec, as messages show it, e.g. ``"PATH"``; in brackets if it is optional,
    empty if there is none."""
    holds_pixels: ClassVar[bool] = False
    """Whether the images are stored as 8-bit RGB pixels, so that reading changes nothing."""
    origin: Origin | None = None
    """Set by kinds that read a published release; None for other images."""

    def __init__(self, name: str, spec: str, ids: Sequence[str]) -> None:
        self.name = printable(name)
        """Short name, the column ``dataset`` of the results; printable."""
        self.spec = spec
        """The text that opens this data set again."""
        self.ids: Sequence[str] = ids if isinstance(ids, NumberedIds) else tuple(map(printable, ids))
        """Names of the images, in order; each is unique, and printable: a file's own name may differ."""
        self._fingerprint: str | None = None

    @classmethod
    @abstractmethod
    def open(cls, argument: str, limit: int | None) -> Self:
        """Opens the first ``limit`` images of what ``argument`` (the spec after its first colon) names.

        Raises :class:`DataSetError` if that is impossible. The images themselves are checked afterwards.
        """

    @classmethod
    def files(cls, argument: str) -> list[Path]:
        """The files and folders that ``argument`` is read from, so that a workflow can watch them.

        May raise :class:`DataSetError` for those that are not there; by default the path before the ``#``
        (:func:`uqdm.paths.split_path`).
        """
        path, _ = split_path(argument)
        return [absolute_path(path)] if path else []

    @classmethod
    def content_files(cls, argument: str, limit: int | None) -> Mapping[str, Path]:
        """Every file whose content the first ``limit`` images may depend on, by its name inside the data set.

        Raises :class:`DataSetError` for folders that cannot be listed; by default all files in :meth:`files`.
        """
        places = cls.files(argument)
        return {f"{number}/{name}": path for number, place in enumerate(places) for name, path in walk(place).items()}

    @abstractmethod
    def read(self, index: int) -> np.ndarray:
        """Reads image ``index`` (0 <= index < len) as uint8 [H, W, 3]; raises ValueError or OSError if it cannot."""

    def changes(self, index: int) -> Sequence[str] | None:
        """What makes image ``index`` differ from the picture in its file (:class:`uqdm.images.Change`), as text.

        Empty if nothing does, None if that is not known. May read the image; raises ValueError or OSError if it cannot.
        """
        return () if self.holds_pixels else None

    def find_origin(self) -> Origin | None:
        """The release that the images are of, which may need their files' hashes; None if that is not known."""
        return self.origin

    def __len__(self) -> int:
        return len(self.ids)

    def load(self, index: int) -> np.ndarray:
        """Image ``index`` as a contiguous uint8 array [H, W, 3] in RGB order.

        Raises IndexError for an index out of range, :class:`DataSetError` if the image cannot be read.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"{self.spec}: no image {index}, there are {len(self)}")
        try:
            with contained():
                image = np.ascontiguousarray(self.read(index))
            check_images([image])
        except (ValueError, OSError) as error:
            reason = error.reason if isinstance(error, ImageError) else error
            raise DataSetError(f"{self.ids[index]}: {reason}") from error
        except Exception as error:  # a data set of another package
            raise DataSetError(f"{self.ids[index]}: {reason_of(error)}") from error
        return image

    @property
    def fingerprint(self) -> str:
        """``COUNT-HASH`` of the images (see :func:`content_fingerprint`); reads all of them the first time."""
        if self._fingerprint is None:
            self._fingerprint = self.check()
        return self._fingerprint

    def check(self) -> str:
        """Reads every image once and returns the fingerprint; raises one DataSetError that names all bad ones."""
        problems: list[str] = []
        fingerprint = content_fingerprint(self._images(problems))
        if problems:
            rest = [f"... and {len(problems) - _LISTED} more"] if len(problems) > _LISTED else []
            listed = ";\n  ".join(problems[:_LISTED] + rest)
            raise DataSetError(
                f"{self.spec}: {len(problems)} of {len(self)} cannot be used as images:\n  {listed}.\n"
                "Remove, repair or convert these to 8-bit PNG, or move them out of the data set"
            )
        return fingerprint

    def _images(self, problems: list[str]) -> Iterator[np.ndarray]:
        for index in range(len(self)):
            try:
                yield self.load(index)
            except DataSetError as error:
                problems.append(str(error))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.spec!r}, {len(self)} images>"


def walk(place: Path) -> dict[str, Path]:
    """A file, or all files below a folder, by their relative paths with forward slashes, sorted. Links are followed.

    Raises :class:`DataSetError` for a folder that cannot be listed, and for a link to a folder that holds it.
    """
    if not place.is_dir():
        return {place.name: place}
    try:
        found = {path.relative_to(place).as_posix(): path for path in files_below(place, hidden=True)}
    except ValueError as error:
        raise DataSetError(str(error)) from error
    return dict(sorted(found.items()))


def content_fingerprint(images: Iterable[np.ndarray]) -> str:
    """Fingerprint of uint8 images [H, W, 3]: their count, ``-``, and 16 hexadecimal digits of a SHA-256.

    Hashed are, for each image in order, height and width as little-endian 32-bit integers, then the pixels row by
    row, RGB. File names, formats and metadata do not count: the same pixels give the same fingerprint.

    >>> content_fingerprint([np.zeros((2, 3, 3), np.uint8)])
    '1-0ad243e60754f5a7'
    """
    digest, count = hashlib.sha256(), 0
    for count, image in enumerate(images, start=1):  # noqa: B007 (the last count is used)
        digest.update(np.array(image.shape[:2], "<u4").tobytes())
        digest.update(np.ascontiguousarray(image).data)
    return f"{count}-{digest.hexdigest()[:16]}"

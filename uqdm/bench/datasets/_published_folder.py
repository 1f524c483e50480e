"""Data sets that are a folder of a known number of image files, whose sizes are checked. No official hashes exist."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from uqdm.bench.datasets._base import DataSet, DataSetError
from uqdm.bench.datasets._official import find_official
from uqdm.bench.datasets.folder import Folder
from uqdm.images import image_names
from uqdm.text import counted

_IMAGE = re.compile(r".+\.(png|jpe?g)", re.IGNORECASE)
_OTHERS = " Other images can be measured as folder:PATH"
_LISTED = 5  # names in an error; the rest are counted

Size = tuple[int, int]
"""Height and width in pixels."""


class PublishedFolder(Folder):
    """Images of a published set in order of their file names, whatever subfolders they are in.

    A subclass says how many there are, what sizes they have and where to get them. All files are counted when the
    set is opened; sizes are checked where all images are read before the work starts (:meth:`check`). A part of the set
    is refused, since it would bear the name of the whole; ``limit`` takes the first images of the whole.
    """

    argument = "[PATH]"
    n_images: ClassVar[int]
    file_names: ClassVar[Sequence[str]] = ()
    """Names of the files where the release fixes them; empty if any names do."""
    folders: ClassVar[Sequence[str]]
    """Folders that are looked for in the data folder, if no path is given."""
    below: ClassVar[Sequence[str]] = ()
    """Places below the folder that hold the images if they are there; other files of the folder are then ignored."""
    fetch: ClassVar[str]
    """What to fetch from where."""

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        DataSet.__init__(self, self.kind, f"{self.kind}:{root}", [Path(name).stem for name in names])
        self.root = root
        self._names = list(names)
        self._changes = {}
        self._sizes: dict[str, Size] = {}

    @classmethod
    def open(cls, argument: str, limit: int | None) -> Self:
        """Counts the files; names what is missing."""
        (root,) = cls.files(argument)
        return cls(root, cls._listed(root)[:limit])

    @classmethod
    def files(cls, argument: str) -> list[Path]:
        """The folder that holds the images."""
        root = find_official(cls.kind, argument, cls.folders, cls.fetch)
        if not root.is_dir():
            raise DataSetError(f"{cls.kind}:{root}: a file; unpack it, and give the folder")
        return [next((root / place for place in cls.below if (root / place).is_dir()), root)]

    @classmethod
    def content_files(cls, argument: str, limit: int | None) -> Mapping[str, Path]:
        """The image files by their paths in the folder."""
        (root,) = cls.files(argument)
        return {name: root / name for name in cls._listed(root)[:limit]}

    @classmethod
    def _listed(cls, root: Path) -> list[str]:
        """The paths of all images of the set, in the order of their file names."""
        try:
            found = [name for name in image_names(root) if _IMAGE.fullmatch(name)]
        except (ValueError, OSError) as error:
            raise DataSetError(str(error)) from error
        by_name = {Path(name).name: name for name in found}
        absent = [name for name in cls.file_names if name not in by_name]
        if absent:
            more = f" and {len(absent) - _LISTED} more" if len(absent) > _LISTED else ""
            raise DataSetError(f"{cls.kind}:{root}: no {', '.join(absent[:_LISTED])}{more}. {cls.fetch}")
        if not cls.file_names and len(found) != cls.n_images:
            raise DataSetError(
                f"{cls.kind}:{root}: {counted(len(found), 'image file')}, but the set has {cls.n_images:,}. {cls.fetch}"
                f"{_OTHERS}"
            )
        if cls.file_names:
            return [by_name[name] for name in cls.file_names]
        return sorted(found, key=lambda name: (Path(name).name, name))

    def read(self, index: int) -> np.ndarray:
        """Decodes file ``index``."""
        image_uint8 = super().read(index)
        height, width = image_uint8.shape[:2]
        self._sizes[self.ids[index]] = height, width
        return image_uint8

    def check(self) -> str:
        """Reads every image once and returns the fingerprint; raises DataSetError for wrong sizes."""
        fingerprint = super().check()
        if fault := self.size_fault(self._sizes):
            raise DataSetError(f"{self.spec}: {fault}. {self.fetch}{_OTHERS}")
        return fingerprint

    @abstractmethod
    def size_fault(self, sizes: Mapping[str, Size]) -> str:
        """What is wrong with the sizes of images, by their ids; empty if nothing is."""


def wrong_sizes(sizes: Mapping[str, Size], is_right: Mapping[str, bool], right: str) -> str:
    """The text for images of wrong sizes, ``right`` says what they should be; empty if there are none.

    >>> wrong_sizes({"a": (2, 3), "b": (4, 4)}, {"a": False, "b": True}, "4 x 4 pixels")
    'a has 3 x 2 pixels, not 4 x 4 pixels'
    """
    wrong = [name for name, right_size in is_right.items() if not right_size]
    if not wrong:
        return ""
    height, width = sizes[wrong[0]]
    more = f"; and {len(wrong) - 1} more have other sizes" if len(wrong) > 1 else ""
    return f"{wrong[0]} has {width} x {height} pixels, not {right}{more}"


def n_patches(sizes: Mapping[str, Size], side: int = 256) -> int:
    """The number of patches for FID that images of these sizes give, as Mentzer et al. 2020 count them.

    Patches of a grid from the corner, and of one shifted by half a patch both ways.

    >>> n_patches({"a": (512, 768)})
    8
    """
    grids = [[max(0, length - start) // side for length in size] for start in (0, side // 2) for size in sizes.values()]
    return sum(rows * columns for rows, columns in grids)

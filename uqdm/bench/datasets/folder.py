"""The data set ``folder:PATH``: every image file in a folder and its subfolders, of any sizes.

Order: by relative path with forward slashes, character by character (``B.png`` before ``a.png``, ``a10.png``
before ``a9.png``). The relative path is the image's id. Files and folders whose name begins with a dot are
ignored; everything else must be an image, and is named in an error if it is not. Links are followed. Files are
decoded by :func:`uqdm.images.read_image`. Only one image is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from uqdm.bench.datasets import kodak
from uqdm.bench.datasets._base import DataSet, DataSetError, Origin
from uqdm.bench.datasets._file_hashes import file_hashes
from uqdm.images import image_names, read_with_changes
from uqdm.paths import absolute_path
from uqdm.text import printable


class Folder(DataSet):
    """Image files in a folder, named after the folder."""

    kind = "folder"
    argument = "PATH"

    def __init__(self, root: Path, ids: list[str]) -> None:
        super().__init__(root.name, f"{self.kind}:{root}", ids)
        self.root = root
        self._names = ids
        self._changes: dict[int, Sequence[str]] = {}

    @classmethod
    def open(cls, argument: str, limit: int | None) -> Self:
        """Lists the files; ``argument`` is the folder, relative to the working directory or absolute."""
        (root,) = cls.files(argument)
        return cls(root, _listed(root, limit))

    @classmethod
    def files(cls, argument: str) -> list[Path]:
        """The folder; any character may be in its name."""
        root = absolute_path(argument, cls.kind)
        if not root.is_dir():
            raise DataSetError(f"folder:{argument}: {'not a folder' if root.exists() else 'no such folder'}")
        return [root]

    @classmethod
    def content_files(cls, argument: str, limit: int | None) -> Mapping[str, Path]:
        """The image files by their ids."""
        (root,) = cls.files(argument)
        return {printable(name): root / name for name in _listed(root, limit)}

    def find_origin(self) -> Origin | None:
        """That of the Kodak suite if each file is another one of its photographs, whatever the files are called."""
        if not 0 < len(self) <= len(kodak.SHA256):  # no other folder is read for it
            return None
        try:
            found = set(file_hashes([self.root / name for name in self._names]))
        except DataSetError:  # a file that is gone; its rows say so
            return None
        return kodak.ORIGIN if len(found) == len(self) and found <= set(kodak.SHA256) else None

    def read(self, index: int) -> np.ndarray:
        """Decodes file ``index``."""
        image_uint8, self._changes[index] = read_with_changes(self.root / self._names[index])
        return image_uint8

    def changes(self, index: int) -> Sequence[str]:
        """What the rule of :mod:`uqdm.images` changed of file ``index``, which is read unless it was before."""
        if index not in self._changes:
            self.read(index)
        return self._changes[index]


def _listed(root: Path, limit: int | None) -> list[str]:
    """The ids of the first ``limit`` images."""
    try:
        return image_names(root)[:limit]
    except (ValueError, OSError) as error:
        raise DataSetError(str(error)) from error

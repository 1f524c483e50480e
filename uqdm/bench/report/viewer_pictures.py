"""The viewer's pictures: whole, lossless, each stored once, in the page or as files in a folder beside it."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from uqdm.bench.report.pictures import uri_of_webp
from uqdm.bench.run.picture_hash import picture_sha256
from uqdm.files import write_bytes

INLINE_BYTES = 6 * 2**20
"""Pictures of up to 6 MiB in all are in the page; if there are more, all of them are files beside it."""

_KEY = 32  # hexadecimal digits of the hash
_FILE = re.compile(rf"[0-9a-f]{{{_KEY}}}\.webp")
MOST_SIDE = 16383
"""The longest side, pixels, that WebP holds."""


class ViewerPictures:
    """Collects pictures by their hash, coded as lossless WebP."""

    def __init__(self) -> None:
        self._coded: dict[str, bytes] = {}

    def add(self, image_uint8: np.ndarray) -> str:
        """Keeps a whole picture, uint8 [H, W, 3], and returns its key."""
        key = picture_sha256(image_uint8)[:_KEY]
        if key not in self._coded:
            self._coded[key] = coded(image_uint8)
        return key

    def __len__(self) -> int:
        return len(self._coded)

    @property
    def n_bytes(self) -> int:
        """Bytes of all pictures."""
        return sum(map(len, self._coded.values()))

    @property
    def in_page(self) -> bool:
        """Whether they are few enough to be in the page itself."""
        return self.n_bytes <= INLINE_BYTES

    def files(self) -> dict[str, bytes]:
        """The files beside the page by their names; none if all pictures are in the page."""
        return {} if self.in_page else {f"{key}.webp": data for key, data in self._coded.items()}

    def sources(self, folder: str) -> dict[str, str]:
        """By key what an ``img`` element loads: the picture itself, or its file in ``folder`` beside the page."""
        if self.in_page:
            return {key: uri_of_webp(data) for key, data in self._coded.items()}
        return {key: f"{folder}/{key}.webp" for key in self._coded}


def coded(image_uint8: np.ndarray) -> bytes:
    """A picture as a lossless WebP file.

    The effort is low: 768 x 512 pixels take a tenth of a second, and are 5 % larger than with the highest effort.

    >>> coded(np.zeros((2, 2, 3), np.uint8))[:4]
    b'RIFF'
    """
    buffer = io.BytesIO()
    Image.fromarray(image_uint8).save(buffer, "WEBP", lossless=True, quality=20, method=1)
    return buffer.getvalue()


def write_pictures(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes the files that are not there yet, each in one step; call it before the page that shows them is written.

    A name is the hash of its picture, so a file that is there already may be that of an earlier page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != data:
            write_bytes(path, data)


def remove_others(folder: Path, files: Mapping[str, bytes]) -> None:
    """Removes pictures of earlier pages, once the new page is written; files with names of users stay."""
    for path in folder.iterdir():
        if path.name not in files and _FILE.fullmatch(path.name):
            path.unlink()

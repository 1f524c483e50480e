"""From the bytes of a file to uint8 RGB pixels."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from uqdm.images import bmp, gif, isobmff, jpeg, jpeg2000, png, pnm, tiff, webp
from uqdm.images.changes import Change
from uqdm.images.errors import ImageError, RefusedError, not_read
from uqdm.images.exif import turned
from uqdm.images.format import Pixels, Reader
from uqdm.images.source import check_length, longest, read_source

MAX_PIXELS = 2**26
"""The default limit: 67 million pixels, 8192 x 8192. ``UQDM_MAX_PIXELS`` sets another one."""

_READERS: tuple[Reader, ...] = (
    png.READER,
    jpeg.READER,
    gif.READER,
    bmp.READER,
    pnm.READER,
    tiff.READER,
    webp.READER,
    isobmff.READER,
    jpeg2000.READER,
)
FORMATS = tuple(reader.name for reader in _READERS)
"""Names of the supported formats."""

_OTHERS = (
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"8BPS", "Photoshop"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"qoif", "QOI"),
    (b"BPG\xfb", "BPG"),
    (b"%PDF", "PDF"),
    (b"DDS ", "DDS"),
    (b"\x00\x00\x01\x00", "ICO"),
    (b"<svg", "SVG"),
    (b"<?xml", "XML or SVG"),
    (b"\x01\xda", "SGI"),
    (b"SIMPLE  =", "FITS"),
)


def file_format(head: bytes) -> str | None:
    """The picture format, supported or not, of a file with these first bytes; None if it is unknown."""
    known = next((reader.name for reader in _READERS if reader.accepts(head)), None)
    return known or next((name for magic, name in _OTHERS if head.startswith(magic)), None)


def read_image(
    source: str | os.PathLike[str] | bytes, *, name: str | None = None, max_pixels: int | None = None
) -> np.ndarray:
    """Reads an image file, or the bytes of one, as uint8 [H, W, 3], RGB, by the rule of docs/data-sets.md.

    :func:`read_with_changes` says in addition what the rule changed.

    ``name`` is the image's name in errors, by default the path. ``max_pixels`` limits the size in a header, and with it
    the memory: 5 to 20 bytes a pixel, depending on the format, and 3 times the file. The default limit is
    ``UQDM_MAX_PIXELS`` or ``MAX_PIXELS``.

    Raises :class:`ImageError` for a file that cannot be read, is not regular, or is incomplete.

    >>> read_image(b"P5 2 1 3 " + bytes([0, 3]))[..., 0].tolist()
    [[0, 255]]
    """
    return read_with_changes(source, name=name, max_pixels=max_pixels)[0]


def read_with_changes(
    source: str | os.PathLike[str] | bytes, *, name: str | None = None, max_pixels: int | None = None
) -> tuple[np.ndarray, tuple[Change, ...]]:
    """The pixels as :func:`read_image` gives them, and what makes them differ from the picture in the file.

    >>> read_with_changes(b"P5 1 1 31 " + bytes([31]))[1]
    (<Change.DEPTH: 'fewer than 8 bits a channel, scaled and rounded'>,)
    """
    most = _default_bound() if max_pixels is None else max_pixels
    shown = name or ("image" if isinstance(source, bytes) else os.fspath(source))
    try:
        data = source if isinstance(source, bytes) else read_source(Path(source), most)
        check_length(len(data), most)
        found = _pixels(data, most)
        turn = (Change.ORIENTATION,) if found.orientation != 1 else ()
        return turned(found.rgb_uint8, found.orientation), (*found.changes, *turn)
    except RefusedError as error:
        raise ImageError(shown, str(error)) from error
    except OSError as error:
        raise ImageError(shown, error.strerror or f"damaged or cut short: {error}") from error
    except MemoryError as error:
        raise ImageError(shown, "there is not enough memory to decode it") from error
    except Exception as error:  # any exception of a decoder on unexpected bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(shown, f"damaged or cut short: {reason}") from error


def longest_file() -> int:
    """The greatest number of bytes of an image file under the default limit of its pixels."""
    return longest(_default_bound())


def _default_bound() -> int:
    text = os.environ.get("UQDM_MAX_PIXELS", "")
    if not text:
        return MAX_PIXELS
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ValueError(f"UQDM_MAX_PIXELS={text!r}: must be a number of pixels, at least 1")
    return int(text)


def _pixels(data: bytes, max_pixels: int) -> Pixels:
    for reader in _READERS:
        if reader.accepts(data[:32]):
            return reader.read(data, max_pixels)
    other = file_format(data[:32])
    if other is not None:
        raise not_read(f"a file of the format {other}")
    if not data:
        raise RefusedError("not an image: the file is empty")
    raise RefusedError(f"not an image of a known format, or its header is damaged; known are {', '.join(FORMATS)}")

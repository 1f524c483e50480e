"""Images and coded files in the forms in which callers have them.

What is unambiguous is taken; for anything else the error says in one line what to write instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from uqdm.images import read_image

ImageLike: TypeAlias = np.ndarray | Image.Image | str | os.PathLike[str]
"""One image: uint8 [H, W, 3] or [3, H, W], a Pillow image without alpha, or the path of an image file."""
CodedLike: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike[str]
"""One coded file: its bytes or its path."""

_BYTES = (bytes, bytearray, memoryview)
_EXACT_MODES = ("RGB", "L", "P", "1")  # of Pillow, whose pixels are RGB of 8 bits without loss
_COLOUR_MODES = ("CMYK", "YCbCr", "HSV", "LAB", "RGBX")


def as_images(given: ImageLike | Iterable[ImageLike]) -> tuple[list[np.ndarray], bool]:
    """The images of ``given``, each uint8 [H, W, 3], and whether it is one image and not several.

    Several images are an array [N, H, W, 3] or [N, 3, H, W], or an iterable of images. A last axis of 3 is colour;
    a single array in which the first axis has 3 entries as well is ambiguous. Raises ValueError, which says what to
    write.

    >>> as_images(np.zeros((3, 4, 5), np.uint8))[0][0].shape
    (4, 5, 3)
    >>> as_images(np.zeros((8, 4, 5, 3), np.float32))
    Traceback (most recent call last):
    ValueError: images: float32 values: write (255 * images).round().astype(np.uint8) for values in 0..1
    """
    if isinstance(given, _BYTES):
        raise ValueError(
            "images: bytes: write the path of the image file, or PIL.Image.open(io.BytesIO(images)) for its content"
        )
    if isinstance(given, (Image.Image, str, os.PathLike)):
        return [_image(given, "image")], True
    if not _is_array(given):
        return [_image(one, f"image {index}") for index, one in enumerate(_listed(given, "images"))], False
    array = _array(given, "images")
    _check_values(array, "images")
    if array.ndim == 4:
        return [_colour_last(one, f"image {index}") for index, one in enumerate(array)], False
    if array.ndim == 3 and array.shape[0] == array.shape[2] == 3:
        raise ValueError(
            f"image: {list(array.shape)} can be [H, W, 3] or [3, H, W]: write [image] if the last axis is colour, "
            "[image.transpose(1, 2, 0)] if the first is"
        )
    return [_colour_last(array, "image")], True


def as_files(given: CodedLike | Iterable[CodedLike]) -> tuple[list[bytes], bool]:
    """The bytes of coded files, and whether ``given`` is one file and not several.

    Raises ValueError for other types, and OSError for a path that cannot be read.

    >>> as_files([b"UQ...", bytearray(b"UQ...")])
    ([b'UQ...', b'UQ...'], False)
    """
    if isinstance(given, (*_BYTES, str, os.PathLike)):
        return [_file(given, "file")], True
    if isinstance(given, np.ndarray):
        raise ValueError("files: an array: write bytes, a path, or a list of them")
    return [_file(one, f"file {index}") for index, one in enumerate(_listed(given, "files"))], False


def _listed(given: Any, what: str) -> Sequence[Any]:
    if not isinstance(given, Iterable):
        raise ValueError(f"{what}: {_type(given)}: write one of them, or a list")
    return list(given)


# ---- coded files --------------------------------------------------------------------------------------------


def _file(given: Any, what: str) -> bytes:
    if isinstance(given, _BYTES):
        return bytes(given)
    if isinstance(given, (str, os.PathLike)):
        return Path(given).read_bytes()
    if isinstance(getattr(given, "stream", None), bytes):
        raise ValueError(f"{what}: {_type(given)}: write its .stream")
    raise ValueError(f"{what}: {_type(given)}: write bytes or a path")


# ---- images -------------------------------------------------------------------------------------------------


def _image(given: Any, what: str) -> np.ndarray:
    """One image, uint8 [H, W, 3]."""
    if isinstance(given, Image.Image):
        return _pillow(given, what)
    if isinstance(given, (str, os.PathLike)):
        return read_image(Path(given))
    if isinstance(given, _BYTES) or not _is_array(given):
        raise ValueError(f"{what}: {_type(given)}: write a uint8 array [H, W, 3], a Pillow image or a path")
    array = _array(given, what)
    _check_values(array, what)
    return _colour_last(array, what)


def _pillow(image: Image.Image, what: str) -> np.ndarray:
    """The pixels of a Pillow image, as they are: orientation in EXIF is not applied."""
    if image.has_transparency_data:
        raise ValueError(
            f"{what}: a Pillow image of mode {image.mode} with alpha: write image.convert('RGB') to drop alpha, or the "
            "path of its file, which is composited on white"
        )
    if image.mode in _EXACT_MODES:
        return np.asarray(image.convert("RGB"))
    if image.mode in _COLOUR_MODES:
        raise ValueError(f"{what}: a Pillow image of mode {image.mode}: write image.convert('RGB')")
    remedy = "the array of its pixels in 8 bits, e.g. (np.asarray(image) / 257).round().astype(np.uint8) of 16 bits"
    raise ValueError(f"{what}: a Pillow image of mode {image.mode}, not of 8 bits: write {remedy}")


def _is_array(given: Any) -> bool:
    """Whether NumPy takes it as an array: one of NumPy, torch and the like."""
    return hasattr(given, "__array__")


def _array(given: Any, what: str) -> np.ndarray:
    try:
        return np.asarray(given)
    except (TypeError, RuntimeError) as error:  # a tensor on a GPU, or one with gradients
        raise ValueError(f"{what}: {_type(given)} that is no array in memory: write .detach().cpu() of it") from error


def _check_values(array: np.ndarray, what: str) -> None:
    """Raises ValueError unless values are uint8."""
    if array.dtype != np.uint8:
        raise ValueError(f"{what}: {array.dtype} values: write {_as_uint8(array, what.split()[0])}")


def _as_uint8(array: np.ndarray, name: str) -> str:
    """The expression that makes uint8 of the values of an array, by their type and range."""
    low, high = (array.min(), array.max()) if array.size and array.dtype.kind in "iuf" else (0, 0)
    if array.dtype.kind == "b":
        return f"255 * {name}.astype(np.uint8)"
    if array.dtype.kind == "f" and low < 0:
        return f"(127.5 * ({name} + 1)).round().astype(np.uint8) for values in -1..1"
    if array.dtype.kind == "f" and high <= 1:
        return f"(255 * {name}).round().astype(np.uint8) for values in 0..1"
    if array.dtype.kind == "f":
        return f"{name}.round().astype(np.uint8) for values in 0..255"
    if array.dtype.kind in "iu" and low >= 0 and high <= 255:
        return f"{name}.astype(np.uint8)"
    if array.dtype.kind in "iu" and low >= 0 and high <= 65535:
        return f"({name} / 257).round().astype(np.uint8) for values of 16 bits"
    return "uint8 values in 0..255"


def _colour_last(array: np.ndarray, what: str) -> np.ndarray:
    """One image uint8 [H, W, 3] of [H, W, 3] or [3, H, W]."""
    shape = array.shape
    if len(shape) == 3 and 0 not in shape and shape[2] == 3:
        return array
    if len(shape) == 3 and 0 not in shape and shape[0] == 3:
        return np.ascontiguousarray(array.transpose(1, 2, 0))
    raise ValueError(f"{what}: {list(shape)} is not [H, W, 3]{_as_colour(shape)}")


def _as_colour(shape: tuple[int, ...]) -> str:
    """What to write for an image of another shape, as the end of a message; empty if that is unknown."""
    if 0 in shape:
        return ": it has no pixels"
    if len(shape) == 2:
        return ": write np.stack([image] * 3, axis=-1) if it is grey"
    if len(shape) != 3:
        return ""
    if shape[2] == 1:
        return ": write image.repeat(3, axis=2) if it is grey"
    if shape[0] == 1:
        return ": write image.repeat(3, axis=0) if it is grey"
    if shape[2] == 4:
        return ": write image[:, :, :3] to drop alpha"
    if shape[0] == 4:
        return ": write image[:3] to drop alpha"
    return ""


def _type(given: Any) -> str:
    """The type of an object in a message.

    >>> _type(7), _type(None)
    ('int', 'None')
    """
    return "None" if given is None else type(given).__name__

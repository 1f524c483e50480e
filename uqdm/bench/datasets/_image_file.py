"""The rule by which an image file becomes uint8 RGB pixels."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "JPEG2000", "TIFF", "BMP", "PPM", "GIF")
MAX_PIXELS = 2**27  # 134 million; a larger header is refused before anything is decoded
_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX")


def read_image_file(path: str | Path) -> np.ndarray:
    """Reads one image file as uint8 [H, W, 3], RGB, by this rule:

    - grey is replicated to three channels; palettes are looked up;
    - an alpha channel is composited on white (one that is opaque everywhere changes nothing);
    - EXIF orientation is applied; of an animation or of several pages the first is taken;
    - pixel values are taken as stored: embedded colour profiles and gamma are ignored;
    - refused: PNG and TIFF of more than 8 bits a channel, floats, CMYK and other colour spaces (what the decoders
      of AVIF and JPEG 2000 reduce to 8 bits themselves is taken), more than 2**27 pixels, and anything that is cut
      short, damaged or not one of the formats in ``FORMATS``.

    Raises ValueError or OSError with the reason.
    """
    data = Path(path).read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the bound here is MAX_PIXELS
        try:
            with _open(data) as image:
                image.verify()  # checksums, which decoding alone does not look at
            with _open(data) as image:
                return _rgb_uint8(image)
        except UnidentifiedImageError as error:
            raise ValueError("not an image of a known format, or its header is damaged") from error
        except (Image.DecompressionBombError, SyntaxError, RuntimeError) as error:  # what plugins raise besides
            raise ValueError(str(error)) from error


def _open(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{image.width} x {image.height} pixels, more than the {MAX_PIXELS} that are allowed")
    return image


def _rgb_uint8(image: Image.Image) -> np.ndarray:
    deep = _is_deep(image)
    image.load()
    if deep or image.mode not in _MODES:
        found = "more than 8 bits a channel" if deep else f"colour mode {image.mode}"
        raise ValueError(f"{found}, not 8-bit RGB or grey")
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        return _on_white(np.asarray(image.convert("RGBA")))
    return np.asarray(image.convert("RGB"))


def _is_deep(image: Image.Image) -> bool:
    """Whether a file that Pillow opens in an 8-bit mode holds 16 bits: Pillow would keep the high byte silently."""
    tiles = getattr(image, "tile", [])  # gone once the image is loaded
    arguments = [tile[3] if isinstance(tile[3], tuple) else (tile[3],) for tile in tiles]
    return any(";16" in str(raw_mode) for raw_mode, *_ in arguments)


def _on_white(rgba_uint8: np.ndarray) -> np.ndarray:
    """Composites [H, W, 4] on white in whole numbers, halves rounded up."""
    colour, alpha = rgba_uint8[..., :3].astype(np.uint32), rgba_uint8[..., 3:].astype(np.uint32)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)

"""Round trips through Pillow: the common base of codecs that Pillow or one of its plugins provides."""

from __future__ import annotations

import functools
import io
import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from uqdm.codec import Codec, Missing, Parameter, ParameterError, StreamError, check_images

MAX_PIXELS = 2**27
"""Images above this (134 million pixels, 403 MB) are neither encoded nor decoded; a stream's header is checked
before its pixels are decoded. This limit stops streams of a few bytes that decode to terabytes."""

LOSSLESS = Parameter("lossless", bool, False, "reproduce every pixel; leave quality at its default then")

# Pillow and its plugins raise these for files that they cannot decode.
_UNDECODABLE = (OSError, ValueError, SyntaxError, RuntimeError, EOFError, Image.DecompressionBombError)


class PillowCodec(Codec):
    """A codec that Pillow runs: a subclass names the ``format`` and gives the options of the encoder."""

    format: ClassVar[str]
    """Pillow's name of the file format; other formats are not decoded."""
    feature: ClassVar[str]
    """Pillow's name of the compiled-in library, as in ``PIL.features``; empty if it comes with a plugin."""
    max_side: ClassVar[int]
    """Greatest height and width, in pixels, that the format or its encoder supports."""

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        quality = next((parameter for parameter in self.parameters if parameter.name == "quality"), None)
        if quality and self.values.get("lossless") and self.values["quality"] != quality.default:
            raise ParameterError(f"{self.name}: lossless=true has no quality; leave quality out")

    @classmethod
    def missing(cls) -> Missing | None:
        """Names the library that this Pillow was built without; None if it is present."""
        if features.check(cls.feature):
            return None
        remedy = 'install a Pillow wheel: pip install --force-reinstall --only-binary=:all: "pillow>=11.3"'
        return Missing(f"this Pillow {Image.__version__} was built without {cls.format} ({cls.feature})", remedy)

    @functools.cached_property
    def black_pixel_bits(self) -> int | None:
        """Bits of the file of one black pixel; see :attr:`uqdm.codec.Codec.black_pixel_bits`."""
        return 8 * len(self.encode([np.zeros((1, 1, 3), np.uint8)])[0])

    @abstractmethod
    def save_options(self) -> dict[str, Any]:
        """The encoder's options, as keyword arguments of ``Image.save``."""

    def load_plugin(self) -> None:
        """Imports the plugin that adds the format to Pillow."""

    def check_stream(self, stream: bytes) -> None:
        """Raises StreamError for damage that Pillow's decoder would not detect; called before decoding."""

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        """Encodes each image, uint8 [H, W, 3]; raises ValueError for one that the format cannot hold."""
        check_images(images)
        self.load_plugin()
        return [self._encode(image) for image in images]

    def decode(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        """Decodes each stream to uint8 [H, W, 3]; raises StreamError for anything but a whole file of the format."""
        self.load_plugin()
        return [self._decode(stream) for stream in streams]

    def _encode(self, image_uint8: np.ndarray) -> bytes:
        return self._save(image_uint8, self.save_options())

    def _save(self, image_uint8: np.ndarray, options: Mapping[str, Any]) -> bytes:
        """Encodes an image with options of ``Image.save``; raises ValueError for one that the format cannot hold."""
        height, width, _ = image_uint8.shape
        if max(height, width) > self.max_side or height * width > MAX_PIXELS:
            bound = f"{self.max_side} pixels a side and {MAX_PIXELS} in all"
            raise ValueError(f"{self.name} takes images of at most {bound}, got {height} x {width}")
        buffer = io.BytesIO()
        self._picture(image_uint8).save(buffer, self.format, **options)
        return buffer.getvalue()

    def _picture(self, image_uint8: np.ndarray) -> Image.Image:
        """The image in the form that the encoder gets."""
        return Image.fromarray(image_uint8)

    def _decode(self, stream: bytes) -> np.ndarray:
        if not stream:
            raise StreamError(f"{self.name}: the stream is empty")
        try:
            self.check_stream(stream)
            with open_image(stream, self.format) as image:
                return _pixels(image)
        except StreamError as error:
            raise StreamError(f"{self.name}: {error}") from error
        except UnidentifiedImageError as error:
            raise StreamError(f"{self.name}: not a {self.format} file, or its header is damaged") from error
        except _UNDECODABLE as error:
            reason = " ".join(str(error).split())
            raise StreamError(f"{self.name}: damaged or cut short ({len(stream)} bytes): {reason}") from error


def open_image(stream: bytes, image_format: str) -> Image.Image:
    """Opens a stream as that format only; raises StreamError if its header asks for too many pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the bound here is MAX_PIXELS
        image = Image.open(io.BytesIO(stream), formats=[image_format])
    check_size(image.height, image.width)
    return image


def check_size(height: int, width: int) -> None:
    """Raises StreamError if a header asks for more than ``MAX_PIXELS``."""
    if height * width > MAX_PIXELS:
        raise StreamError(f"its header asks for {height} x {width} pixels, more than the {MAX_PIXELS} allowed")


def check_end_marker(stream: bytes) -> None:
    """Raises StreamError unless a JPEG or JPEG 2000 codestream ends with its end marker."""
    if not stream.endswith(b"\xff\xd9"):  # EOI of JPEG, EOC of JPEG 2000
        raise StreamError(f"cut short: no end marker after {len(stream)} bytes")


def _pixels(image: Image.Image) -> np.ndarray:
    frames = getattr(image, "n_frames", 1)
    if image.mode != "RGB" or frames != 1:
        raise StreamError(f"holds {frames} frame(s) of mode {image.mode}, expected one of mode RGB")
    image.load()
    return np.array(image)


def pillow_version(library: str, version: str | None) -> str:
    """Text for ``Codec.version``: Pillow, and the library inside it that does the work."""
    return f"Pillow {Image.__version__}, {library} {version or 'of unknown version'}"

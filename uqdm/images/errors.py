"""The error for files that cannot be used as images, and reasons shared by several formats."""

from __future__ import annotations

HOW_TO_CONVERT = "convert it first, for example with: magick INPUT -depth 8 OUTPUT.png"


class ImageError(ValueError):
    """A file cannot be used as an image: ``NAME: REASON``."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        """Name of the image for the user: a path, or the id in a data set."""
        self.reason = reason
        """The problem and the remedy, without the name."""

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


class RefusedError(ValueError):
    """A reason for the user; :func:`uqdm.images.read_image` adds the name."""


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raises :class:`RefusedError` if the size in a header is not allowed."""
    if width < 1 or height < 1:
        raise RefusedError(f"its header claims {width} x {height} pixels")
    if width * height > max_pixels:
        raise RefusedError(
            f"{width} x {height} pixels, more than the {max_pixels} that are allowed here; scale or cut it, or "
            "allow more by the environment variable UQDM_MAX_PIXELS"
        )


def check_depth(bits: int) -> None:
    """Raises :class:`RefusedError` if a channel has more than 8 bits."""
    if bits > 8:
        raise RefusedError(f"{bits} bits a channel, more than the 8 bits that are read; {HOW_TO_CONVERT}")


def other_colours(mode: str) -> RefusedError:
    """The reason if the colours are neither RGB nor grey."""
    how = "convert it first, for example with: magick INPUT -colorspace sRGB OUTPUT.png"
    return RefusedError(f"colour mode {mode}, not RGB or grey; {how}")


def not_read(what: str) -> RefusedError:
    """The reason if a format, or a variant of it, is known but not supported."""
    return RefusedError(f"{what}, which is not read; {HOW_TO_CONVERT}")


def damaged(what: str) -> RefusedError:
    """The reason if a file is incomplete."""
    return RefusedError(f"damaged or cut short: {what}")

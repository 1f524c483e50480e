"""JPEG XR, High-Throughput JPEG 2000 and JPEG-LS by imagecodecs, as a host of the codec `remote`; see README.md.

    python host.py --format jpegxr --level 80

A file is the format's own: a JPEG XR container, a JPEG 2000 codestream, a JPEG-LS stream.
"""

import argparse
import contextlib
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import imagecodecs
from recipe_tools import digest, fields
from uqdm_codec_host import StreamError, serve

LOSSLESS = "lossless"


@contextlib.contextmanager
def errors_that_are_ignored():
    """A list of errors that a function in C reports nowhere else: imagecodecs then returns memory as it was."""
    found = []
    before, sys.unraisablehook = sys.unraisablehook, lambda error: found.append(str(error.exc_value))
    try:
        yield found
    finally:
        sys.unraisablehook = before


class Format:
    """Encoder, decoder and size of a format. ``bounds`` are those of a level, which is None for lossless."""

    def __init__(self, name, bounds, options, size):
        self.encode = getattr(imagecodecs, name + "_encode")
        self.decode = getattr(imagecodecs, name + "_decode")
        self.version = getattr(imagecodecs, name + "_version")
        self.bounds = bounds
        self.options = options
        self.size = size


def jpegxr_size(stream):
    """Height and width that the first directory of a JPEG XR file tells."""
    (begin,) = struct.unpack_from("<I", stream, 4)
    (count,) = struct.unpack_from("<H", stream, begin)
    found = {}
    for place in range(count):
        tag, kind, _, value = struct.unpack_from("<HHII", stream, begin + 2 + 12 * place)
        found[tag] = value & 0xFFFF if kind == 3 else value  # kind 3 has 16 bits
    return found[0xBC81], found[0xBC80]


def htj2k_size(stream):
    """Height and width that the SIZ marker segment of a codestream tells; it comes first."""
    marker, width, height, left, top = struct.unpack_from(">2xH4xIIII", stream)
    if marker != 0xFF51:
        raise KeyError("SIZ")
    return height - top, width - left


def jpegls_size(stream):
    """Height and width that the frame header of a JPEG-LS stream tells."""
    place = 2
    while True:
        marker, length = struct.unpack_from(">HH", stream, place)
        if marker == 0xFFF7:
            return struct.unpack_from(">HH", stream, place + 5)
        place += 2 + length


FORMATS = {
    "jpegxr": (lambda: Format("jpegxr", (1, 100), {}, jpegxr_size)),
    "htj2k": (lambda: Format("htj2k", (1e-5, 1), {"rgb": True}, htj2k_size)),
    "jpegls": (lambda: Format("jpegls", (0, 255), {}, jpegls_size)),
}


class Codec:
    """A format at a level."""

    def __init__(self, chosen, level):
        self.chosen = chosen
        self.level = level

    def encode(self, image):
        """The file of an image, uint8 [H, W, 3]."""
        return bytes(self.chosen.encode(image, self.level, **self.chosen.options))

    def decode(self, stream):
        """The image of a file; raises StreamError for one that is damaged in a way that the decoder sees."""
        self._check_size(stream)
        try:
            with errors_that_are_ignored() as ignored:
                image = self.chosen.decode(stream)
        except (RuntimeError, ValueError) as error:
            raise StreamError(str(error)) from error
        if ignored:
            raise StreamError("the decoder stopped: {}".format(ignored[0]))
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != "uint8":
            raise StreamError("it decodes to {} {}, not to uint8 of three colours".format(image.dtype, image.shape))
        return image

    def _check_size(self, stream):
        """Raises StreamError if the header asks for more pixels than are read; decoders take memory for them."""
        try:
            height, width = self.chosen.size(stream)
        except (struct.error, KeyError) as error:
            raise StreamError("its header tells no size") from error
        if not 0 < height * width <= fields.MOST_PIXELS:
            raise StreamError("its image has {} x {} pixels".format(height, width))


def read_options(arguments=None):
    """The options of the command line: a format's name and a level, None for lossless."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--format", choices=sorted(FORMATS), required=True)
    parser.add_argument("--level", default=LOSSLESS, help="a number (README.md), or lossless")
    options = parser.parse_args(arguments)
    if options.level == LOSSLESS:
        options.level = None
        return options
    least, most = FORMATS[options.format]().bounds
    try:
        options.level = float(options.level)
    except ValueError:
        parser.error("--level {}: not a number, and not {}".format(options.level, LOSSLESS))
    if not least <= options.level <= most:
        parser.error("--level {}: {} has {} to {}".format(options.level, options.format, least, most))
    if options.level == int(options.level):
        options.level = int(options.level)
    return options


def main():
    """Serves one format."""
    options = read_options()
    chosen = FORMATS[options.format]()
    codec = Codec(chosen, options.level)
    serve(
        codec.encode,
        codec.decode,
        name=options.format,
        version=chosen.version(),
        parameters={"level": LOSSLESS if options.level is None else options.level, "recipe_tools": digest()},
        packages=("numpy", "imagecodecs"),
    )


if __name__ == "__main__":
    main()

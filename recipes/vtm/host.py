"""VTM, the reference software of VVC, as a host of the codec `remote`; see README.md. It was not run.

    python host.py --programs VVCSoftware_VTM/bin --config VVCSoftware_VTM/cfg/encoder_intra_vtm.cfg --qp 32

A file has height and width of the image as numbers of seven bits a byte, and the VVC bitstream.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from recipe_tools import digest, fields
from uqdm_codec_host import StreamError, serve

ENCODER = "EncoderAppStatic"
DECODER = "DecoderAppStatic"
KR = 0.2126  # weights of red and blue in luma, BT.709
KB = 0.0722


def to_ycbcr(image):
    """Planes uint8 [3, H, W], BT.709 of full range, of an image uint8 [H, W, 3]."""
    red, green, blue = image.astype(np.float64).transpose(2, 0, 1)
    luma = KR * red + (1 - KR - KB) * green + KB * blue
    chroma_blue = (blue - luma) / (2 - 2 * KB) + 128
    chroma_red = (red - luma) / (2 - 2 * KR) + 128
    return np.stack([luma, chroma_blue, chroma_red]).round().clip(0, 255).astype(np.uint8)


def to_rgb(planes):
    """The reverse of :func:`to_ycbcr`, up to rounding."""
    luma, chroma_blue, chroma_red = planes.astype(np.float64)
    red = luma + (2 - 2 * KR) * (chroma_red - 128)
    blue = luma + (2 - 2 * KB) * (chroma_blue - 128)
    green = (luma - KR * red - KB * blue) / (1 - KR - KB)
    return np.stack([red, green, blue], axis=2).round().clip(0, 255).astype(np.uint8)


class Codec:
    """Intra pictures of VTM in 4:4:4, one call of a program each."""

    def __init__(self, programs, config, qp):
        self.programs = Path(programs).resolve()
        self.config = Path(config).resolve()
        self.qp = qp

    def encode(self, image):
        """The file of an image, uint8 [H, W, 3]."""
        height, width = image.shape[:2]
        with tempfile.TemporaryDirectory() as folder:
            source, coded = Path(folder) / "source.yuv", Path(folder) / "coded.vvc"
            source.write_bytes(to_ycbcr(image).tobytes())
            self._run(ENCODER, *self._encoder_options(source, coded, height, width))
            return fields.number(height) + fields.number(width) + coded.read_bytes()

    def _encoder_options(self, source, coded, height, width):
        return [
            *("-c", self.config, "-i", source, "-b", coded, "-o", "/dev/null", "-q", self.qp),
            *("-wdt", width, "-hgt", height, "-f", 1, "-fr", 1),
            *("--InputChromaFormat=444", "--InputBitDepth=8", "--ConformanceWindowMode=1"),
        ]

    def decode(self, stream):
        """The image of a file; raises StreamError if the decoder fails, or decodes to another size."""
        reader = fields.Reader(stream)
        height, width = reader.size()
        with tempfile.TemporaryDirectory() as folder:
            coded, decoded = Path(folder) / "coded.vvc", Path(folder) / "decoded.yuv"
            coded.write_bytes(stream[reader.position :])
            try:
                self._run(DECODER, "-b", coded, "-o", decoded, "-d", 8)
                values = np.fromfile(str(decoded), np.uint8)
            except (OSError, subprocess.CalledProcessError) as error:
                raise StreamError("the decoder fails: {}".format(error)) from error
        if values.size != 3 * height * width:
            raise StreamError("it decodes to {} values, not to {} x {} pixels".format(values.size, height, width))
        return to_rgb(values.reshape(3, height, width))

    def _run(self, program, *options):
        command = [str(self.programs / program)] + list(map(str, options))
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)

    def version(self):
        """The version that the encoder prints."""
        done = subprocess.run([str(self.programs / ENCODER)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        lines = [line for line in done.stdout.decode(errors="replace").splitlines() if "Version" in line]
        return lines[0].strip() if lines else "unknown"


def main():
    """Serves one quantization parameter."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--programs", required=True, help="folder of " + ENCODER + " and " + DECODER)
    parser.add_argument("--config", required=True, help="configuration of the encoder")
    parser.add_argument("--qp", type=int, required=True, help="quantization parameter, 0 to 63")
    options = parser.parse_args()
    codec = Codec(options.programs, options.config, options.qp)
    serve(
        codec.encode,
        codec.decode,
        name="vtm",
        version=codec.version(),
        parameters={"qp": options.qp, "chroma": "4:4:4", "recipe_tools": digest()},
        packages=("numpy",),
    )


if __name__ == "__main__":
    main()

"""Cool-Chic 5 as a host of the codec `remote`; see README.md. It was not run.

    python host.py --repository Cool-Chic --lmbda 1e-3 --n-itr 10000

A file is Cool-Chic's own bitstream. It holds the weights of the image's decoder, and the size of the image.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recipe_tools import digest, pictures
from recipe_tools.repository import use_repository
from uqdm_codec_host import StreamError, serve

ENCODER = "cc_encode.py"
MOST_SIDE = (1 << 14) - 1
"""The header has 14 bits for a side."""


class Codec:
    """Trains a decoder for each image in a process of its own; decodes in this one."""

    def __init__(self, repository, encoder_options):
        self.repository = Path(repository).resolve()
        self.encoder_options = encoder_options

    def encode(self, image):
        """The file of an image, uint8 [H, W, 3]."""
        from PIL import Image

        if max(image.shape[:2]) > MOST_SIDE:
            raise ValueError("Cool-Chic codes at most {} pixels a side".format(MOST_SIDE))
        with tempfile.TemporaryDirectory() as folder:  # it takes what an earlier call left in its folder for its own
            source, coded = Path(folder) / "source.png", Path(folder) / "coded.cool"
            Image.fromarray(image).save(str(source))
            command = [sys.executable, str(self.repository / ENCODER), "-i", str(source), "-o", str(coded)]
            command += ["--workdir", folder] + self.encoder_options
            subprocess.run(command, check=True, cwd=str(self.repository), stdin=subprocess.DEVNULL, stdout=sys.stderr)
            return coded.read_bytes()

    def decode(self, stream):
        """The image of a file."""
        from coolchic.bitstream.decode import decode_video

        with tempfile.NamedTemporaryFile(suffix=".cool") as file:
            file.write(stream)
            file.flush()
            with contextlib.redirect_stdout(sys.stderr):
                try:
                    frame = decode_video(file.name)["0"]
                except (AssertionError, IndexError, KeyError, TypeError, ValueError, RuntimeError) as error:
                    raise StreamError("{}: {}".format(type(error).__name__, error)) from error
        if frame.frame_data_type != "rgb":
            raise StreamError("it is a frame of {}, not of rgb".format(frame.frame_data_type))
        return pictures.to_image(frame.data)


def main():
    """Serves one rate constraint."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repository", required=True, help="a clone of Cool-Chic")
    parser.add_argument("--lmbda", required=True, help="rate constraint, such as 1e-3: a large one makes small files")
    parser.add_argument("--n-itr", default="10000", help="steps of training, at least 2000")
    parser.add_argument("--decoder", help="configuration of the decoder, such as cfg/dec/intra/hop.cfg in the clone")
    options = parser.parse_args()
    commit = use_repository(options.repository, ENCODER, "coolchic/bitstream/decode.py")
    encoder_options = ["--lmbda", options.lmbda, "--n_itr", options.n_itr]
    if options.decoder:
        encoder_options += ["--dec_cfg_residue", str(Path(options.repository, options.decoder).resolve())]
    codec = Codec(options.repository, encoder_options)
    serve(
        codec.encode,
        codec.decode,
        name="cool-chic",
        version=commit,
        parameters={
            "lmbda": options.lmbda,
            "n_itr": options.n_itr,
            "decoder": options.decoder or "default",
            "recipe_tools": digest(),
        },
        packages=("numpy", "torch", "constriction"),
    )


if __name__ == "__main__":
    main()

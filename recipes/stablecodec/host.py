"""StableCodec as a host of the codec `remote`; see README.md. It was not run.

    python host.py --repository StableCodec --sd SD_TURBO --elic elic_official.pth --codec FOLDER --tuning 2

A file has height and width of the image as numbers of seven bits a byte, and what StableCodec writes into a file.
"""

import argparse
import io
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from recipe_tools import digest, fields, pictures, rans, weights
from recipe_tools.repository import use_repository
from uqdm_codec_host import StreamError, serve

STEP = 256
"""StableCodec pads both sides to multiples of it."""


class Codec:
    """The network with files; its prompt is fixed, and no colour is taken from the original."""

    def __init__(self, net):
        self.net = net.cuda().eval()
        net.codec.update(force=True)
        rans.check_strings(net.codec)

    @torch.no_grad()
    def encode(self, image):
        """The file of an image, uint8 [H, W, 3]."""
        from compress_utils import write_body

        height, width = image.shape[:2]
        found = self.net.compress(padded(pictures.to_tensor(image, "cuda")) * 2 - 1)
        body = io.BytesIO()
        write_body(body, found["shape"], found["strings"])
        return fields.number(height) + fields.number(width) + body.getvalue()

    @torch.no_grad()
    def decode(self, stream):
        """The image of a file."""
        from compress_utils import read_body

        reader = fields.Reader(stream)
        height, width = reader.size()
        try:
            strings, shape = read_body(io.BytesIO(stream[reader.position :]))
        except (struct.error, MemoryError, OverflowError) as error:
            raise StreamError("its strings cannot be read: {}".format(error)) from error
        if shape[0] * shape[1] * STEP > -(-height // STEP) * STEP * -(-width // STEP) * STEP:
            raise StreamError("its latents are {} x {}, too many for its image".format(*shape))
        decoded = self.net.decompress(strings, shape, [1])
        return pictures.to_image(decoded[:, :, :height, :width].float() / 2 + 0.5)


def padded(image):
    """An image [1, 3, H, W], reflected at right and below as StableCodec does; a small one gets its edges repeated."""
    missing = [-side % STEP for side in image.shape[2:]]
    fits = all(amount < side for amount, side in zip(missing, image.shape[2:]))
    mode = "reflect" if fits else "replicate"
    return torch.nn.functional.pad(image, (0, missing[1], 0, missing[0]), mode=mode)


def load(options):
    """The network, with the other options as StableCodec's own script has them."""
    from my_utils.testing_utils import parse_args_testing

    words = ["--sd_path", options.sd, "--elic_path", options.elic, "--codec_path", options.codec]
    sys.argv = ["compress.py"] + words + ["--img_path", "-", "--rec_path", "-", "--bin_path", "-"]
    arguments = parse_args_testing()
    from StableCodec import StableCodec

    return StableCodec(sd_path=options.sd, args=arguments)


def main():
    """Serves one rate."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repository", required=True, help="a clone of StableCodec")
    parser.add_argument("--sd", required=True, help="folder of SD-Turbo")
    parser.add_argument("--elic", required=True, help="elic_official.pth")
    parser.add_argument("--codec", required=True, help="a file of weights, or a folder with stablecodec_ftN.pkl")
    parser.add_argument("--tuning", default="2", help="N of the file in a folder: 2 to 32; a large one has few bits")
    options = parser.parse_args()
    options.codec = weights.path_in(options.codec, "stablecodec_ft{}.pkl".format(options.tuning))
    for name in ("sd", "elic", "codec"):
        setattr(options, name, str(Path(getattr(options, name)).resolve()))
    commit = use_repository(options.repository, "src/StableCodec.py")
    sys.path.insert(0, str(Path(options.repository, "src").resolve()))
    codec = Codec(load(options))
    serve(
        codec.encode,
        codec.decode,
        name="stablecodec",
        version=commit,
        parameters={"weights": "sha256:" + weights.file_sha256(options.codec)[:12], "recipe_tools": digest()},
        device="cuda:" + torch.cuda.get_device_name(),
        packages=("numpy", "torch", "compressai", "diffusers"),
    )


if __name__ == "__main__":
    main()

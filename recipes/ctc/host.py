"""CTC, progressive coding by trit planes, as a host of the codec `remote`; see README.md. It was not run.

    python host.py --repository CTC --checkpoint CTC/ctc.pt

A file has, as numbers of seven bits a byte: height and width of the image, and the string of the hyperlatents with its
length; then of each trit plane the number of its strings, and each of them with its length. The prefix up to the end
of a plane is the file of a picture.
"""

import argparse
import functools
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from recipe_tools import digest, fields, pictures, rans, weights
from recipe_tools.repository import use_repository
from uqdm_codec_host import StreamError, serve

STEP = 64
MOST_PLANES = 64
MOST_STRINGS = 48
"""Of a plane: CTC cuts its last planes into so many parts at most."""


class Codec:
    """The network with files; CTC's own functions are imported once its clone is on the path."""

    def __init__(self, net, device):
        self.net = net.to(device)
        self.device = device
        self.least_bits = rans.least_bits(net.entropy_bottleneck)
        rans.check_strings(net)

    @torch.no_grad()
    def encode(self, image):
        """The file of an image, uint8 [H, W, 3]."""
        from utils import pad

        height, width = image.shape[:2]
        planes, (hyperlatents,), _ = self.net.encode_ctc(pad(pictures.to_tensor(image, self.device), STEP))[:3]
        start = fields.number(height) + fields.number(width) + fields.part(hyperlatents)
        return start + b"".join(fields.number(len(plane)) + b"".join(map(fields.part, plane)) for plane in planes)

    def points(self, stream):
        """Names and lengths of the prefixes that end with a plane."""
        _, _, planes = read(stream)
        return [("plane {}".format(number), end) for number, (_, end) in enumerate(planes, 1)]

    @torch.no_grad()
    def decode(self, stream):
        """The image of a file, or of a prefix that ends with a plane; raises StreamError for a damaged one."""
        from utils import crop

        size, hyperlatents, planes = read(stream)
        rows, columns = (-(-side // STEP) for side in size)
        rans.check_places(hyperlatents, rows * columns, self.least_bits, "string of hyperlatents")
        strings = [string for plane, _ in planes for string in plane]
        decoded = self._decode(strings, hyperlatents, rows, columns)
        return pictures.to_image(crop(decoded, size))

    def _decode(self, strings, hyperlatents, rows, columns):
        from models import utils_trit_plane

        made = []
        symbols = self.net.M * rows * columns * 16
        utils_trit_plane.RansDecoder = functools.partial(_noted_decoder, made, symbols)
        with tempfile.TemporaryDirectory() as folder:  # CTC reads each string from a file
            paths = [Path(folder) / "{:03d}.bin".format(number) for number in range(len(strings))]
            for path, string in zip(paths, strings):
                path.write_bytes(string)
            decoded, _ = self.net.decode_ctc(list(map(str, paths)), hyperlatents, (rows, columns))
        for decoder in made:
            decoder.check_end()
        return decoded


def _noted_decoder(made, symbols):
    made.append(rans.CheckedRansDecoder(symbols))
    return made[-1]


def read(stream):
    """Size, string of the hyperlatents, and planes of a file: the strings of each, and the byte at which it ends."""
    reader = fields.Reader(stream)
    size = reader.size()
    hyperlatents = reader.part("string of hyperlatents")
    planes = []
    while not reader.at_end():
        count = reader.number("number of strings", 1, MOST_STRINGS)
        planes.append(
            ([reader.part("string of plane {}".format(len(planes) + 1)) for _ in range(count)], reader.position)
        )
    if not 1 <= len(planes) <= MOST_PLANES:
        raise StreamError("it has {} planes, not 1 to {}".format(len(planes), MOST_PLANES))
    return size, hyperlatents, planes


def main():
    """Serves the network."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repository", required=True, help="a clone of CTC")
    parser.add_argument("--checkpoint", required=True, help="its weights, ctc.pt")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda")
    options = parser.parse_args()
    torch.set_num_threads(1)
    commit = use_repository(options.repository, "codec.py", "models/ctc/ctc.py")
    from models import model_CTC

    found, digits = weights.read_weights(options.checkpoint)
    net = model_CTC(N=192).eval()
    net.load_state_dict(found["state_dict"])
    net.update()
    codec = Codec(net, options.device)
    on_gpu = options.device.startswith("cuda")
    serve(
        codec.encode,
        codec.decode,
        name="ctc",
        version=commit,
        parameters={"weights": "sha256:" + digits, "recipe_tools": digest()},
        points=codec.points,
        device="cuda:" + torch.cuda.get_device_name() if on_gpu else "cpu",
        packages=("numpy", "torch", "compressai"),
    )


if __name__ == "__main__":
    main()

"""The image codec of DCVC-UF as a host of the codec `remote`; see README.md. It was not run.

    python host.py --repository DCVC --checkpoint cvpr2026_image.pth.tar --qp 32

A file has, as numbers of seven bits a byte: height and width of the image, the quantization parameter and the number of
the coder's lanes; then DCVC-UF's bitstream.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from recipe_tools import digest, fields, pictures, weights
from recipe_tools.repository import use_repository
from uqdm_codec_host import serve

STEP = 16
MOST_LANES = 127


class Codec:
    """The network by its CUDA kernels, in float16."""

    def __init__(self, net, qp):
        from inference_extensions_cuda import DMCIProxy

        self.net = net
        self.qp = qp
        net.proxy = DMCIProxy()  # DCVC-UF makes it when it first encodes, and a decoder may not have
        net.proxy.set_param(net.add_cdf_to_state_dict(net.state_dict()), net.gaussian_encoder.skip_thres)

    @torch.inference_mode()
    def encode(self, image):
        """The file of an image, uint8 [H, W, 3]."""
        from src.utils.transforms import rgb2ycbcr

        height, width = image.shape[:2]
        right, below = self.net.get_padding_size(height, width, STEP)
        values = (rgb2ycbcr(pictures.to_tensor(image, "cuda")) - 0.5).half()
        found = self.net.compress(values, self.qp, below, right)
        numbers = (height, width, self.qp, int(found["ec_parallel"]))
        return b"".join(map(fields.number, numbers)) + found["bit_stream"]

    @torch.inference_mode()
    def decode(self, stream):
        """The image of a file."""
        from src.utils.transforms import ycbcr2rgb

        reader = fields.Reader(stream)
        height, width = reader.size()
        qp = reader.number("quantization parameter", 0, self.net.qp_num() - 1)
        lanes = reader.number("number of lanes", 0, MOST_LANES)
        size = {"height": height, "width": width}
        decoded = self.net.decompress(stream[reader.position :], size, qp, lanes)["x_hat"]
        return pictures.to_image(ycbcr2rgb(decoded[:, :, :height, :width].float() + 0.5))


def main():
    """Serves one quantization parameter."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repository", required=True, help="a clone of DCVC")
    parser.add_argument("--checkpoint", required=True, help="cvpr2026_image.pth.tar")
    parser.add_argument("--qp", type=int, required=True, choices=range(64), metavar="QP", help="0 to 63, the finest")
    parser.add_argument("--skip", type=float, default=0.15, help="threshold below which latents are not coded")
    options = parser.parse_args()
    commit = use_repository(options.repository, "src/models/image_model.py")
    from src.models.image_model import DMCI
    from src.utils.common import set_torch_env

    set_torch_env()
    found, digits = weights.read_weights(options.checkpoint)
    net = DMCI().eval()
    net.load_state_dict({name.replace("module.", "", 1): one for name, one in found.get("state_dict", found).items()})
    net.update(options.skip)
    codec = Codec(net.cuda().half(), options.qp)
    serve(
        codec.encode,
        codec.decode,
        name="dcvc-uf-intra",
        version=commit,
        parameters={
            "qp": options.qp,
            "skip": options.skip,
            "weights": "sha256:" + digits,
            "recipe_tools": digest(),
        },
        device="cuda:" + torch.cuda.get_device_name(),
        packages=("numpy", "torch"),
    )


if __name__ == "__main__":
    main()

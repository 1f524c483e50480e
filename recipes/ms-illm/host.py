"""MS-ILLM of NeuralCompression as a host of the codec `remote`; see README.md beside it.

    python host.py --checkpoint FOLDER_OF_THE_ZOO --rate 0.14

A file has, as numbers of seven bits a byte: height and width of the image, and the strings of latents and of the
hyperlatents with their lengths. Sizes of the latents follow from those of the image.
"""

import argparse
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from neuralcompression import HyperpriorCompressedOutput
from neuralcompression.models import HiFiCAutoencoder
from recipe_tools import digest, fields, pictures, rans, weights
from uqdm_codec_host import serve

STEP = 64
"""Both sides of an image are padded to multiples of it, by the network itself."""
SPREAD = 4
"""Factor of the last weights of an encoder without training, so that its latents are not all rounded to 0."""


class Codec:
    """The network with files. One image at a time: in a batch its sums, and so its bytes, would differ.

    What the entropy coder depends on is computed on the processor, as NeuralCompression does it; encoder and decoder
    of pictures are on ``device``.
    """

    def __init__(self, net, device):
        self.net = net.to(device)
        net.update_tensor_devices("compress")
        self.device = device
        self.least_bits = rans.least_bits(net.hyper_bottleneck)
        rans.check_strings(net)

    @torch.inference_mode()
    def encode(self, image):
        """The file of an image, uint8 [H, W, 3]."""
        height, width = image.shape[:2]
        found = self.net.compress(padded_if_small(pictures.to_tensor(image, self.device)), force_cpu=False)
        ((latents,), (hyperlatents,)) = (found.latent_strings, found.hyper_latent_strings)
        return fields.number(height) + fields.number(width) + fields.part(latents) + fields.part(hyperlatents)

    @torch.inference_mode()
    def decode(self, stream):
        """The image of a file; raises StreamError for one that is damaged."""
        reader = fields.Reader(stream)
        height, width = reader.size()
        latents, hyperlatents = reader.part("latents"), reader.part("hyperlatents")
        reader.end()
        padded = tuple(-(-side // STEP) * STEP for side in (height, width))
        places = padded[0] // STEP * (padded[1] // STEP)
        rans.check_places(hyperlatents, places, self.least_bits, "hyperlatents")
        found = HyperpriorCompressedOutput(
            latent_strings=[latents],
            hyper_latent_strings=[hyperlatents],
            image_size=(height, width),
            padded_size=padded,
        )
        return pictures.to_image(self.net.decompress(found, force_cpu=False))


def padded_if_small(image):
    """An image [1, 3, H, W]; one that is too small for the network's padding by reflection gets its edges repeated."""
    missing = [-side % STEP for side in image.shape[2:]]
    if all(amount < side for amount, side in zip(missing, image.shape[2:])):
        return image
    return torch.nn.functional.pad(image, (0, missing[1], 0, missing[0]), mode="replicate")


def load(options):
    """The network of the options, and what identifies its weights."""
    torch.manual_seed(options.random_weights or 0)
    net = HiFiCAutoencoder().eval()
    if options.checkpoint:
        path = weights.path_in(options.checkpoint, "msillm_target_{}bpp.ckpt".format(options.rate))
        found, digits = weights.read_weights(path)
        try:
            net.load_state_dict(found)
        except (KeyError, RuntimeError) as error:
            raise SystemExit("{} is no MS-ILLM: {}".format(options.checkpoint, error)) from error
        return net, "sha256:" + digits
    with torch.no_grad():
        [one for one in net.encoder.modules() if isinstance(one, torch.nn.Conv2d)][-1].weight.mul_(SPREAD)
    return net, "random {} sha256:{}".format(options.random_weights, weights.tensors_sha256(net.state_dict()))


def read_options(arguments=None):
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--checkpoint", metavar="PATH", help="a file of weights, or a folder with those of the zoo")
    given.add_argument("--random-weights", type=int, metavar="SEED", help="for tests: pictures are noise")
    parser.add_argument("--rate", default="0.14", help="of the file in a folder: 0.035, 0.07, 0.14, 0.3, 0.45 or 0.9")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda")
    parser.add_argument("--threads", type=int, default=1, help="of a processor; bytes may depend on it")
    return parser.parse_args(arguments)


def main():
    """Serves one network."""
    options = read_options()
    torch.set_num_threads(options.threads)
    net, identity = load(options)
    codec = Codec(net, options.device)
    on_gpu = options.device.startswith("cuda")
    serve(
        codec.encode,
        codec.decode,
        name="ms-illm",
        version=version("neuralcompression"),
        parameters={
            "compressai": version("compressai"),
            "weights": identity,
            "threads": options.threads,
            "recipe_tools": digest(),
        },
        device="cuda:" + torch.cuda.get_device_name() if on_gpu else "cpu",
        packages=("numpy", "torch"),
    )


if __name__ == "__main__":
    main()

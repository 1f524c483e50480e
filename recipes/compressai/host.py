"""CompressAI's learned codecs as a host of the codec `remote`; see README.md beside it.

    python host.py --model mbt2018-mean --quality 3 --checkpoint FOLDER_OF_THE_ZOO

A file has, as numbers of seven bits a byte: height and width of the image, and each string with its length. Sizes of
the latents follow from those of the image.
"""

import argparse
import functools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import compressai
import torch
from compressai.models import google
from compressai.ops import compute_padding
from compressai.registry import MODELS
from compressai.zoo import load_state_dict
from compressai.zoo.image import cfgs, model_urls
from recipe_tools import digest, fields, pictures, rans, weights
from uqdm_codec_host import serve

NAMES = (
    "bmshj2018-factorized",
    "bmshj2018-factorized-relu",
    "bmshj2018-hyperprior",
    "mbt2018-mean",
    "mbt2018",
    "cheng2020-anchor",
    "cheng2020-attn",
)

SPREAD = 8
"""Factor of the weights of the last strided convolution of an analysis transform without training."""


class Codec:
    """A network of CompressAI with files. One image at a time: in a batch its sums, and so its bytes, would differ."""

    def __init__(self, net, device):
        self.net = net
        self.device = device
        self.step = net.downsampling_factor
        self.has_hyperprior = hasattr(net, "gaussian_conditional")
        self.least_bits = rans.least_bits(net.entropy_bottleneck)
        rans.check_strings(net)

    @torch.inference_mode()
    def encode(self, image):
        """The file of an image, uint8 [H, W, 3]."""
        height, width = image.shape[:2]
        padding, _ = compute_padding(height, width, min_div=self.step)
        padded = torch.nn.functional.pad(pictures.to_tensor(image, self.device), padding)  # as CompressAI's evaluation
        strings = [string for (string,) in self.net.compress(padded)["strings"]]
        return fields.number(height) + fields.number(width) + b"".join(map(fields.part, strings))

    @torch.inference_mode()
    def decode(self, stream):
        """The image of a file; raises StreamError for one that is damaged."""
        reader = fields.Reader(stream)
        height, width = reader.size()
        strings = [reader.part("string {}".format(place)) for place in range(2 if self.has_hyperprior else 1)]
        reader.end()
        rows, columns = (-(-side // self.step) for side in (height, width))
        rans.check_places(strings[-1], rows * columns, self.least_bits, "last string")
        _, unpadding = compute_padding(height, width, min_div=self.step)
        decoded = self._decompress([[string] for string in strings], rows, columns)
        return pictures.to_image(torch.nn.functional.pad(decoded, unpadding))

    def _decompress(self, strings, rows, columns):
        made = []
        # The models with a context make decoders themselves, one for each string.
        symbols = self.net.M * rows * columns * (self.step // 16) ** 2
        google.RansDecoder = functools.partial(_noted_decoder, made, symbols)
        decoded = self.net.decompress(strings, (rows, columns))["x_hat"]
        for decoder in made:
            decoder.check_end()
        return decoded


def _noted_decoder(made, symbols):
    made.append(rans.CheckedRansDecoder(symbols))
    return made[-1]


def load(options):
    """The network of the options, ready to code, and what identifies its weights."""
    if options.checkpoint:
        found, digits = weights.read_weights(checkpoint_path(options))
        try:
            net = MODELS[options.model].from_state_dict(load_state_dict(found.get("state_dict", found)))
        except (AttributeError, KeyError, RuntimeError) as error:
            raise SystemExit("{} is no {}: {}".format(options.checkpoint, options.model, error)) from error
        identity = "sha256:" + digits
    else:
        torch.manual_seed(options.random_weights)
        net = spread(MODELS[options.model](*cfgs[options.model][options.quality]))
        identity = "random {} sha256:{}".format(options.random_weights, weights.tensors_sha256(net.state_dict()))
    net.update(force=options.new_tables)  # keeps the tables of a checkpoint: others may not decode its files
    return net.eval().to(options.device), identity


def checkpoint_path(options):
    """The file of weights: the one that is named, or in a folder the zoo's file of this model, metric and quality."""
    addresses = model_urls.get(options.model, {}).get(options.metric, {})
    if options.quality not in addresses and Path(options.checkpoint).is_dir():
        raise SystemExit("the zoo has no weights of {}: name a file by --checkpoint".format(options.model))
    return weights.path_in(options.checkpoint, addresses.get(options.quality, "").rpartition("/")[2])


def spread(net):
    """A network without training whose latents are not all rounded to 0, so that its files have something to hold."""
    strided = [one for one in net.g_a.modules() if isinstance(one, torch.nn.Conv2d) and one.stride == (2, 2)]
    with torch.no_grad():
        strided[-1].weight.mul_(SPREAD)
    return net


def read_options(arguments=None):
    """The options of the command line; exits with a message for those that do not go together."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", choices=NAMES, required=True)
    parser.add_argument("--quality", type=int, default=1, help="of the zoo; for a file of yours, a name")
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--checkpoint", metavar="PATH", help="a file of weights, or a folder with those of the zoo")
    given.add_argument("--random-weights", type=int, metavar="SEED", help="for tests: pictures are noise")
    parser.add_argument("--metric", choices=("mse", "ms-ssim"), default="mse", help="that the weights were trained for")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda")
    parser.add_argument("--threads", type=int, default=1, help="of a processor; bytes may depend on it")
    parser.add_argument(
        "--new-tables", action="store_true", help="compute the coder's tables, even if the file has some"
    )
    options = parser.parse_args(arguments)
    if options.quality not in cfgs[options.model]:
        known = "{} to {}".format(min(cfgs[options.model]), max(cfgs[options.model]))
        parser.error("--quality {}: {} has {}".format(options.quality, options.model, known))
    return options


def use_exact_arithmetic(threads):
    """Sums in one order, as far as torch offers it: the decoder repeats what the encoder computed."""
    torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def parameters_of(options, identity):
    """What stands in the version beside name and versions of packages."""
    return {
        "model": options.model,
        "quality": options.quality,
        "metric": options.metric,
        "weights": identity,
        "threads": options.threads,
        "recipe_tools": digest(),
    }


def main():
    """Serves one model."""
    options = read_options()
    use_exact_arithmetic(options.threads)
    net, identity = load(options)
    codec = Codec(net, options.device)
    on_gpu = options.device.startswith("cuda")
    serve(
        codec.encode,
        codec.decode,
        name="compressai",
        version=compressai.__version__,
        parameters=parameters_of(options, identity),
        device="cuda:" + torch.cuda.get_device_name() if on_gpu else "cpu",
        packages=("numpy", "torch"),
    )


if __name__ == "__main__":
    main()

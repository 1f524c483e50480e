"""DiffC with Stable Diffusion as a host of the codec `remote`; see README.md. It was not run.

    python host.py --repository diffc --config configs/SD-1.5-base.yaml --timestep 200

A file has, as numbers of seven bits a byte: height and width of the image and the number of steps that were sent; then
DiffC's own bytes, the seeds of the channel simulation.
"""

import argparse
import contextlib
import os
import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from recipe_tools import digest, fields, pictures, weights
from recipe_tools.repository import use_repository
from uqdm_codec_host import Stream, StreamError, serve

STEP = 64
"""Sides are padded to multiples of it: 8 of the autoencoder, and 8 of the network of latents."""
MODELS = {
    "SD1.5": ("lib.models.SD15", "SD15Model"),
    "SD2.1": ("lib.models.SD21", "SD21Model"),
    "SDXL": ("lib.models.SDXL", "SDXLModel"),
    "Flux": ("lib.models.Flux", "FluxModel"),
}


class Codec:
    """Sends the process down to a time step, and denoises from there."""

    def __init__(self, config, timestep):
        from lib.diffc.rcc.gaussian_channel_simulator import GaussianChannelSimulator

        module, name = MODELS[config["model"]]
        self.model = getattr(import_module(module), name)()
        self.simulator = GaussianChannelSimulator(config["max_chunk_size"], config["chunk_padding"])
        self.timesteps = config["encoding_timesteps"]
        self.later_timesteps = config["denoising_timesteps"]
        self.costs_bits = config["manual_dkl_per_step"]
        self.timestep = timestep

    def _configure(self, height, width):
        """Prepares the model for a size, with an empty caption, and the random numbers that it draws."""
        import cupy

        torch.manual_seed(0)
        cupy.random.seed(0)
        self.model.configure("", 0, width, height)

    @torch.no_grad()
    def encode(self, image):
        """The file of an image, uint8 [H, W, 3]; its ideal bits are the divergences that the configuration fixes."""
        from lib import image_utils
        from lib.diffc.encode import encode

        height, width = image.shape[:2]
        padded = np.pad(image, ((0, -height % STEP), (0, -width % STEP), (0, 0)), mode="edge")
        self._configure(*padded.shape[:2])
        latents = self.model.image_to_latent(image_utils.np_to_torch_img(padded))
        with contextlib.redirect_stdout(sys.stderr):
            seeds, costs, _, steps = encode(
                latents, self.timesteps, self.model, self.simulator, self.costs_bits, [self.timestep]
            )
        sent = steps[0] + 1
        data = bytes(self.simulator.compress_chunk_seeds(seeds[:sent], costs[:sent]))
        start = fields.number(height) + fields.number(width) + fields.number(sent)
        return Stream(start + data, float(sum(costs[:sent])))

    @torch.no_grad()
    def decode(self, stream):
        """The image of a file."""
        from lib.diffc.decode import decode
        from lib.diffc.denoise import denoise

        reader = fields.Reader(stream)
        height, width = reader.size()
        sent = reader.number("number of steps", 1, len(self.timesteps))
        rows, columns = (-(-side // STEP) * STEP for side in (height, width))
        costs = self.costs_bits[:sent]
        try:
            seeds = self.simulator.decompress_chunk_seeds(list(stream[reader.position :]), costs)
        except (IndexError, OverflowError, ValueError) as error:
            raise StreamError("its seeds cannot be read: {}".format(error)) from error
        self._configure(rows, columns)
        latents = decode(columns, rows, self.timesteps, self.model, self.simulator, seeds, costs, seed=0)
        latents = denoise(latents, self.timesteps[sent - 1], self.later_timesteps, self.model)
        return pictures.to_image(self.model.latent_to_image(latents).float()[:, :, :height, :width])


def read_config(path):
    """A configuration of DiffC; exits with a message for one that makes no files."""
    import yaml

    config = yaml.safe_load(Path(path).read_text())
    if config.get("manual_dkl_per_step") is None:
        raise SystemExit("{}: set manual_dkl_per_step, which the decoder needs (README.md)".format(path))
    if config["encoding_guidance_scale"] or config["denoising_guidance_scale"]:
        raise SystemExit("{}: this host sends no captions: set both guidance scales to 0".format(path))
    return config


def main():
    """Serves one time step."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repository", required=True, help="a clone of DiffC")
    parser.add_argument("--config", required=True, help="configuration, relative to the clone")
    parser.add_argument("--timestep", type=int, required=True, help="that is sent, 1 to 999: a low one has more bits")
    options = parser.parse_args()
    commit = use_repository(options.repository, "lib/diffc/encode.py", options.config)
    os.chdir(options.repository)  # it opens its kernels by a relative path
    config = read_config(options.config)
    with contextlib.redirect_stdout(sys.stderr):
        codec = Codec(config, options.timestep)
    serve(
        codec.encode,
        codec.decode,
        name="diffc",
        version=commit,
        parameters={
            "model": config["model"],
            "config": "sha256:" + weights.file_sha256(options.config)[:12],
            "timestep": options.timestep,
            "recipe_tools": digest(),
        },
        device="cuda:" + torch.cuda.get_device_name(),
        packages=("numpy", "torch", "cupy", "diffusers"),
    )


if __name__ == "__main__":
    main()

"""CDC, conditional diffusion, as a host of the codec `remote-estimate`; see README.md. It was not run.

    python host.py --repository CDC_compression --checkpoint WEIGHTS --parameterization x --lpips-weight 0.9

CDC has no entropy coder: its rate is an estimate. The record that stands in for a file has height and width of the
image as numbers of seven bits a byte, and the rounded latents in float32.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from recipe_tools import digest, fields, pictures, weights
from recipe_tools.repository import use_repository
from uqdm_codec_host import Stream, StreamError, serve

STEP = 64
CHANNELS = 256
"""Of the latents, at a 16th of the image's size."""
STEPS = {"x": 65, "epsilon": 250}
"""Steps of the decoder that CDC's own scripts take."""


class Codec:
    """The network of one parameterization; ``gamma`` is the share of noise that decoding begins with."""

    def __init__(self, net, device, parameterization, steps, gamma):
        self.net = net.to(device)
        self.device = device
        self.parameterization = parameterization
        self.steps = steps
        self.gamma = gamma

    @torch.no_grad()
    def encode(self, image):
        """A record of an image, uint8 [H, W, 3], with the estimate of its bits."""
        height, width = image.shape[:2]
        padded = torch.nn.functional.pad(
            pictures.to_tensor(image, self.device), (0, -width % STEP, 0, -height % STEP), mode="replicate"
        )
        found = self.net.context_fn(padded * 2 - 1)
        bits = float(found["bpp"][0]) * padded.shape[2] * padded.shape[3]
        latents = found["q_latent"].cpu().numpy().astype("<f4")
        return Stream(fields.number(height) + fields.number(width) + latents.tobytes(), bits)

    @torch.no_grad()
    def decode(self, record):
        """The image of a record; its noise is the same in every call."""
        reader = fields.Reader(record)
        height, width = reader.size()
        rows, columns = (-(-side // STEP) * STEP for side in (height, width))
        values = np.frombuffer(record[reader.position :], "<f4")
        if values.size != CHANNELS * rows * columns // 256:
            raise StreamError("it has {} latents for {} x {} pixels".format(values.size, height, width))
        latents = torch.from_numpy(values.reshape(1, CHANNELS, rows // 16, columns // 16).copy()).to(self.device)
        noise = torch.randn((1, 3, rows, columns), generator=torch.Generator().manual_seed(0)) * self.gamma
        decoded = self._sample(self.net.context_fn.decode(latents), noise.to(self.device))
        return pictures.to_image(decoded[:, :, :height, :width] / 2 + 0.5)

    def _sample(self, context, noise):
        self.net.set_sample_schedule(self.steps, torch.device(self.device))
        if self.parameterization == "x":
            return self.net.p_sample_loop(noise.shape, context, clip_denoised=True, init=noise)
        return self.net.p_sample_loop(noise.shape, context, "ddim", init=noise)


def load_x(found, lpips_weight):
    """The network that predicts pictures, with averaged weights."""
    from ema_pytorch import EMA
    from modules.compress_modules import ResnetCompressor
    from modules.denoising_diffusion import GaussianDiffusion
    from modules.unet import Unet

    net = GaussianDiffusion(
        denoise_fn=Unet(
            dim=64,
            channels=3,
            context_channels=64,
            dim_mults=[1, 2, 3, 4, 5, 6],
            context_dim_mults=[1, 2, 3, 4],
            embd_type="01",
        ),
        context_fn=ResnetCompressor(
            dim=64,
            dim_mults=[1, 2, 3, 4],
            reverse_dim_mults=[4, 3, 2, 1],
            hyper_dims_mults=[4, 4, 4],
            channels=3,
            out_channels=64,
        ),
        num_timesteps=8193,
        pred_mode="x",
        var_schedule="cosine",
        aux_loss_weight=lpips_weight,
        aux_loss_type="lpips",
    )
    averaged = EMA(net, beta=0.999, update_every=10, power=0.75, update_after_step=100)
    averaged.load_state_dict(found["ema"])
    return averaged.ema_model


def load_epsilon(found, lpips_weight):
    """The network that predicts noise."""
    from modules.compress_modules import BigCompressor
    from modules.denoising_diffusion import GaussianDiffusion
    from modules.unet import Unet

    net = GaussianDiffusion(
        denoise_fn=Unet(
            dim=64,
            channels=3,
            context_channels=3,
            dim_mults=(1, 2, 3, 4, 5, 6),
            context_dim_mults=(1, 2, 3, 4),
        ),
        context_fn=BigCompressor(
            dim=64,
            dim_mults=(1, 2, 3, 4),
            hyper_dims_mults=(4, 4, 4),
            channels=3,
            out_channels=3,
            vbr=False,
        ),
        num_timesteps=20000,
        clip_noise="none",
        pred_mode="noise",
        var_schedule="linear",
        aux_loss_weight=lpips_weight,
        aux_loss_type="lpips",
    )
    net.load_state_dict(found["model"])
    return net


LOADERS = {"x": load_x, "epsilon": load_epsilon}


def main():
    """Serves one network."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repository", required=True, help="a clone of CDC_compression")
    parser.add_argument("--checkpoint", required=True, help="weights of the parameterization, or their folder")
    parser.add_argument("--file", default="", help="its name, if --checkpoint is a folder")
    parser.add_argument("--parameterization", choices=sorted(LOADERS), required=True, help="what the network predicts")
    parser.add_argument("--lpips-weight", type=float, choices=(0.0, 0.9), required=True, help="that of the weights")
    parser.add_argument("--steps", type=int, help="of the decoder; by default as CDC's scripts")
    parser.add_argument("--gamma", type=float, default=0.8, help="share of noise at the begin; 0 for none")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu")
    options = parser.parse_args()
    folder = Path(options.repository, options.parameterization + "param")
    commit = use_repository(folder, "modules/denoising_diffusion.py")
    found, digits = weights.read_weights(weights.path_in(options.checkpoint, options.file))
    net = LOADERS[options.parameterization](found, options.lpips_weight).eval()
    steps = options.steps or STEPS[options.parameterization]
    codec = Codec(net, options.device, options.parameterization, steps, options.gamma)
    on_gpu = options.device.startswith("cuda")
    serve(
        codec.encode,
        codec.decode,
        name="cdc",
        version=commit,
        parameters={
            "parameterization": options.parameterization,
            "weights": "sha256:" + digits,
            "steps": steps,
            "gamma": options.gamma,
            "recipe_tools": digest(),
        },
        estimate=True,
        device="cuda:" + torch.cuda.get_device_name() if on_gpu else "cpu",
        packages=("numpy", "torch", "compressai"),
    )


if __name__ == "__main__":
    main()

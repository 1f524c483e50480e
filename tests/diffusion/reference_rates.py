"""``python reference_rates.py MODEL WEIGHTS IMAGES COUNT OUT``: bits per dimension per step, with the authors' noise.

It is a separate process, since torch chooses its instruction set once, at first use.
"""

import sys

import numpy as np
import torch

from uqdm.diffusion.images import to_data
from uqdm.diffusion.process import last_stage_bits, transmit
from uqdm.model.checkpoint import load

# Seeds of z_T and of the dither of each step: hash((0, j)) mod 2^32, j = 0..4, of CPython's tuples, which is what
# their code forks torch's generator with.
REFERENCE_SEEDS = (397586535, 16979904, 3832001682, 3451395051, 3070788420)


def reference_noise(index, shape):
    generator = torch.Generator().manual_seed(REFERENCE_SEEDS[index])
    noise = torch.randn(shape, generator=generator) if index == 0 else torch.rand(shape, generator=generator) - 0.5
    return noise.double()


def rates(model, images):
    """Bits per dimension, [image, step], in float64: networks in float32 differ between processors."""
    model.denoiser.double()
    rows = []
    for image in images:
        x = to_data(image[None]).double()
        sent = list(transmit(model.denoiser, model.schedule, x, reference_noise, around_mean=True))
        bits = [one.bits.sum() for one in sent]
        last = last_stage_bits(x, sent[-1].z_s, sent[-1].step).sum()
        rows.append([float(one) / x.numel() for one in (*bits, last)])
    return np.array(rows, np.float32)


if __name__ == "__main__":
    folder, weights, archive, count, out = sys.argv[1:]
    torch.set_num_threads(1)
    np.save(out, rates(load(folder, weights), np.load(archive)["eval"][: int(count)]))

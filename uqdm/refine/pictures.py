"""Pictures of conditions, uint8: means and samples by a model of a second stage, for images of any size."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from uqdm.arithmetic import float32_arithmetic
from uqdm.diffusion.images import to_data, to_uint8
from uqdm.refine import flow
from uqdm.refine.conditions import Conditions
from uqdm.refine.model import RefineModel
from uqdm.refine.network import CHANNELS, RefineNetwork


@float32_arithmetic()
def mean(model: RefineModel, conditions: Conditions, height: int, width: int) -> np.ndarray:
    """Estimates of the mean of the images that fit each condition, uint8 [n, H, W, 3]."""
    condition, rates, shape = _inputs(model, conditions, height, width)
    found = flow.mean(model.network, condition, rates, torch.zeros(shape, device=model.device))
    return to_uint8(found[:, :, :height, :width])


@float32_arithmetic()
def sample(
    model: RefineModel,
    conditions: Conditions,
    generators: Sequence[np.random.Generator],
    height: int,
    width: int,
    n_steps: int,
) -> np.ndarray:
    """One sample of the images that fit each condition, uint8 [n, H, W, 3]; noise from a generator each."""
    condition, rates, shape = _inputs(model, conditions, height, width)
    drawn = np.stack([generator.standard_normal(shape[1:], np.float32) for generator in generators])
    found = flow.sample(model.network, condition, rates, torch.from_numpy(drawn).to(model.device), n_steps)
    return to_uint8(found[:, :, :height, :width])


def padded(length: int, n_halvings: int) -> int:
    """The next length that can be halved so often.

    >>> padded(64, 3), padded(65, 3)
    (64, 72)
    """
    unit = 1 << n_halvings
    return -(-length // unit) * unit


def _inputs(
    model: RefineModel, conditions: Conditions, height: int, width: int
) -> tuple[torch.Tensor, torch.Tensor, tuple[int, int, int, int]]:
    """Condition and rates as tensors, and the shape of data whose sides can be halved as the network needs it."""
    rates = torch.from_numpy(conditions.log2_bpp).to(model.device)
    if conditions.latents is not None:
        latents = torch.from_numpy(conditions.latents).to(model.device)
        stride = model.network.latent_synthesis.stride[0]
        shape = (len(latents), CHANNELS, latents.shape[2] * int(stride), latents.shape[3] * int(stride))
        return latents, rates, shape
    assert conditions.pictures_uint8 is not None
    unit = model.network.n_halvings
    sides = padded(height, unit), padded(width, unit)
    data = to_data(conditions.pictures_uint8).to(model.device)
    more = (0, sides[1] - width, 0, sides[0] - height)
    return F.pad(data, more, mode="replicate"), rates, (len(data), CHANNELS, *sides)


@float32_arithmetic()
def multiply_accumulates(network: RefineNetwork, height: int, width: int) -> int:
    """Multiply-accumulates of one call for a picture; nothing is computed.

    Those of the latents' transposed convolution are included, though a sample needs it once only.
    """
    shapes = copy.deepcopy(network).to("meta")
    sides = [padded(side, max(network.n_halvings, 4 if network.latent_channels else 0)) for side in (height, width)]
    image = torch.zeros(1, CHANNELS, *sides, device="meta")
    condition = image
    if network.latent_channels:
        stride = int(network.latent_synthesis.stride[0])
        condition = torch.zeros(1, network.latent_channels, sides[0] // stride, sides[1] // stride, device="meta")
    number = torch.zeros(1, device="meta")
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        shapes(image, number, shapes.given(condition), number)
    return int(counter.get_total_flops()) // 2

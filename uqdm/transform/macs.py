"""Multiply-accumulates of the decoder's convolutions, counted by torch on shapes alone."""

from __future__ import annotations

import copy

import torch
from torch.utils.flop_counter import FlopCounterMode

from uqdm.transform.contract import Transforms


def decoder_macs(transforms: Transforms, height: int, width: int) -> int:
    """Those of synthesis and of the densities, for an image padded to ``height`` x ``width`` pixels.

    GDN's products with gamma are convolutions, too.

    >>> from uqdm.transform.hyperpriors import FACTORIZED, HyperpriorTransforms, Shape
    >>> transforms = HyperpriorTransforms(Shape(FACTORIZED, 8, 12))
    >>> decoder_macs(transforms, 32, 64) == 2 * decoder_macs(transforms, 32, 32)
    True
    """
    counter = FlopCounterMode(display=False)
    shapes = copy.deepcopy(transforms).to("meta")
    with torch.device("meta"), torch.inference_mode(), counter:
        level = torch.zeros(1, dtype=torch.int64)
        stride = transforms.latent_stride
        latents = torch.empty(1, transforms.channels, height // stride, width // stride)
        shapes.synthesis(latents, level)
        if transforms.side_channels:
            stride = transforms.stride
            side = torch.empty(1, transforms.side_channels, height // stride, width // stride)
            features, start = shapes.features(side, level), 0
            for index, count in enumerate(transforms.sections):
                shapes.section(index, features, latents[:, :start], level)
                start += count
    return counter.get_total_flops() // 2

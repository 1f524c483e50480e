"""Multiply-accumulates of the decoder's convolutions, counted by torch on shapes alone."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from baselines.hyperprior.networks import FACTORIZED, Shape, Transforms


def decoder_macs(shape: Shape, height: int, width: int) -> int:
    """Those of synthesis and hyper synthesis for a padded image; GDN's products with gamma are convolutions, too.

    >>> decoder_macs(Shape(FACTORIZED, 8, 12), 32, 64) == 2 * decoder_macs(Shape(FACTORIZED, 8, 12), 32, 32)
    True
    """
    with torch.device("meta"), torch.inference_mode():
        transforms = Transforms(shape)
        counter = FlopCounterMode(display=False)
        with counter:
            transforms.synthesis(torch.empty(1, shape.m, height // 16, width // 16))
            if shape.architecture != FACTORIZED:
                transforms.hyper_synthesis(torch.empty(1, shape.n, height // 64, width // 64))
    return counter.get_total_flops() // 2

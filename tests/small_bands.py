"""Models of a process in bands that are so small that coding with them takes milliseconds."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from uqdm.banded import model as banded
from uqdm.progressive.banded.compressor import BandedUQDM

GOLDEN_MODEL = Path(__file__).parent / "progressive" / "banded" / "golden-v3-model"
GOLDEN_FILE = GOLDEN_MODEL.with_name("golden-v3.uqdm")
SIGMAS = (90.0, 40.0, 15.0)


def small_bands_config(image_size: int = 16, sigmas: Sequence[float] = SIGMAS, width: int = 9) -> dict[str, Any]:
    late = {"width": 4, "dilations": [1], "hidden": 4}
    bands = {"width": 4, "depth": 1, "hidden": 4, "refine": 4, "refine_depth": 1}
    return {
        "image_size": image_size,
        "banded": {"sigmas": list(sigmas), "pixel_width": width, "bands": bands, "late": [late, late]},
    }


def small_bands_model(name: str = "small-bands", seed: int = 0, **options: Any) -> banded.BandedModel:
    """A model with random weights, none of them 0; options are those of :func:`small_bands_config`."""
    config = small_bands_config(**options)
    networks = banded.build(config, name)
    words = np.random.Philox(key=seed)  # its raw words are the same in every version of the library
    with torch.no_grad():
        for weights in networks.parameters():
            uniform = words.random_raw(weights.numel()).astype(np.float64) / 2**64
            if weights.ndim == 4:  # what torch draws for them may differ between its versions
                reach = 1 / weights[0].numel() ** 0.5
                weights.copy_(torch.from_numpy((2 * uniform - 1) * reach).reshape(weights.shape))
            elif weights.ndim == 1 and weights.numel() != 192:
                weights.zero_()
            weights += torch.from_numpy((uniform - 0.5) * 0.1).reshape(weights.shape)
    return banded.in_memory(name, config, networks)


def constant_bands_model(**options: Any) -> banded.BandedModel:
    """A model whose outputs are constants on boundaries of cells: means and logarithms of deviations are 0."""
    model = small_bands_model("constant", **options)
    networks = copy.deepcopy(model.networks)
    with torch.no_grad():
        for weights in networks.parameters():
            weights.zero_()
        for weights in (networks.bands.refine_factor, *(network.heads.decoded for network in networks.late)):
            weights.fill_(1.0)
    return banded.in_memory("constant", model.config, networks)


def small_bands_codec(name: str = "small-bands", seed: int = 0, **options: Any) -> BandedUQDM:
    return BandedUQDM(small_bands_model(name, seed, **options))

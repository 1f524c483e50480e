"""Image embeddings of CLIP ViT-B/32 (Radford et al. 2021), prepared as CLIP prepares pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from uqdm.bench.features.extractor import Extractor, resized
from uqdm.bench.features.given_weights import OfficialFile, Tensors
from uqdm.bench.features.vit import BLOCK_LAYERS, QuickGELU, VisionTransformer

SIDE = 224  # pixels
RESIZE = f"short side to {SIDE}, bicubic with antialiasing (Pillow), rounded to 8 bits; the middle {SIDE}x{SIDE}"

EPSILON = 1e-5  # of the normalization of layers
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)

_LAYERS = {
    "norm1": "ln_1",
    "norm2": "ln_2",
    "projection": "attn.out_proj",
    "hidden": "mlp.c_fc",
    "output": "mlp.c_proj",
}
"""Names of a block's layers in the official file; those of ``qkv`` are joined otherwise."""


def named(state: Mapping[str, torch.Tensor]) -> Tensors:
    """The official file's tensors by their names in the network; raises KeyError for one that is missing."""
    visual = {name.removeprefix("visual."): tensor for name, tensor in state.items() if name.startswith("visual.")}
    patch = visual["conv1.weight"]
    width = patch.shape[0]
    tensors = {
        "patch.weight": patch,
        "patch.bias": torch.zeros(width, dtype=patch.dtype),
        "class_token": visual["class_embedding"],
        "positions": visual["positional_embedding"],
        "head": visual["proj"],
    }
    for ours, theirs in {"first_norm": "ln_pre", "norm": "ln_post"}.items():
        for part in ("weight", "bias"):
            tensors[f"{ours}.{part}"] = visual[f"{theirs}.{part}"]
    prefix = "transformer.resblocks."
    depth = len({name.removeprefix(prefix).split(".")[0] for name in visual if name.startswith(prefix)})
    for index in range(depth):
        for part in ("weight", "bias"):
            for layer in BLOCK_LAYERS:
                theirs = f"attn.in_proj_{part}" if layer == "qkv" else f"{_LAYERS[layer]}.{part}"
                tensors[f"blocks.{index}.{layer}.{part}"] = visual[f"{prefix}{index}.{theirs}"]
        for scale in ("scale1", "scale2"):
            tensors[f"blocks.{index}.{scale}"] = torch.ones(width, dtype=patch.dtype)
    return tensors


OFFICIAL = OfficialFile(
    network="CLIP ViT-B/32",
    url="https://openaipublic.azureedge.net/clip/models/"
    "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af/ViT-B-32.pt",
    sha256="40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
    variable="UQDM_CLIP",
    option="--clip",
    tensors=named,
    is_torchscript=True,
)


def load(path: Path | None = None, device: str | None = None) -> Extractor:
    """See :meth:`~uqdm.bench.features.given_weights.OfficialFile.load`; sizes of the network are those of the file."""
    weights = OFFICIAL.load(path)
    network = VisionTransformer(weights.tensors, QuickGELU(), EPSILON, MEAN, DEVIATION)
    return Extractor(
        network, weights.sha256, network.n_features, RESIZE, prepare=prepared, caution=weights.caution, device=device
    )


def prepared(image_uint8: np.ndarray) -> np.ndarray:
    """The middle of the picture [H, W, 3], its short side resized to 224 pixels."""
    height, width = image_uint8.shape[:2]
    short = min(height, width)
    whole = resized(image_uint8, (SIDE * height // short, SIDE * width // short))
    top, left = (round((side - SIDE) / 2) for side in whole.shape[:2])
    return whole[top : top + SIDE, left : left + SIDE]

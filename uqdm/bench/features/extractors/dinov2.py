"""Features of DINOv2 ViT-L/14 (Oquab et al. 2023) at the class token, prepared as by Stein et al. (2023, dgm-eval)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from uqdm.bench.features.extractor import Extractor, resized
from uqdm.bench.features.given_weights import OfficialFile, Tensors
from uqdm.bench.features.vit import BLOCK_TENSORS, VisionTransformer, resized_positions

SIDE = 224  # pixels
RESIZE = f"{SIDE}x{SIDE}, bicubic with antialiasing (Pillow), rounded to 8 bits"

EPSILON = 1e-6  # of the normalization of layers
OFFSET = 0.1  # of the resize of positions, in patches: part of the published network
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)

_PARTS = {
    "qkv": "attn.qkv",
    "projection": "attn.proj",
    "hidden": "mlp.fc1",
    "output": "mlp.fc2",
    "scale1": "ls1.gamma",
    "scale2": "ls2.gamma",
}
"""Names of a block's parts in the official file, where they differ."""


def named(state: Mapping[str, torch.Tensor]) -> Tensors:
    """The official file's tensors by their names in the network; raises KeyError for one that is missing."""
    if "register_tokens" in state:
        raise ValueError("it has register tokens, which the published distance does not use")
    patch = state["patch_embed.proj.weight"]
    tensors = {
        "patch.weight": patch,
        "patch.bias": state["patch_embed.proj.bias"],
        "class_token": state["cls_token"].flatten(),
        "positions": resized_positions(state["pos_embed"][0], SIDE // patch.shape[-1], OFFSET),
        "norm.weight": state["norm.weight"],
        "norm.bias": state["norm.bias"],
    }
    depth = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    for index in range(depth):
        for name in BLOCK_TENSORS:
            layer, _, part = name.partition(".")
            theirs = ".".join(filter(None, [_PARTS.get(layer, layer), part]))
            tensors[f"blocks.{index}.{name}"] = state[f"blocks.{index}.{theirs}"]
    return tensors


OFFICIAL = OfficialFile(
    network="DINOv2 ViT-L/14",
    url="https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
    sha256="d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
    variable="UQDM_DINOV2",
    option="--dinov2",
    tensors=named,
)


def load(path: Path | None = None, device: str | None = None) -> Extractor:
    """See :meth:`~uqdm.bench.features.given_weights.OfficialFile.load`; sizes of the network are those of the file."""
    weights = OFFICIAL.load(path)
    network = VisionTransformer(weights.tensors, nn.GELU(), EPSILON, MEAN, DEVIATION)
    return Extractor(
        network, weights.sha256, network.n_features, RESIZE, prepare=prepared, caution=weights.caution, device=device
    )


def prepared(image_uint8: np.ndarray) -> np.ndarray:
    """The picture [H, W, 3] at 224x224; its sides are resized by different factors if they differ."""
    return resized(image_uint8, (SIDE, SIDE))

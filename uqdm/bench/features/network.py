"""The Inception network of the features: torch-fidelity's, its batch normalizations folded into the convolutions."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.utils import fuse_conv_bn_eval
from torch_fidelity.feature_extractor_inceptionv3 import BasicConv2d, FeatureExtractorInceptionV3

N_FEATURES = 2048
RESIZE = "299x299, bilinear as in TensorFlow 1 (corners not aligned, no antialiasing)"
"""How pictures are resized for the network; part of the definition of its features."""

PARTS = ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
"""Tensors of a layer, by torch-fidelity's names."""


class _Network(FeatureExtractorInceptionV3):
    """torch-fidelity's network without weights, on the meta device. Its constructor unpickles a file: an empty one."""

    def __init__(self) -> None:
        nothing = io.BytesIO()
        torch.save({}, nothing)
        nothing.seek(0)
        with torch.device("meta"):
            super().__init__("inception-v3-compat", [str(N_FEATURES)], feature_extractor_weights_path=nothing)

    def load_state_dict(self, state_dict: Mapping[str, Any], *arguments: Any, **options: Any) -> Any:
        return super().load_state_dict(state_dict, *arguments, **options) if state_dict else None


@functools.cache
def layers() -> tuple[str, ...]:
    """Names of the network's layers, in the order of the TensorFlow graph.

    >>> len(layers()), layers()[0]
    (94, 'Conv2d_1a_3x3')
    """
    return tuple(name for name, module in _Network().named_modules() if isinstance(module, BasicConv2d))


def tensor_names() -> list[str]:
    """Names of all tensors that the features depend on, without those of the classifier."""
    return [f"{layer}.{part}" for layer in layers() for part in PARTS]


def build(arrays: Mapping[str, Any]) -> nn.Module:
    """The network with these weights (arrays or tensors): uint8 [B, 3, H, W] to a tuple of one float32 [B, 2048].

    Folding makes the network faster. It is done in float64, so its features are no less exact.
    Raises ValueError if a tensor is missing or has another shape.
    """
    network = _Network()
    tensors = {name: torch.as_tensor(array) for name, array in arrays.items()}
    _check(tensors, network.state_dict())
    network.load_state_dict(tensors, strict=False, assign=True)  # counters and the classifier are left out
    network.fc = nn.Identity()
    for name in layers():
        layer = network.get_submodule(name)
        layer.conv = fuse_conv_bn_eval(layer.conv.double(), layer.bn.double()).float()
        layer.bn = nn.Identity()
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def _check(tensors: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    for name in tensor_names():
        shape = tensors[name].shape if name in tensors else None
        if shape != expected[name].shape:
            found = "missing" if shape is None else f"of shape {list(shape)}"
            raise ValueError(f"Inception weights: {name} is {found}; expected {list(expected[name].shape)}")

"""Learned perceptual image patch similarity, with the AlexNet backbone.

The linear weights of version 0.1 come with torchmetrics; the backbone's are torchvision's and must be in torch's
cache. They are never fetched here, so that a run does not depend on a download.
"""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from uqdm.bench.metrics import Metric
from uqdm.codec import Missing

WEIGHTS = "alexnet-owt-7be5be79.pth"
"""torchvision's file; the digits in its name are the first of its SHA-256."""
WEIGHTS_URL = f"https://download.pytorch.org/models/{WEIGHTS}"

_SMALLEST_SIDE = 31  # pixels: the input of AlexNet's second pooling then still has a side of 3


def weights_path() -> Path:
    """Where torch keeps the backbone's file (``torch.hub.get_dir()`` without importing torch)."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or os.path.join(cache, "torch")
    return Path(os.path.expanduser(home)) / "hub" / "checkpoints" / WEIGHTS  # unchanged if there is no home


def missing() -> Missing | None:
    """Says where to put the backbone's weights; None if they are there."""
    path = weights_path()
    if not path.is_file():
        return Missing("the weights of AlexNet are not here", f"fetch {WEIGHTS_URL} and put it at {path}")
    if not _sha256(path).startswith(WEIGHTS.removesuffix(".pth").rpartition("-")[2]):
        return Missing(f"{path} is damaged", f"fetch {WEIGHTS_URL} again")
    return None


def lpips(original_uint8: np.ndarray, reconstruction_uint8: np.ndarray) -> float:
    """LPIPS 0.1 of uint8 [H, W, 3] with sides of at least 31 pixels; raises FileNotFoundError without weights."""
    import torch

    pair = [
        torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32) / 127.5 - 1)[None]
        for image in (original_uint8, reconstruction_uint8)
    ]  # (1, C, H, W), from -1 to 1
    with torch.inference_mode():
        return float(_network(weights_path())(*pair))


@functools.lru_cache(maxsize=1)
def _network(path: Path) -> Any:
    import torch
    from torchmetrics.functional.image.lpips import _NoTrainLpips  # the public class fetches weights by itself

    network = _NoTrainLpips(net="alex", pnet_rand=True)
    given = torch.load(path, map_location="cpu", weights_only=True)
    named = {name: f"features.{name.partition('.')[2]}" for name in network.net.state_dict()}  # slice2.3.bias
    network.net.load_state_dict({name: given[theirs] for name, theirs in named.items()})
    return network.eval()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


METRIC = Metric(
    name="lpips",
    label="LPIPS",
    unit="",
    direction="lower",
    value_range=(0, float("inf")),
    source="Zhang, Isola, Efros, Shechtman & Wang, CVPR 2018, version 0.1 of its weights",
    comment="learned perceptual image patch similarity, AlexNet, version 0.1, pictures from -1 to 1 at their own size",
    smallest_side=_SMALLEST_SIDE,
    missing=missing,
    compute=lpips,
)

"""Checkpoints by CompressAI's own classes, with what they compute: run it in an environment that has CompressAI.

    python benchmarks/compressai_checkpoints.py OUT IMAGE...

writes, for each architecture with random weights, ``ARCHITECTURE.pth.tar`` (the state dict with updated tables) and
``ARCHITECTURE.safetensors``: for each image its latents y before quantization, the decoded picture before it is
rounded, and the bits of CompressAI's own strings. ``tests/baselines/hyperprior/compressai/`` was made by it with
CompressAI 1.2.8 from the first image of ``demo``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from compressai import models
from PIL import Image

N, M = 8, 12
ARCHITECTURES: dict[str, Any] = {
    "bmshj2018-factorized": models.FactorizedPrior,
    "bmshj2018-hyperprior": models.ScaleHyperprior,
    "mbt2018-mean": models.MeanScaleHyperprior,
}


def make(name: str) -> torch.nn.Module:
    """A model whose latents spread over several symbols, and whose hyperprior gives deviations that suit them."""
    torch.manual_seed(0)
    model = ARCHITECTURES[name](N, M)
    with torch.no_grad():
        model.g_a[6].weight *= 30
        if name != "bmshj2018-factorized":
            model.h_s[4].bias[:M] += 1
        model.entropy_bottleneck.quantiles += torch.rand(model.entropy_bottleneck.quantiles.shape[0], 1, 1)
    model.update()
    return model.eval()


def computed(model: torch.nn.Module, image_uint8: np.ndarray) -> dict[str, torch.Tensor]:
    """What the model computes of an image whose sides are multiples of 64."""
    x = torch.tensor(image_uint8).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        coded = model.compress(x)
        decoded = model.decompress(coded["strings"], coded["shape"])["x_hat"]
        bits = 8 * sum(len(string) for strings in coded["strings"] for string in strings)
        return {"y": model.g_a(x), "x_hat": decoded, "bits": torch.tensor(bits), "image": torch.tensor(image_uint8)}


def without_gaussian_tables(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors without those of the Gaussian conditional, which are the same for all models and take most of a file."""
    return {name: value for name, value in tensors.items() if not name.startswith("gaussian_conditional.")}


def main(folder: Path, images: list[Path]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ARCHITECTURES:
        model = make(name)
        torch.save(without_gaussian_tables(model.state_dict()), folder / f"{name}.pth.tar")
        found = {}
        for number, path in enumerate(images):
            values = computed(model, np.asarray(Image.open(path).convert("RGB")))
            found |= {f"{number}.{key}": value.contiguous() for key, value in values.items()}
        safetensors.torch.save_file(found, folder / f"{name}.safetensors")
        print(name, [int(found[f"{number}.bits"]) for number in range(len(images))])


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])

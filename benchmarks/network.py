"""Time of the network's calls for compressing an image, in steps from a plain implementation to this project's.

    python benchmarks/network.py [MODEL] [--dataset npz:imagenet64-sample.npz#eval] [--batch 16] [--threads 1 2]

The plain one does as the published code does: attention with all its weights in memory, a call for each of the T
steps. All variants run in turn in one process, so that a loaded machine slows them alike. Errors are the largest
differences from float64, in units of the tolerance that files are made with: coding needs at most 1/2.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import os
import statistics
import time
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from tile_images import load_tiles
from torch import nn

from uqdm import load_model
from uqdm.arithmetic import float32_arithmetic
from uqdm.coding.randomness import start
from uqdm.model.denoiser import Denoiser, Prediction, merge
from uqdm.model.schedule import Step
from uqdm.model.unet import AttentionOp
from uqdm.progressive import UQDM, tiles
from uqdm.progressive.encoder import send_tiles


class PlainAttention(nn.Module):
    """Attention as the published code computes it: queries and keys scaled, all weights in memory, einsum."""

    def __init__(self, n_heads: int):
        super().__init__()
        self.n_heads = n_heads

    def forward(self, qkv: torch.Tensor) -> torch.Tensor:
        """Maps queries, keys and values [B, 3C, H, W] to [B, C, H, W]."""
        b, c3, h, w = qkv.shape
        per_head = c3 // 3 // self.n_heads
        q, k, v = qkv.reshape(b, 3, self.n_heads, per_head, h * w).unbind(1)  # each (B, N, D, HW)
        weights = torch.einsum("bndq,bndk->bnqk", q * per_head**-0.25, k * per_head**-0.25).softmax(-1)
        return torch.einsum("bnqk,bndk->bndq", weights, v).reshape(b, c3 // 3, h, w)


@dataclass(frozen=True)
class Variant:
    """One way to run the network. ``taken`` says whether the coder runs it so."""

    name: str
    plain_attention: bool = False
    memory_format: torch.memory_format = torch.contiguous_format
    first_call: bool = False
    dtype: torch.dtype = torch.float32
    autocast: bool = False
    taken: bool = False


def variants(model: UQDM) -> list[Variant]:
    """The steps for a model, those that are not taken last."""
    found: list[Variant] = []
    ours = model.model.denoiser.memory_format
    if has_attention(model.model.denoiser):
        found += [Variant("plain", plain_attention=True, first_call=True), Variant("fused attention", first_call=True)]
    else:
        found += [Variant("plain", first_call=True)]
    found.append(Variant("first call kept", taken=ours == torch.contiguous_format))
    last = Variant("channels last", memory_format=torch.channels_last, taken=ours == torch.channels_last)
    return [*found, last, Variant("float64", dtype=torch.float64), Variant("bfloat16 by autocast", autocast=True)]


def has_attention(denoiser: Denoiser) -> bool:
    return any(isinstance(module, AttentionOp) for module in denoiser.modules())


def prepare(denoiser: Denoiser, variant: Variant) -> Denoiser:
    network = copy.deepcopy(denoiser).to(variant.dtype)
    if variant.plain_attention:
        for module in list(network.modules()):
            for name, child in module.named_children():
                if isinstance(child, AttentionOp):
                    setattr(module, name, PlainAttention(child.n_heads))
    return network.to(memory_format=variant.memory_format)


def call(network: Denoiser, variant: Variant, z_t: torch.Tensor, z_s: torch.Tensor, step: Step) -> Prediction:
    """The outputs of a step, section by section, as a coder computes them."""
    z_t, z_s = (z.to(variant.dtype).contiguous(memory_format=variant.memory_format) for z in (z_t, z_s))
    autocast = torch.autocast("cpu", torch.bfloat16) if variant.autocast else nullcontext()
    with float32_arithmetic(), torch.inference_mode(), autocast:
        opened, section = network.begin(z_t, step), network.section_of(step, *z_t.shape[1:])
        whole = network.condition(opened, z_t, z_s, 0, step)
        for index in range(1, network.n_sections(step)):
            whole = merge(whole, network.condition(opened, z_t, z_s, index, step), section == index)
    return whole


def latents(model: UQDM, images: np.ndarray) -> list[torch.Tensor]:
    """The network's inputs at each step when images are compressed, and the latents after the last."""
    predictor, seeds = model.predictor(), [0] * len(images)
    sent = send_tiles(predictor, tiles.to_coordinates(images), seeds, seeds, ideal=False)
    known = [np.stack([start(0, predictor.n_coordinates)] * len(images))]
    known += [np.stack([tile.steps[index].latents for tile in sent]) for index in range(model.n_steps)]
    return [predictor.latents(index, n_t) for index, n_t in enumerate(known)]


def predictions(model: UQDM, variant: Variant, z: list[torch.Tensor]) -> list[Prediction]:
    """The outputs of a variant for the latents of all steps but the first."""
    network = prepare(model.model.denoiser, variant)
    return [call(network, variant, *pair, step) for step, pair in _calls(model, z)[1:]]


def _calls(model: UQDM, z: list[torch.Tensor]) -> list[tuple[Step, tuple[torch.Tensor, torch.Tensor]]]:
    """Each step with the latents before and after it."""
    return list(zip(model.predictor().steps, itertools.pairwise(z), strict=True))


def errors(model: UQDM, z: list[torch.Tensor]) -> dict[Variant, float]:
    """Largest difference of each variant from float64, in units of the tolerance."""
    exact = predictions(model, Variant("exact", dtype=torch.float64), z)
    return {variant: _largest(model, exact, predictions(model, variant, z)) for variant in variants(model)}


def _largest(model: UQDM, exact: list[Prediction], other: list[Prediction]) -> float:
    found = []
    for a, b, tolerance in zip(exact, other, model.tolerances()[1:], strict=True):
        x_hat = (a.x_hat.clamp(-1, 1) - b.x_hat.double().clamp(-1, 1)).abs().max()
        scale = (a.scale.log2() - b.scale.double().log2()).abs().max()
        found += [float(x_hat) / tolerance.x_hat, float(scale) / tolerance.log2_scale]
    return max(found)


def timings(
    model: UQDM, networks: dict[Variant, Denoiser], z: list[torch.Tensor], repeats: int
) -> dict[Variant, float]:
    """Median milliseconds an image of each variant, the variants in turn."""
    found: dict[Variant, list[float]] = {variant: [] for variant in networks}

    def compress(variant: Variant) -> None:
        for step, pair in _calls(model, z)[0 if variant.first_call else 1 :]:
            call(networks[variant], variant, *pair, step)

    for repeat in range(repeats + 1):
        for variant in networks:
            begun = time.perf_counter()
            compress(variant)
            if repeat:  # the first is to warm up
                found[variant].append(time.perf_counter() - begun)
    return {variant: 1e3 * statistics.median(values) / len(z[0]) for variant, values in found.items()}


def show(model: UQDM, threads: int, batch: int, found: dict[Variant, float], largest: dict[Variant, float]) -> None:
    table = Table(title=f"{model.model.name}, batch of {batch}, threads: {threads}")
    table.add_column("variant")
    for heading in ("calls an image", "ms an image", "of plain", "largest error, tolerances", "in use"):
        table.add_column(heading, justify="right")
    whole = next(iter(found.values()))
    for variant, milliseconds in found.items():
        calls = str(model.n_steps if variant.first_call else model.n_steps - 1)
        numbers = [calls, f"{milliseconds:.1f}", f"{milliseconds / whole:.2f}", f"{largest[variant]:.2f}"]
        table.add_row(variant.name, *numbers, "yes" if variant.taken else "")
    Console(width=110).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", nargs="?", default="uqdm-pixel")
    parser.add_argument("--dataset", default="demo", help="data set, such as npz:PATH#KEY")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    images = load_tiles(arguments.dataset, arguments.batch, model.model.image_size)
    torch.set_num_threads(arguments.threads[0])
    z = latents(model, images)
    networks = {variant: prepare(model.model.denoiser, variant) for variant in variants(model)}
    largest = errors(model, z)
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        load = os.getloadavg()[0]
        show(model, threads, arguments.batch, timings(model, networks, z, arguments.repeats), largest)
        print(f"load average of the minute before: {load:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()

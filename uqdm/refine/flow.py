"""Pictures by a second stage: the mean of what is possible given the condition, and samples of it."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from uqdm.refine.network import RefineNetwork

WINDOW = 512
"""Side in pixels of the parts of a large picture that the network sees at once, without their margins."""


@torch.inference_mode()
def mean(network: RefineNetwork, condition: torch.Tensor, log2_bpp: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The estimate of E[x | condition], data [B, 3, H, W]: one network call. ``like`` is a tensor of that shape."""
    given, base = network.given(condition), network.base(condition, like)
    nothing = torch.zeros_like(like)
    velocity = _velocity(network, nothing, 0.0, given, log2_bpp)  # r_0 is 0, so it is E[r | condition]
    return base + network.scale(log2_bpp) * velocity


@torch.inference_mode()
def sample(
    network: RefineNetwork, condition: torch.Tensor, log2_bpp: torch.Tensor, noise: torch.Tensor, n_steps: int
) -> torch.Tensor:
    """A sample of x given the condition, data [B, 3, H, W]: ``n_steps`` steps of Euler's method from noise N(0, 1)."""
    given, base = network.given(condition), network.base(condition, noise)
    r_t = noise
    for index in range(n_steps):
        r_t = r_t + _velocity(network, r_t, index / n_steps, given, log2_bpp) / n_steps
    return base + network.scale(log2_bpp) * r_t


def _velocity(
    network: RefineNetwork, r_t: torch.Tensor, t: float, given: torch.Tensor, log2_bpp: torch.Tensor
) -> torch.Tensor:
    """The network's estimate, window by window in a large picture: its margins hold all that has an effect."""
    times = torch.full((len(r_t),), t, dtype=r_t.dtype, device=r_t.device)
    if max(r_t.shape[2:]) <= 2 * WINDOW:
        found: torch.Tensor = network(r_t, times, given, log2_bpp)
        return found
    made = torch.empty_like(r_t)
    height, width = r_t.shape[2:]
    for inner, outer, place in _windows(height, width, _margin(network)):
        part = network(r_t[..., *outer], times, given[..., *outer], log2_bpp)
        made[..., *inner] = part[..., *place]
    return made


def _margin(network: RefineNetwork) -> int:
    """The network's reach, rounded up so that windows keep to the cells of its lowest resolution."""
    unit = 1 << network.n_halvings
    return -(-network.network.reach // unit) * unit


Area = tuple[slice, slice]


def _windows(height: int, width: int, margin: int) -> Iterator[tuple[Area, Area, Area]]:
    """Windows of a picture; each with its margins, in the picture; and the window in what its margins enclose."""
    for top in range(0, height, WINDOW):
        for left in range(0, width, WINDOW):
            rows, columns = (_span(start, end, margin) for start, end in ((top, height), (left, width)))
            yield (rows[0], columns[0]), (rows[1], columns[1]), (rows[2], columns[2])


def _span(start: int, end: int, margin: int) -> tuple[slice, slice, slice]:
    stop, first = min(start + WINDOW, end), max(0, start - margin)
    return slice(start, stop), slice(first, min(stop + margin, end)), slice(start - first, stop - first)

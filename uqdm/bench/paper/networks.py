"""The paper's four ImageNet64 networks: the figures of Appendix C, and counts from their configurations.

``appendix_c.csv`` has the sizes of the published configurations (``embedding_dim``, ``n_blocks``, ``norm_groups``),
and the published figures: channels where the text states them, parameters and "FLOPs" per pixel, each with the place
value of its last printed digit. Counts need the configuration alone, no weights.
"""

from __future__ import annotations

import csv
import functools
import json
from dataclasses import dataclass
from pathlib import Path

IMAGE_SIZE = 64
"""Side in pixels of the images of the published networks."""

_SIZES = ("embedding_dim", "n_blocks", "norm_groups")


@dataclass(frozen=True)
class Stated:
    """A printed figure, and the place value of its last digit."""

    value: float
    digit: float


@dataclass(frozen=True)
class Network:
    """A published network: its name, the sizes in its configuration, and its figures in Appendix C."""

    name: str
    embedding_dim: int
    n_blocks: int
    norm_groups: int
    channels: int | None
    """As stated in the text; None where it does not say."""
    parameters: Stated
    flops_per_pixel: Stated

    @property
    def counts(self) -> Counts:
        """Counts of a network of this configuration."""
        return count(self.embedding_dim, self.n_blocks, self.norm_groups)


@dataclass(frozen=True)
class Counts:
    """Parameters of a network (without the schedule's slope), and multiply-accumulates per pixel of one call."""

    parameters: int
    macs_per_pixel: float


@functools.cache
def networks() -> tuple[Network, ...]:
    """The four networks, the smallest first.

    >>> [(network.name, network.embedding_dim) for network in networks()]
    [('tiny', 32), ('small', 64), ('medium', 256), ('big', 256)]
    """
    with (Path(__file__).parent / "appendix_c.csv").open(newline="") as file:
        return tuple(_network(row) for row in csv.DictReader(file))


def _network(row: dict[str, str]) -> Network:
    return Network(
        name=row["model"],
        embedding_dim=int(row["embedding_dim"]),
        n_blocks=int(row["n_blocks"]),
        norm_groups=int(row["norm_groups"]),
        channels=int(row["channels"]) if row["channels"] else None,
        parameters=Stated(float(row["parameters"]), float(row["parameters_digit"])),
        flops_per_pixel=Stated(float(row["flops_per_pixel"]), float(row["flops_digit"])),
    )


def network_of(path: str) -> Network | None:
    """The published network with the configuration of a model; None for others, or if the configuration is unreadable.

    ``path`` is a model's folder, in the project's layout or the published one, or the name of a shipped model.

    >>> network_of("uqdm-pixel") is None
    True
    """
    from uqdm.model.zoo import find

    try:
        config = json.loads((find(path) / "config.json").read_text())
        sizes = config.get("denoiser") or config.get("model")
        found = tuple(sizes.get(name) for name in _SIZES)
    except (OSError, ValueError, LookupError, AttributeError):
        return None
    return next((one for one in networks() if tuple(getattr(one, name) for name in _SIZES) == found), None)


@functools.cache
def count(embedding_dim: int, n_blocks: int, norm_groups: int) -> Counts:
    """Counts of a network of the published kind, from shapes alone: nothing is allocated or computed.

    >>> count(32, 1, 8).parameters
    167494
    """
    import torch

    from uqdm.model.schedule import Schedule
    from uqdm.model.unet import ScoreNetwork, UNetDenoiser
    from uqdm.progressive.cost import multiply_accumulates

    with torch.device("meta"):
        network = ScoreNetwork(embedding_dim=embedding_dim, n_blocks=n_blocks, norm_groups=norm_groups)
        denoiser = UNetDenoiser(network, forward_kernel_scale=True)
    step = Schedule(slope=18.3, gamma_max=6.0, n_steps=4).step(1)  # no count depends on the noise level
    macs = multiply_accumulates(denoiser, step, IMAGE_SIZE)
    parameters = sum(one.numel() for one in network.parameters())
    return Counts(parameters, (macs.opening + macs.sections) / IMAGE_SIZE**2)

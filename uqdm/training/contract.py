"""What the trainer trains: networks with a loss, whatever they are networks of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from uqdm.training.recipe import TrainingPlan

Rates = dict[str, torch.Tensor]
"""Parts of a loss by name, each the mean over a batch; most are rates in bits per pixel."""


@dataclass(frozen=True)
class Batch:
    """The samples of one iteration: this worker's part of ``n`` in all."""

    samples: Any
    """What the source loads: images, uint8 [b, H, W, C], or :class:`uqdm.training.data.pairs.PairBatch`."""
    n: int
    rows: slice
    """Rows of the part in the whole batch."""
    steps: int | np.ndarray | None
    """What each sample trains: see :class:`uqdm.training.recipe.IterationPlan`."""


class Objective(nn.Module, ABC):
    """Networks, and the loss that training minimizes. ``forward`` takes what :meth:`inputs` gives."""

    @property
    @abstractmethod
    def n_choices(self) -> int:
        """Number of steps or levels that a plan chooses from."""

    @property
    def n_steps(self) -> int:
        """Steps of the schedule; 0 for models without one."""
        return 0

    @property
    @abstractmethod
    def rate_names(self) -> list[str]:
        """Names of all rates that :meth:`forward` can return."""

    @abstractmethod
    def inputs(self, batch: Batch, plan: TrainingPlan, iteration: int, generator: torch.Generator) -> tuple[Any, ...]:
        """Arguments of :meth:`forward`.

        Noise is drawn for all ``n`` samples of a batch, so that the random streams of all workers stay alike.
        """

    def groups(self) -> list[dict[str, Any]]:
        """Groups of parameters, as optimizers take them."""
        return [{"params": list(self.parameters())}]

    def fault(self) -> str | None:
        """The reason why the learned settings are degenerate, or None."""
        return None

    def settings(self) -> dict[str, float]:
        """Learned settings that logs show."""
        return {}

    def compile_networks(self) -> None:
        """Has torch compile the networks."""

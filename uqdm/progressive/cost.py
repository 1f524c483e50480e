"""The cost of pictures in network calls and in multiply-accumulates.

The cost is that of one more picture. Opening step 0 depends on the seed alone, so its result is cached between
pictures; it is not counted, nor is it part of measured times. Opening any other step is one network call, which
includes the heads of the step's sections and their multiply-accumulates. The tiles of an image are one batch: they
multiply the multiply-accumulates, and not the calls.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from uqdm.arithmetic import float32_arithmetic
from uqdm.model.checkpoint import Model
from uqdm.model.denoiser import Denoiser
from uqdm.model.schedule import Step


@dataclass(frozen=True)
class StepMacs:
    """Multiply-accumulates of a step for one tile: of opening the step, and of predicting all its sections."""

    opening: int
    sections: int


def encoding_steps(n_steps: int) -> range:
    """The steps that are opened to encode an image with all ``n_steps`` steps T.

    >>> len(encoding_steps(4))
    3
    """
    return range(1, n_steps)


def opened_steps(n_steps: int, step: int | None, reconstruction: str) -> range:
    """The steps that are opened to decode the picture after ``step`` 0..T, or the lossless one (None).

    The denoised picture needs the step that comes next; the sampled ones need all that are left.

    >>> [len(opened_steps(4, step, "denoise")) for step in (0, 1, 2, 3, 4, None)]
    [0, 1, 2, 3, 3, 3]
    >>> [len(opened_steps(4, step, "flow")) for step in (0, 1, 2, 3, 4, None)]
    [3, 3, 3, 3, 3, 3]
    """
    last = step if step is not None and reconstruction == "denoise" else n_steps
    return range(1, min(last + 1, n_steps))


def predicted_steps(n_steps: int, step: int | None, reconstruction: str) -> range:
    """The steps of which all sections are predicted to decode that picture: those decoded, and those sampled.

    >>> [len(predicted_steps(4, step, "denoise")) for step in (0, 1, 2, 3, 4, None)]
    [0, 1, 2, 3, 4, 4]
    >>> len(predicted_steps(4, 1, "flow")), len(predicted_steps(4, 1, "ancestral"))
    (1, 4)
    """
    return range(n_steps if step is None or reconstruction == "ancestral" else step)


def picture_macs(steps: Sequence[StepMacs], step: int | None, reconstruction: str) -> int:
    """Multiply-accumulates for one tile of the picture after ``step``, or of the lossless one (None).

    >>> picture_macs([StepMacs(7, 1), StepMacs(10, 2), StepMacs(10, 2)], 1, "denoise")
    11
    """
    opened = opened_steps(len(steps), step, reconstruction)
    predicted = predicted_steps(len(steps), step, reconstruction)
    return sum(steps[index].opening for index in opened) + sum(steps[index].sections for index in predicted)


class Costs(Protocol):
    """Costs of a model's files and pictures."""

    @property
    def encoding_calls(self) -> int:
        """Network calls of the encoder."""

    def calls(self, step: int | None, reconstruction: str) -> int:
        """Network calls for the picture after ``step``, or for the lossless one (None)."""

    def macs(self, step: int | None, reconstruction: str) -> int:
        """Multiply-accumulates for one tile of that picture."""


@dataclass(frozen=True)
class StepCosts(Costs):
    """Costs by the multiply-accumulates of each step."""

    steps: Sequence[StepMacs]

    @property
    def encoding_calls(self) -> int:
        """See :attr:`Costs.encoding_calls`."""
        return len(encoding_steps(len(self.steps)))

    def calls(self, step: int | None, reconstruction: str) -> int:
        """See :meth:`Costs.calls`."""
        return len(opened_steps(len(self.steps), step, reconstruction))

    def macs(self, step: int | None, reconstruction: str) -> int:
        """See :meth:`Costs.macs`."""
        return picture_macs(self.steps, step, reconstruction)


@float32_arithmetic()
def step_macs(model: Model) -> tuple[StepMacs, ...]:
    """Multiply-accumulates by step (see :func:`multiply_accumulates`)."""
    network = copy.deepcopy(model.denoiser).to("meta")  # shapes only: nothing is computed, on any device
    return tuple(multiply_accumulates(network, step, model.image_size) for step in model.schedule.steps())


@float32_arithmetic()
def multiply_accumulates(denoiser: Denoiser, step: Step, image_size: int) -> StepMacs:
    """Multiply-accumulates of convolutions, linear layers and attention products in a step for one tile.

    Norms, activations, softmax and additions are not counted. On the device ``meta`` nothing is computed.
    """
    weights = next(denoiser.parameters())
    z_t = torch.zeros(1, 3, image_size, image_size, device=weights.device, dtype=weights.dtype)
    # The counter ignores the kernels of fused attention, two thirds of uqdm-tiny.
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as opening:
            opened = denoiser.begin(z_t, step)
        with FlopCounterMode(display=False) as sections:
            for number in range(denoiser.n_sections(step)):
                denoiser.condition(opened, z_t, z_t, number, step)
    return StepMacs(int(opening.get_total_flops()) // 2, int(sections.get_total_flops()) // 2)

"""The contract of a denoiser: from the latent z_t of a step to the parameters of the density of the next latent.

The coordinates of a step may be divided into *sections*, coded one after the other. The density of a section then
depends on z_t and on the coordinates of z_s in the sections before it. One section is the paper's model: all
coordinates are independent given z_t. Several sections are an extension of this project.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from uqdm.model.schedule import Step

DENSITY_NAMES = ("logistic", "gaussian")
"""Families of the base density; files are coded with the logistic one."""


@dataclass(frozen=True)
class Prediction:
    """Parameters of p(z_s | z_t), before x_hat is clipped.

    ``x_hat`` [B, C, H, W] estimates the data, in [-1, 1] if the estimate is good. ``scale`` of the
    same shape is the standard deviation of the base density of z_s, in units of z.
    """

    x_hat: torch.Tensor
    scale: torch.Tensor


@dataclass(frozen=True)
class Opened:
    """The outputs of a step's network call, before any coordinate of z_s is known.

    ``x_hat`` [B, C, H, W] is the estimate of the data for pictures. ``features`` are the other inputs of
    :meth:`Denoiser.condition`; the first axis of each is that of the images.
    """

    x_hat: torch.Tensor
    features: tuple[torch.Tensor, ...]

    def to(self, like: torch.Tensor) -> Opened:
        """On the device and in the precision of another tensor."""
        return Opened(self.x_hat.to(like), tuple(feature.to(like) for feature in self.features))


class Denoiser(nn.Module, ABC):
    """A network, or a set of networks, for all steps of one schedule.

    ``needs_input(step)`` is False where the prediction does not depend on z_t; it is then the same for all images, and
    the step has one section.

    A coder calls :meth:`begin` once a step, and :meth:`condition` for each section in turn. Training and ideal rates
    know all of z_s and call :meth:`predict_all`. A denoiser of one section need only define :meth:`forward`.
    """

    memory_format: ClassVar[torch.memory_format] = torch.channels_last
    """Fastest memory layout of weights and latents in which the network is exact."""
    learns_schedule: ClassVar[bool] = False
    """Whether a step's constants may be tensors, through which the gradient of a learned schedule flows."""
    mixes_steps: ClassVar[bool] = False
    """Whether one call may hold samples of different steps: a step's constants are then tensors [B, 1, 1, 1]."""
    any_schedule: ClassVar[bool] = False
    """Whether a step is defined by its noise levels alone, so that the weights can be used with schedules of any T."""
    density: str = "logistic"
    """Family of the base density whose deviation is predicted (:mod:`uqdm.diffusion.density`)."""

    channels: int = 3
    """Channels of the data."""

    size_unit: int = 1
    """Height and width of images must be multiples of it."""

    bounded: bool = False
    """Whether the base density is zero where x cannot be, given all latents up to z_t (not in the paper)."""

    @abstractmethod
    def forward(self, z_t: torch.Tensor, step: Step) -> Prediction:
        """Predicts from latents z_t alone, float [B, C, H, W], of one step.

        Where the step has several sections, this is an estimate for pictures; it is not what is coded.
        """

    def needs_input(self, step: Step) -> bool:
        """Whether the prediction of this step depends on z_t."""
        return True

    def n_sections(self, step: Step) -> int:
        """Number of sections of a step's coordinates, 1 or more."""
        return 1

    def section_of(self, step: Step, channels: int, height: int, width: int) -> torch.Tensor:
        """Section of each coordinate, int64 [C, H, W] with values 0..n_sections-1: a periodic pattern."""
        return torch.zeros((channels, height, width), dtype=torch.int64)

    def begin(self, z_t: torch.Tensor, step: Step) -> Opened:
        """Calls the network of a step for latents z_t, float [B, C, H, W]."""
        prediction = self(z_t, step)
        return Opened(prediction.x_hat, (prediction.scale,))

    def condition(self, opened: Opened, z_t: torch.Tensor, z_s: torch.Tensor, index: int, step: Step) -> Prediction:
        """Predicts section ``index`` from the coordinates of z_s [B, C, H, W] in the sections before it.

        Other coordinates of z_s are ignored, even if they are not finite. Only the coordinates of section ``index`` of
        the result, which has the shape of z_s, are valid.
        """
        return Prediction(opened.x_hat, opened.features[0])

    def predict_all(self, z_t: torch.Tensor, z_s: torch.Tensor, step: Step) -> Prediction:
        """Predictions of all sections, each given those of z_s before it; z_s is known, [B, C, H, W]."""
        return self.open_all(z_t, z_s, step)[1]

    def open_all(self, z_t: torch.Tensor, z_s: torch.Tensor, step: Step) -> tuple[Opened, Prediction]:
        """The results of :meth:`begin` and :meth:`predict_all` in one call, for training."""
        opened = self.begin(z_t, step)
        section = self.section_of(step, *z_t.shape[1:]).to(z_t.device)
        whole = self.condition(opened, z_t, z_s, 0, step)
        for index in range(1, self.n_sections(step)):
            whole = merge(whole, self.condition(opened, z_t, z_s, index, step), section == index)
        return opened, whole


def merge(first: Prediction, second: Prediction, of_second: torch.Tensor) -> Prediction:
    """Takes ``second`` where ``of_second``, bool [C, H, W], is true, else ``first``."""
    return Prediction(
        torch.where(of_second, second.x_hat, first.x_hat), torch.where(of_second, second.scale, first.scale)
    )


def square_root(value: float | torch.Tensor) -> Any:
    """Square root of a step's constant, which is a tensor where the schedule is learned."""
    return value.sqrt() if isinstance(value, torch.Tensor) else math.sqrt(value)


def zero(module: nn.Module) -> nn.Module:
    """Sets all parameters of a layer to zero, so that its block starts as the identity; returns it."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module

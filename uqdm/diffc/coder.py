"""Sending and receiving the latents of a Gaussian process step by step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from uqdm.arithmetic import each_in_float32, float32_arithmetic
from uqdm.channel.prefix_code import BitReader, EndOfBitsError, gamma_bits, read_gamma
from uqdm.channel.randomness import normals
from uqdm.diffc import chunks
from uqdm.diffc.chunks import Channel, Limits, Tally
from uqdm.diffusion.gaussian import reverse
from uqdm.diffusion.levels import Levels, levels_of
from uqdm.diffusion.process import reverse_mean
from uqdm.model.batches import begin_in_batches
from uqdm.model.checkpoint import Model
from uqdm.model.denoiser import Opened, Prediction
from uqdm.model.schedule import Schedule, Step
from uqdm.model.weights import check_bits
from uqdm.text import counted

MAX_NUMBERS = 1 << 38
"""Maximum of random numbers that a decoder draws for a file: about an hour of one core."""
_MAX_STEP_BITS = 13  # of the number of merged steps


@dataclass
class Sending:
    """What an encoder has written, and counts of its work."""

    steps: list[bytes] = field(default_factory=list)
    ideal_bits: list[float] = field(default_factory=list)
    """KL divergence of each step, in bits."""
    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True)
class Latent:
    """The state of a decoder after some steps of a file."""

    n_steps: int
    """Steps of the file."""
    position: int
    """Steps of the schedule."""
    z_t: torch.Tensor
    opened: Opened | None
    """The network's output for z_t; None after the schedule's last step."""


class GaussianCoder:
    """Sends patches x [P, C, H, W] together; the patches are tiles of an image, or points.

    ``n_steps`` is T, and ``deviation`` that of p (:func:`uqdm.diffusion.gaussian.reverse`). With the posterior's
    deviation and a network for any schedule, consecutive steps are merged while their total divergence is at most one
    chunk per block. T can then be large without more network calls.

    Reading the bits does not depend on the receiver's arithmetic. Latents and images depend on the network's output: on
    another machine they are equal up to rounding.
    """

    def __init__(self, model: Model, n_steps: int | None, deviation: str, limits: Limits):
        self.model, self.deviation, self.limits = model, deviation, limits
        self.schedule = model.schedule_at(n_steps or model.schedule.n_steps)
        self.levels: Levels = levels_of(model.config)
        self.merges = deviation == "posterior" and model.denoiser.any_schedule

    @float32_arithmetic()
    def send(self, x: torch.Tensor, seed: int, max_steps: int | None = None) -> Sending:
        """Sends x in at most ``max_steps`` steps of the file; ``seed`` has 16 bits."""
        made = Sending()
        z_t = self._start(x.shape, seed)
        position = 0
        while position < self.schedule.n_steps and len(made.steps) < (max_steps or self.schedule.n_steps):
            opened = self._open(z_t, position)
            taken = self._steps_at_once(x, opened, position)
            parts = [gamma_bits(taken)]
            step = self._step(position, taken)
            z_s, ideal_bits = torch.zeros_like(z_t), 0.0
            for number, places in self._sections(step, z_t.shape):
                prediction = self._predict(opened, z_t, z_s, number, step)
                channel = self._channel(x, prediction, step, places)
                check_bits(channel.kl_bits, self.model.name)
                bits, found = chunks.send(channel, self.limits, _seed(seed, len(made.steps), number), made.tally)
                if made.tally.decoded_numbers > MAX_NUMBERS:
                    raise ValueError(f"decoding would take more than {MAX_NUMBERS} random numbers: send fewer steps")
                parts.append(bits)
                ideal_bits += float(channel.kl_bits.sum())
                z_s = self._place(z_s, z_t, prediction, step, places, found)
            made.steps.append(_to_bytes("".join(parts)))
            made.ideal_bits.append(ideal_bits)
            z_t, position = z_s, position + taken
        return made

    @each_in_float32
    def receive(self, body: bytes, shape: tuple[int, ...], seed: int, n_steps: int) -> Iterator[Latent]:
        """The latents of all complete steps of a file, z_T first.

        ValueError for bytes that :meth:`send` does not write.
        """
        z_t, position = self._start(torch.Size(shape), seed), 0
        reading = self.read(body, shape, n_steps)
        for number in range(n_steps + 1):
            is_last = position == self.schedule.n_steps
            opened = None if is_last else self._open(z_t, position)
            yield Latent(number, position, z_t, opened)
            found = None if is_last else next(reading, None)
            if found is None or opened is None:
                return
            step, z_s = self._step(position, found.taken), torch.zeros_like(z_t)
            for (section, places), content in zip(self._sections(step, z_t.shape), found.sections, strict=True):
                prediction = self._predict(opened, z_t, z_s, section, step)
                sample = chunks.samples(content, _seed(seed, number, section))
                z_s = self._place(z_s, z_t, prediction, step, places, sample)
            z_t, position = z_s, position + found.taken

    @each_in_float32
    def read(self, body: bytes, shape: tuple[int, ...], n_steps: int) -> Iterator[Read]:
        """The content of all complete steps of a body, without network calls; ValueError as :meth:`receive`."""
        position, end, work = 0, 0, 0
        reader = BitReader(_bits(body))
        for _ in range(n_steps):
            reader.position = 8 * end
            try:
                taken = read_gamma(reader, _MAX_STEP_BITS)
                if position + taken > self.schedule.n_steps or (taken > 1 and not self.merges):
                    raise ValueError(
                        f"the file merges {counted(taken, 'step')} after step {position}, which this model does not"
                    )
                step = self._step(position, taken)
                sections = [
                    chunks.read(reader, int(places.size), self.limits) for _, places in self._sections(step, shape)
                ]
            except EndOfBitsError:
                return
            work += sum(map(chunks.numbers_of, sections))
            if work > MAX_NUMBERS:
                raise ValueError(f"decoding would take more than {MAX_NUMBERS} random numbers")
            position, end = position + taken, -(-reader.position // 8)
            yield Read(taken, sections, end)

    def _start(self, shape: torch.Size, seed: int) -> torch.Tensor:
        return torch.from_numpy(normals(seed << 48, math.prod(shape)).reshape(shape)).float()

    def _open(self, z_t: torch.Tensor, position: int) -> Opened:
        return begin_in_batches(self.model.denoiser, z_t, self.schedule.step(position))

    def _predict(self, opened: Opened, z_t: torch.Tensor, z_s: torch.Tensor, section: int, step: Step) -> Prediction:
        with float32_arithmetic(), torch.inference_mode():
            found = self.model.denoiser.condition(opened, z_t, z_s, section, step)
            return reverse(Prediction(found.x_hat.double(), found.scale.double()), step, self.deviation)

    def _steps_at_once(self, x: torch.Tensor, opened: Opened, position: int) -> int:
        """The largest number of steps whose total divergence is at most one chunk per block, and at least 1."""
        if not self.merges:
            return 1
        error = float(((x.double() - self.levels.clip(opened.x_hat.double())) ** 2).sum())
        budget = self.limits.chunk_bits * -(-x.numel() // chunks.BLOCK)
        taken = 1
        while position + taken < self.schedule.n_steps:
            step = self._step(position, taken + 1)
            if 0.5 * (step.x_weight / step.posterior_sd) ** 2 * error / math.log(2) > budget:
                break
            taken += 1
        return taken

    def _step(self, position: int, taken: int) -> Step:
        if taken == 1:
            return self.schedule.step(position)
        times = [self.schedule.time(position + offset) for offset in (0, taken)]
        first, last = (self.schedule.gamma(time) for time in times)
        return Schedule(slope=first - last, gamma_max=first, n_steps=1).step(0)

    def _sections(self, step: Step, shape: tuple[int, ...]) -> Iterator[tuple[int, np.ndarray]]:
        """Number of each section, and the places of its coordinates in the flattened patches."""
        denoiser = self.model.denoiser
        pattern = denoiser.section_of(step, *shape[1:]).numpy()
        of = np.broadcast_to(pattern, shape).reshape(-1)
        for number in range(denoiser.n_sections(step)):
            yield number, np.flatnonzero(of == number)

    def _channel(self, x: torch.Tensor, prediction: Prediction, step: Step, places: np.ndarray) -> Channel:
        distance = step.x_weight * (x.double() - self.levels.clip(prediction.x_hat))
        scale = prediction.scale.numpy().reshape(-1)[places]
        return Channel(distance.numpy().reshape(-1)[places] / scale, step.posterior_sd / scale)

    def _place(
        self,
        z_s: torch.Tensor,
        z_t: torch.Tensor,
        prediction: Prediction,
        step: Step,
        places: np.ndarray,
        found: np.ndarray,
    ) -> torch.Tensor:
        """z_s after a section whose samples are ``found``, in units of p's deviation."""
        mean = reverse_mean(z_t.double(), prediction, step, self.levels).reshape(-1)
        where = torch.from_numpy(places)
        values = mean[where] + prediction.scale.reshape(-1)[where] * torch.from_numpy(found)
        return z_s.reshape(-1).index_put((where,), values.float()).reshape(z_s.shape)


@dataclass(frozen=True)
class Read:
    """A step of a file."""

    taken: int
    """Steps of the schedule that it merges."""
    sections: list[chunks.Step]
    end: int
    """Bytes of the body up to the end of the step."""


def _seed(seed: int, step: int, section: int) -> int:
    """Seed of a section, to which chunks add their first coordinate. Step 0 here is z_T, so that steps count from 1."""
    return seed << 48 | (step + 1) << 32 | section << 24


def _to_bytes(bits: str) -> bytes:
    padded = bits + "0" * (-len(bits) % 8)
    return int(padded, 2).to_bytes(len(padded) // 8, "big")


def _bits(data: bytes) -> str:
    return format(int.from_bytes(data, "big"), f"0{8 * len(data)}b") if data else ""

"""The Gaussian twin of a model as an ideal codec, which makes no files."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.codec import (
    Encoded,
    IdealCodec,
    Parameter,
    ParameterError,
    Point,
    Reconstruction,
    check_images,
    check_parameters,
)
from uqdm.diffusion.choices import ANCESTRAL, DENOISE, DEVIATIONS, OWN, RECONSTRUCTIONS, STARTS
from uqdm.ideal.record import SUFFIX, Record
from uqdm.model.files import WEIGHTS_CHOICES
from uqdm.model.identity import Identity
from uqdm.model.zoo import MODEL_HELP, absolute_name, identify, load_named
from uqdm.progressive import tiles

if TYPE_CHECKING:
    from uqdm.ideal.twin import GaussianTwin
    from uqdm.model.checkpoint import Model
    from uqdm.progressive.cost import StepMacs

ALL = "all"
PAIRS = ("denoise+ancestral", "denoise+flow")
LOSSLESS = "lossless"


class VDMCodec(IdealCodec):
    """Gaussian diffusion (VDM; Kingma et al. 2021) of a model's weights, at the rates of ideal channel simulation.

    Its ``ancestral`` pictures at these rates are DiffC-A, its ``flow`` pictures DiffC-F (Theis et al. 2022). Points are
    ``step 0`` (from z_T alone) to ``step T``, of which ``points`` are reported, and ``lossless``.
    """

    name = "vdm"
    summary = "Gaussian diffusion at ideal rates: DiffC-A and DiffC-F, no files"
    parameters = (
        Parameter("model", str, "vdm-demo", help=MODEL_HELP, canonical=absolute_name),
        Parameter("weights", str, "ema", choices=WEIGHTS_CHOICES, help="which weights of a published checkpoint"),
        Parameter("steps", int, 0, minimum=0, maximum=100_000, help="T; 0: the model's own, 20 for vdm-demo"),
        Parameter("deviation", str, OWN, choices=(OWN, *DEVIATIONS), help="of p: VDM's, UQDM's, the network's; or own"),
        Parameter("start", str, "posterior", choices=STARTS, help="z_T from q(z_T | x) at its cost, or from the prior"),
        Parameter("reconstruct", str, ALL, choices=(ALL, *RECONSTRUCTIONS, *PAIRS), help="pictures of each point"),
        Parameter("points", int, 6, minimum=0, help="latents that are shown, evenly spread over the steps; 0: all"),
        Parameter("seed", int, 0, minimum=0, maximum=(1 << 32) - 1, help="seed of the latents"),
        Parameter("noise_seed", int, 0, minimum=0, maximum=(1 << 32) - 1, help="seed of ancestral sampling"),
    )
    suffix = SUFFIX
    batch_size = 16
    holds_model = True
    uses_gpu = True
    varying_reconstructions = frozenset(RECONSTRUCTIONS)

    def __init__(self, **values: Any) -> None:
        from uqdm.progressive.device import images_at_once  # needs torch, which takes seconds to import

        super().__init__(**values)
        try:
            self._twin = _twin(*(self.values[name] for name in ("model", "weights", "steps", "deviation", "start")))
        except ValueError as error:
            raise ParameterError(f"{self.name}: {error}") from error
        self.values |= {"steps": self._twin.n_steps, "deviation": self._twin.deviation}
        self.batch_size = images_at_once(self._twin.device)

    @property
    def version(self) -> str:
        """Model and its digest."""
        return _version(self._twin.model.identity)

    @classmethod
    def version_of(cls, **values: Any) -> str:
        """See :meth:`uqdm.codec.Codec.version_of`."""
        checked = check_parameters(cls, values)
        return _version(identify(checked["model"], checked["weights"]))

    @property
    def device(self) -> str:
        """``cpu``, or the name of the GPU."""
        from uqdm.progressive.device import device_name

        return device_name(self._twin.device)

    def encode_detailed(self, images: Sequence[np.ndarray]) -> list[Encoded]:
        """Ideal bits of each image, with the record from which its pictures are made."""
        check_images(images)
        seed = self.values["seed"]
        found = self._twin.ideal_bits(images, seed)
        shown = {_step_name(step): step for step in self._steps} | {LOSSLESS: self._twin.n_steps + 1}
        return [
            Encoded(
                Record(image, seed).pack(),
                {name: bits[place] for name, place in shown.items()},
                seed,
                calls=self._twin.n_steps,
            )
            for image, bits in zip(images, found, strict=True)
        ]

    def decode(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        """The original images in the records."""
        return [Record.parse(stream).image_uint8.copy() for stream in streams]

    def points(self, stream: bytes) -> list[Point]:
        """The reported steps, and the lossless end; each needs the whole record."""
        names = [(_step_name(step), self._names) for step in self._steps] + [(LOSSLESS, ("exact",))]
        return [Point(name, len(stream), pictures) for name, pictures in names]

    def reconstructions(self, stream: bytes) -> Iterator[Reconstruction]:
        """Repeats the transmission of the record's image with the same noise, and makes the pictures of each point."""
        record = Record.parse(stream)
        points = {point.name: point for point in self.points(stream)}
        height, width, _ = record.image_uint8.shape
        count = tiles.count(height, width, self._twin.model.image_size)
        seeds = {"seed": record.seed, "noise_seed": self.values["noise_seed"]}
        for shown in self._twin.pictures(record.image_uint8, self._steps, self._names, **seeds):
            calls, macs = self._cost(shown.step, shown.reconstruction)
            point = points[_step_name(shown.step)]
            yield Reconstruction(point, shown.reconstruction, shown.image_uint8, calls=calls, macs=count * macs)
        calls, macs = self._cost(self._twin.n_steps, DENOISE)
        yield Reconstruction(points[LOSSLESS], "exact", record.image_uint8.copy(), calls=calls, macs=count * macs)

    def _cost(self, step: int, name: str) -> tuple[int, int]:
        """Network calls of a decoder up to this picture, with that for z_T, and multiply-accumulates per tile."""
        n_steps, macs = self._twin.n_steps, self._step_macs
        opened = range(min(step + 1, n_steps) if name == DENOISE else n_steps)
        predicted = range(n_steps if name == ANCESTRAL else step)
        return len(opened), sum(macs[i].opening for i in opened) + sum(macs[i].sections for i in predicted)

    @functools.cached_property
    def _step_macs(self) -> Sequence[StepMacs]:
        from uqdm.progressive.cost import multiply_accumulates

        model, steps = self._twin.model, self._twin.schedule.steps()
        network = copy.deepcopy(model.denoiser).to("meta")
        if model.denoiser.any_schedule:  # one network for all steps
            return [multiply_accumulates(network, steps[0], model.image_size)] * len(steps)
        return [multiply_accumulates(network, step, model.image_size) for step in steps]

    @property
    def _steps(self) -> list[int]:
        n_steps, count = self._twin.n_steps, self.values["points"]
        if count == 0 or count > n_steps:
            return list(range(n_steps + 1))
        return np.unique(np.linspace(0, n_steps, max(count, 2)).round().astype(int)).tolist()

    @property
    def _names(self) -> tuple[str, ...]:
        wanted: str = self.values["reconstruct"]
        return RECONSTRUCTIONS if wanted == ALL else tuple(wanted.split("+"))


def _version(identity: Identity) -> str:
    return f"Gaussian twin of {identity}"


def _step_name(step: int) -> str:
    return f"step {step}"


@functools.lru_cache(maxsize=4)
def _model(model: str, weights: str) -> Model:
    return load_named(model, weights)


@functools.lru_cache(maxsize=4)
def _twin(model: str, weights: str, n_steps: int, deviation: str, start: str) -> GaussianTwin:
    from uqdm.diffusion.gaussian import deviation_for
    from uqdm.ideal.twin import GaussianTwin
    from uqdm.progressive.device import best_device

    device = best_device()
    loaded = _model(model, weights)
    own = deviation_for(loaded.process, deviation)
    return GaussianTwin(loaded, n_steps or None, deviation=own, start=start, device=device)

"""UQDM as a :class:`uqdm.codec.Codec`."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.codec import Codec, Encoded, Parameter, Point, Reconstruction, StreamParts, check_parameters
from uqdm.diffusion.choices import RECONSTRUCTIONS
from uqdm.model.files import WEIGHTS_CHOICES
from uqdm.model.zoo import MODEL_HELP, absolute_name, identify
from uqdm.progressive.seeds import MAX_SEEDS, SEEDS_FOR

if TYPE_CHECKING:
    from uqdm.progressive.banded.compressor import BandedUQDM
    from uqdm.progressive.compressor import UQDM

LOSSLESS = "lossless"
ALL = "all"
PAIRS = ("denoise+ancestral", "denoise+flow")
"""A faithful and a realistic picture, for less than the cost of all three."""


class UQDMCodec(Codec):
    """Universally quantized diffusion (Yang et al. 2025): one stream, progressive to lossless.

    Files do not depend on ``reconstruct`` and ``noise_seed``, which affect decoding only.

    Points are ``step 0`` (from z_T alone) to ``step T``, and ``lossless``.
    """

    name = "uqdm"
    summary = "universally quantized diffusion, progressive to lossless"
    parameters = (
        Parameter("model", str, "uqdm-demo", help=MODEL_HELP, canonical=absolute_name),
        Parameter("weights", str, "ema", choices=WEIGHTS_CHOICES, help="which weights of a published checkpoint"),
        Parameter("seed", int, 0, minimum=0, maximum=(1 << 32) - 1 - MAX_SEEDS, help="first seed of z_T and dither"),
        Parameter("reconstruct", str, ALL, choices=(ALL, *RECONSTRUCTIONS, *PAIRS), help="which pictures of each step"),
        Parameter("noise_seed", int, 0, minimum=0, maximum=(1 << 32) - 1, help="seed of ancestral sampling"),
        Parameter("seeds", int, 0, minimum=0, maximum=MAX_SEEDS, help="seeds tried per tile; 0: as the model gains"),
        Parameter("seeds_for", str, "step1", choices=SEEDS_FOR, help="what the best seed has the fewest bits of"),
    )
    suffix = ".uqdm"
    batch_size = 16
    holds_model = True
    uses_gpu = True
    varying_reconstructions = frozenset({"ancestral", "flow"})

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self._model: UQDM | BandedUQDM = _load(self.values["model"], self.values["weights"])
        self._check_choices()
        self.batch_size = self._model.images_at_once

    @property
    def version(self) -> str:
        """Model and its digest."""
        return str(self._model.model.identity)

    @classmethod
    def version_of(cls, **values: Any) -> str:
        """See :meth:`uqdm.codec.Codec.version_of`."""
        checked = check_parameters(cls, values)
        return str(identify(checked["model"], checked["weights"]))

    @property
    def setting(self) -> str:
        """As for every codec, but without the default of ``seeds_for``: settings of stored results stay valid."""
        return super().setting.removesuffix(f",seeds_for={SEEDS_FOR[0]}")

    @property
    def device(self) -> str:
        """``cpu``, or the name of the GPU."""
        from uqdm.progressive.device import checked_device, device_name

        return device_name(checked_device(self._model.device))

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        """See :meth:`uqdm.codec.Codec.encode`."""
        made = self._model.compress_detailed(list(images), ideal=False, **self._seeds)
        return [item.stream for item in made]

    def encode_detailed(self, images: Sequence[np.ndarray]) -> list[Encoded]:
        """Adds the ideal bits of the paper's accounting, and the seed (of the first tile)."""
        made = self._model.compress_detailed(list(images), **self._seeds)
        names = [_step_name(step) for step in range(self._model.n_steps + 1)] + [LOSSLESS]
        calls = self._model.costs.encoding_calls
        return [Encoded(item.stream, dict(zip(names, item.ideal_bits, strict=True)), item.seed, calls) for item in made]

    def decode(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        """Decodes whole files, and cut files to their last whole step."""
        return list(self._model.decompress(streams))

    def points(self, stream: bytes) -> list[Point]:
        """Steps 0..T, each with the bytes of its prefix, and the lossless end."""
        container = self._model.open(stream)
        n_steps = self._model.n_steps
        points = [
            Point(_step_name(step), container.stage_end(step), self._reconstructions) for step in range(n_steps + 1)
        ]
        return [*points, Point(LOSSLESS, len(stream), ("exact",))]

    def parts(self, stream: bytes) -> Mapping[str, StreamParts]:
        """Streams of the chunks; index and check values; header."""
        container = self._model.open(stream)
        return {point.name: container.parts(point.n_bytes) for point in self.points(stream)}

    def reconstructions(self, stream: bytes) -> Iterator[Reconstruction]:
        """Every picture of the stream; network calls that pictures share are made once."""
        costs = self._model.costs
        points = {point.name: point for point in self.points(stream)}
        n_tiles = self._model.open(stream).header.n_tiles
        for picture in self._model.pictures(stream, self._reconstructions, noise_seed=self.values["noise_seed"]):
            point = points[LOSSLESS if picture.step is None else _step_name(picture.step)]
            calls = costs.calls(picture.step, picture.reconstruction)
            macs = n_tiles * costs.macs(picture.step, picture.reconstruction)
            milliseconds = 1e3 * picture.seconds
            yield Reconstruction(point, picture.reconstruction, picture.image_uint8, milliseconds, calls, macs)

    @property
    def _seeds(self) -> dict[str, Any]:
        """The seed and how many are tried, as the compressor takes them."""
        values = self.values
        return {"seed": values["seed"], "seeds": values["seeds"] or None, "seeds_for": values["seeds_for"]}

    def _check_choices(self) -> None:
        """Raises ValueError for choices that the model does not have."""
        name = self.values["model"]
        missing = sorted(set(self._reconstructions) - set(self._model.reconstructions))
        if missing:
            known = ", ".join(self._model.reconstructions)
            raise ValueError(f"reconstruct={self.values['reconstruct']}: {name} has no {missing[0]}; it has {known}")
        self._model.check_seeds(**{key: value for key, value in self._seeds.items() if key != "seed"})

    @property
    def _reconstructions(self) -> tuple[str, ...]:
        wanted: str = self.values["reconstruct"]
        return self._model.reconstructions if wanted == ALL else tuple(wanted.split("+"))


def _step_name(step: int) -> str:
    return f"step {step}"


@functools.lru_cache(maxsize=4)
def _load(model: str, weights: str) -> UQDM | BandedUQDM:
    from uqdm.progressive.device import best_device
    from uqdm.progressive.load import load_model  # needs torch, which takes seconds to import

    return load_model(model, weights=weights, device=best_device())

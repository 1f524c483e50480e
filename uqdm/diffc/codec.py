"""DiffC under the contract of :mod:`uqdm.codec`."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.codec import (
    Codec,
    Encoded,
    Parameter,
    ParameterError,
    Point,
    Reconstruction,
    StreamParts,
    check_parameters,
)
from uqdm.diffc import file
from uqdm.diffusion.choices import DENOISE, DEVIATIONS, OWN, RECONSTRUCTIONS
from uqdm.model.files import WEIGHTS_CHOICES
from uqdm.model.identity import Identity
from uqdm.model.zoo import MODEL_HELP, absolute_name, identify, load_named

if TYPE_CHECKING:
    from uqdm.model.checkpoint import Model

ALL = "all"


class DiffCCodec(Codec):
    """Gaussian diffusion sent by channel simulation (DiffC; Theis et al. 2022), in real files.

    :mod:`uqdm.ideal` computes ideal rates of the same process; this codec sends it, at a cost in bits and time that
    ``docs/channel-simulation.md`` shows, and is practical for small images. Points are ``step 0`` (the reconstruction
    from shared noise alone) to the file's last step.
    """

    name = "diffc"
    summary = "Gaussian diffusion in real files by channel simulation; slow, for small images"
    parameters = (
        Parameter("model", str, "vdm-demo", help=MODEL_HELP, canonical=absolute_name),
        Parameter("weights", str, "ema", choices=WEIGHTS_CHOICES, help="which weights of a published checkpoint"),
        Parameter("steps", int, 0, minimum=0, maximum=1000, help="T of the schedule; 0: the model's own"),
        Parameter("deviation", str, OWN, choices=(OWN, *DEVIATIONS), help="of p: VDM's, UQDM's, the network's; or own"),
        Parameter("chunk_bits", int, 4, minimum=1, maximum=16, help="maximum bits of divergence in a message"),
        Parameter("margin_bits", int, 6, minimum=1, maximum=15, help="a search ends at 2^(chunk + margin) candidates"),
        Parameter("send", int, 0, minimum=0, maximum=1000, help="maximum steps in a file; 0: all"),
        Parameter("reconstruct", str, DENOISE, choices=(ALL, *RECONSTRUCTIONS), help="reconstructions of each step"),
        Parameter("seed", int, 0, minimum=0, maximum=(1 << 16) - 1, help="seed of shared randomness"),
        Parameter("noise_seed", int, 0, minimum=0, maximum=(1 << 32) - 1, help="seed of ancestral sampling"),
    )
    # After nine of 14 steps single coordinates have more bits than a message should. Searches of 256 candidates are
    # fast.
    sweep = ({"steps": 14, "chunk_bits": 6, "margin_bits": 2, "send": 9},)
    check_sweep = ({"steps": 14, "chunk_bits": 5, "margin_bits": 2, "send": 6},)
    suffix = ".diffc"
    holds_model = True
    varying_reconstructions = frozenset(RECONSTRUCTIONS)
    batch_size = 1

    def __init__(self, **values: Any) -> None:
        from uqdm.diffc.chunks import Limits  # needs Numba, and the next one torch, which take seconds to import
        from uqdm.diffc.pictures import DiffC

        super().__init__(**values)
        try:
            limits = Limits(self.values["chunk_bits"], self.values["margin_bits"])
            model = _model(self.values["model"], self.values["weights"])
            self._diffc = DiffC(model, self.values["steps"] or None, self.values["deviation"], limits)
        except ValueError as error:
            raise ParameterError(f"{self.name}: {error}") from error

    @property
    def version(self) -> str:
        """Model and its digest, and the version of the library that draws the candidates."""
        return _version(self._diffc.model.identity)

    @classmethod
    def version_of(cls, **values: Any) -> str:
        """See :meth:`uqdm.codec.Codec.version_of`."""
        checked = check_parameters(cls, values)
        return _version(identify(checked["model"], checked["weights"]))

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        """See :meth:`uqdm.codec.Codec.encode`."""
        return [made.stream for made in self.encode_detailed(images)]

    def encode_detailed(self, images: Sequence[np.ndarray]) -> list[Encoded]:
        """Adds the ideal bits: the cumulative KL divergences of the steps."""
        made = [
            self._diffc.compress(image, seed=self.values["seed"], max_steps=self.values["send"] or None)
            for image in images
        ]
        return [
            Encoded(
                item.stream,
                {_step_name(step): float(bits) for step, bits in enumerate(np.cumsum([0.0, *item.ideal_bits]))},
                self.values["seed"],
                calls=len(item.ideal_bits),
            )
            for item in made
        ]

    def decode(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        """The image of the last complete step of each file or prefix of a file."""
        return [self._diffc.decompress(stream) for stream in streams]

    def points(self, stream: bytes) -> list[Point]:
        """``step 0``, from shared noise alone, and each step of the file."""
        ends = self._diffc.step_ends(stream)
        ends[-1] = len(stream)  # the file ends with the check value of all steps
        return [Point(_step_name(step), end, self._reconstructions) for step, end in enumerate(ends)]

    def parts(self, stream: bytes) -> Mapping[str, StreamParts]:
        """Steps; check values of the header and, at the end of the file, of the steps; header."""
        return {point.name: file.parts(point.n_bytes, len(stream)) for point in self.points(stream)}

    def reconstructions(self, stream: bytes) -> Iterator[Reconstruction]:
        """Every reconstruction of every step."""
        points = self.points(stream)
        for shown in self._diffc.pictures(stream, self._reconstructions, noise_seed=self.values["noise_seed"]):
            yield Reconstruction(points[shown.n_steps], shown.reconstruction, shown.image_uint8, calls=shown.calls)

    @property
    def _reconstructions(self) -> tuple[str, ...]:
        wanted: str = self.values["reconstruct"]
        return RECONSTRUCTIONS if wanted == ALL else (wanted,)


def _version(identity: Identity) -> str:
    return f"DiffC of {identity}, NumPy {np.__version__}"


def _step_name(step: int) -> str:
    return f"step {step}"


@functools.lru_cache(maxsize=4)
def _model(model: str, weights: str) -> Model:
    return load_named(model, weights)

"""DDCM and Turbo-DDCM under the contract of :mod:`uqdm.codec`."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

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
from uqdm.diffusion.choices import RECONSTRUCTIONS
from uqdm.model.files import WEIGHTS_CHOICES
from uqdm.model.identity import Identity
from uqdm.model.zoo import MODEL_HELP, absolute_name, identify, load_named

if TYPE_CHECKING:
    from uqdm.ddcm.file import Parsed
    from uqdm.model.checkpoint import Model

ALL = "all"
PAIRS = ("denoise+ancestral", "denoise+flow")
MAX_WORD_BITS = 16
_COEFFICIENT_BITS = "coefficient_bits"


def _parameters(steps: int, vectors: int, vectors_help: str, *more: Parameter) -> tuple[Parameter, ...]:
    return (
        Parameter("model", str, "vdm-demo", help=MODEL_HELP, canonical=absolute_name),
        Parameter("weights", str, "ema", choices=WEIGHTS_CHOICES, help="which weights of a published checkpoint"),
        Parameter("steps", int, steps, minimum=1, maximum=4096, help="steps with codewords"),
        Parameter(
            "codewords",
            int,
            4096,
            choices=tuple(1 << bits for bits in range(1, MAX_WORD_BITS + 1)),
            help="K: words of the codebook of a step",
        ),
        Parameter("vectors", int, vectors, minimum=1, maximum=1024, help=vectors_help),
        *more,
        Parameter("gamma_end", float, None, help="-log SNR at the end of the steps with codewords; by default by rate"),
        Parameter("spacing", float, 0.5, minimum=0, maximum=2.55, help="these steps are even in SNR^spacing"),
        Parameter("free", int, 8, minimum=1, maximum=255, help="steps without codewords after them, for flow"),
        Parameter("points", int, 6, minimum=0, help="coded steps that are shown, evenly spread; 1: the last; 0: all"),
        Parameter(
            "reconstruct",
            str,
            "denoise+flow",
            choices=(ALL, *RECONSTRUCTIONS, *PAIRS),
            help="reconstructions of each point",
        ),
        Parameter("seed", int, 0, minimum=0, maximum=(1 << 16) - 1, help="seed of z_T and of the codebooks"),
        Parameter("noise_seed", int, 0, minimum=0, maximum=(1 << 32) - 1, help="seed of ancestral sampling"),
    )


class TurboDDCMCodec(Codec):
    """Turbo-DDCM (Vaisman et al. 2025): the noise of a step is a sum of ``vectors`` signed codewords.

    Points are ``step 0`` (z_T alone) to the last coded step, of which ``points`` are reported. Noise levels fit the
    rate of the whole file: with a single point, files of several settings are the points of one curve.
    """

    name = "turbo-ddcm"
    summary = "Gaussian diffusion whose noise is a sum of several signed codewords a step (Turbo-DDCM)"
    parameters = _parameters(20, 5, "M: codewords in the noise of a step, chosen by thresholding")
    sweep: ClassVar[tuple[Mapping[str, Any], ...]] = tuple({"vectors": vectors} for vectors in (1, 2, 5, 10, 20))
    check_sweep: ClassVar[tuple[Mapping[str, Any], ...] | None] = ({"steps": 10, "vectors": 20, "points": 1},)
    suffix = ".ddcm"
    holds_model = True
    varying_reconstructions = frozenset(RECONSTRUCTIONS)
    batch_size = 16  # the codebooks of a batch are generated once

    def __init__(self, **values: Any) -> None:
        from uqdm.ddcm.pictures import DDCM, Settings  # needs torch, which takes seconds to import

        super().__init__(**values)
        try:
            settings = Settings(
                word_bits=self.values["codewords"].bit_length() - 1,
                coefficient_bits=self.values.get(_COEFFICIENT_BITS, 0),
                vectors=self.values["vectors"],
                n_coded=self.values["steps"],
                n_free=self.values["free"],
                gamma_end=self.values["gamma_end"],
                spacing=self.values["spacing"],
            )
            self._ddcm = DDCM(_model(self.values["model"], self.values["weights"]), settings)
        except ValueError as error:
            raise ParameterError(f"{self.name}: {error}") from error

    @property
    def version(self) -> str:
        """Model and its digest."""
        return self._version(self._ddcm.model.identity)

    @classmethod
    def version_of(cls, **values: Any) -> str:
        """See :meth:`uqdm.codec.Codec.version_of`."""
        checked = check_parameters(cls, values)
        return cls._version(identify(checked["model"], checked["weights"]))

    @classmethod
    def _version(cls, identity: Identity) -> str:
        return f"{cls.__name__.removesuffix('Codec')} of {identity}"

    @property
    def progressive(self) -> bool:
        """Whether several steps are points."""
        return bool(self.values["points"] != 1)

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        """See :meth:`uqdm.codec.Codec.encode`."""
        return [made.stream for made in self._ddcm.compress(images, seed=self.values["seed"])]

    def encode_detailed(self, images: Sequence[np.ndarray]) -> list[Encoded]:
        """Adds the ideal bits of each point: log2 of the number of choices up to it."""
        found = []
        for made in self._ddcm.compress(images, seed=self.values["seed"]):
            bits = {_step_name(step): made.ideal_bits[step] for step in self._shown(self._ddcm.parse(made.stream))}
            found.append(Encoded(made.stream, bits, self.values["seed"], calls=made.calls))
        return found

    def decode(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        """The image of the last complete step of each file or prefix: the first kind of ``reconstruct``."""
        return [self._ddcm.decompress(stream, self._reconstructions[0]) for stream in streams]

    def points(self, stream: bytes) -> list[Point]:
        """``step 0``, from z_T alone, to the last step of the file or prefix."""
        parsed = self._ddcm.parse(stream)
        return [self._point(parsed, step, len(stream)) for step in self._shown(parsed)]

    def parts(self, stream: bytes) -> Mapping[str, StreamParts]:
        """Steps; check values of the header and, at the end of the file, of the steps; header."""
        parsed = self._ddcm.parse(stream)
        return {point.name: parsed.parts(point.n_bytes) for point in self.points(stream)}

    def reconstructions(self, stream: bytes) -> Iterator[Reconstruction]:
        """Every reconstruction of every point."""
        parsed = self._ddcm.parse(stream)
        points = {step: self._point(parsed, step, len(stream)) for step in self._shown(parsed)}
        noise_seed = self.values["noise_seed"]
        for shown in self._ddcm.pictures(stream, self._reconstructions, steps=points, noise_seed=noise_seed):
            yield Reconstruction(
                points[shown.n_steps], shown.reconstruction, shown.image_uint8, calls=shown.calls, macs=shown.macs
            )

    def _point(self, parsed: Parsed, step: int, n_bytes: int) -> Point:
        is_last = step == parsed.n_steps
        return Point(_step_name(step), n_bytes if is_last else parsed.end(step), self._reconstructions)

    def _shown(self, parsed: Parsed) -> list[int]:
        """The steps that are points: spread evenly, and each with a prefix of its own."""
        if self.values["points"] == 1:
            return [parsed.n_steps]
        count = self.values["points"] or parsed.n_steps + 1
        steps = np.unique(np.linspace(0, parsed.n_steps, max(count, 2)).round().astype(int)).tolist()
        own = {parsed.end(step): step for step in steps}
        return [step for step in steps if own[parsed.end(step)] == step]

    @property
    def _reconstructions(self) -> tuple[str, ...]:
        wanted: str = self.values["reconstruct"]
        return RECONSTRUCTIONS if wanted == ALL else tuple(wanted.split("+"))


class DDCMCodec(TurboDDCMCodec):
    """DDCM (Ohayon et al. 2025): the noise of a step is the codeword nearest to the residual.

    With more ``vectors`` it is a combination found by matching pursuit.
    """

    name = "ddcm"
    summary = "Gaussian diffusion whose noise is a codeword of each step's codebook (DDCM)"
    parameters = _parameters(
        64,
        1,
        "codewords in the noise of a step, chosen by matching pursuit",
        Parameter(_COEFFICIENT_BITS, int, 3, minimum=1, maximum=8, help="bits of the weight of each further codeword"),
    )
    sweep = ({"steps": 32}, {"steps": 64}, {"steps": 128})
    check_sweep = ({"steps": 24, "codewords": 512, "vectors": 3, "points": 1},)


def _step_name(step: int) -> str:
    return f"step {step}"


@functools.lru_cache(maxsize=4)
def _model(model: str, weights: str) -> Model:
    return load_named(model, weights)

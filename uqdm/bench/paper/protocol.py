"""The settings of the published figures: a codec and setting for each point, and known differences of libraries.

Yang, Will & Mandt, ICLR 2025, Figures 3 (CIFAR-10) and 4 (ImageNet64). The settings of the classic codecs are in the
protocol column of the published figures. The effects of other libraries were measured on the first 1,017 CIFAR-10
test images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uqdm.paths import absolute_text

FIGURES = {"cifar10": "Figure 3", "imagenet64": "Figure 4"}
"""By the names of :func:`uqdm.bench.analysis.published_curves.published_names`."""
TITLES = {"cifar10": "CIFAR-10", "imagenet64": "ImageNet 64x64"}
PIXELS = {"cifar10": 32 * 32, "imagenet64": 64 * 64}
"""Pixels of an image."""

_LAYERS = ("20", "10", "5", "3", "2", "1")
_WAYS = {"uqdm-d": "denoise", "uqdm-a": "ancestral", "uqdm-f": "flow"}
UQDM = "uqdm"
HYPERPRIOR = "hyperprior"


@dataclass(frozen=True)
class Place:
    """The counterpart of a published point in a run: a codec, its setting, a point of the stream, and a picture."""

    codec: str
    parameters: Mapping[str, Any]
    point: str = "full"
    reconstruction: str = "decoded"

    @property
    def label(self) -> str:
        """The text that distinguishes the points of a system."""
        if self.codec == UQDM:
            return self.point
        if self.codec == HYPERPRIOR:
            return f"quality {self.parameters['quality']}" if "quality" in self.parameters else self.file_name
        return " ".join(key if value is True else f"{key} {value}" for key, value in self.parameters.items())

    @property
    def file_name(self) -> str:
        """The file of a place that names a checkpoint."""
        return Path(self.parameters["model"]).name


@dataclass(frozen=True)
class Tolerance:
    """Allowed effect of another library or seed on a mean: a share of the rate, bits per pixel, and dB."""

    rate_share: float = 0.0
    rate_bpp: float = 0.0
    psnr_db: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class System:
    """A published system that runs here: its title, its points in their published order, and the tolerance."""

    title: str
    places: Sequence[Place]
    tolerance: Tolerance


@dataclass(frozen=True)
class Model:
    """A UQDM model to compare with the published rows; ``is_published`` says that it is the model of those rows."""

    label: str
    path: str
    is_published: bool = False

    @property
    def parameters(self) -> dict[str, Any]:
        """Its setting: one seed for all tiles, as in the paper, not the best of several."""
        return {"model": self.path, "seeds": 1}


@dataclass(frozen=True)
class Learned:
    """A published learned codec, whose weights and settings are not published.

    ``architecture`` is the one of the codec ``hyperprior`` that it is; empty if it is none of them. ``lacking`` says
    what to do for a run.
    """

    title: str
    architecture: str
    lacking: str


@dataclass(frozen=True)
class Weights:
    """Checkpoints to run for a published learned codec, a file for each rate; ``is_published`` says that they are those
    of the published figures.
    """

    system: str
    files: tuple[str, ...]
    is_published: bool = False

    @property
    def label(self) -> str:
        """The text that distinguishes them from the published figures."""
        return "published weights" if self.is_published else "other weights"

    @property
    def places(self) -> list[Place]:
        """The files in a run, in the given order."""
        return [Place(HYPERPRIOR, {"model": absolute_text(file)}) for file in self.files]


_FILES = {
    "jpeg": System(
        "JPEG",
        [Place("jpeg", {"quality": quality}) for quality in (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100)],
        Tolerance(0.006, 0, 0.1, "libjpeg-turbo against IJG libjpeg 9, up to quality 90"),
    ),
    "jpeg2000": System(
        "JPEG 2000",
        [Place("jpeg2000", {"layers": ",".join(_LAYERS[: count + 1])}) for count in range(len(_LAYERS))],
        Tolerance(0.006, 0, 0.05, "versions of OpenJPEG, which signs its files"),
    ),
    "bpg": System(
        "BPG",
        [
            *(Place("bpg", {"quality": quality}) for quality in (51, 40, 30, 20, 10, 0)),
            Place("bpg", {"lossless": True}),
        ],
        Tolerance(0.006, 0, 0.05, "versions of libbpg"),
    ),
}

_UQDM_TOLERANCE = Tolerance(
    0, 0.1, 0.1, "the seed: over 16 of them the first step of uqdm-tiny costs 0.51 to 0.67 bpp on ImageNet64"
)

# The script that plots the published figures names the two papers: Ballé et al., 2018, and Minnen et al., 2020.
_NAME_WEIGHTS = "no weights are named: list checkpoints of {}, a file for each rate, as checkpoints: {}"
LEARNED = {
    "vae-b": Learned(
        "VAE (Ballé et al. 2018)", "bmshj2018-hyperprior", _NAME_WEIGHTS.format("bmshj2018-hyperprior", "vae-b")
    ),
    "vae-m": Learned(
        "VAE (Minnen et al. 2020)",
        "",
        "no codec here has its architecture; for mbt2018-mean beside it, list checkpoints, a file for each rate, as "
        "checkpoints: vae-m",
    ),
}
"""Published learned codecs that run with weights that the configuration names."""

SMALL_MODEL = "ntc-demo"
SMALL_LABEL = f"{SMALL_MODEL} (small)"
SMALL_TITLE = f"{HYPERPRIOR} {SMALL_LABEL}"
SMALL_REASON = "another, smaller model, trained on 800 images"
SMALL_PLACES = [Place(HYPERPRIOR, {"model": SMALL_MODEL, "quality": quality}) for quality in range(1, 9)]
"""The shipped model of learned transform coding, which is run beside the published systems."""

LEARNED_BYTES = 15
"""Tolerance of the rate of a learned codec: header and end of a file, which published rates may not count."""
EQUAL_PSNR_SHARE = 0.025
"""Tolerance of the rate at equal PSNR, for BPG by an HEVC encoder other than the published one."""
FID_SHARE, FID_ABSOLUTE = 0.02, 0.05
"""Tolerance of FID, which has no interval over images: other libraries give other pictures."""

_LIBJPEG = "libjpeg-turbo; the paper's IJG libjpeg 9 scales chroma in the DCT"
_X265 = "libx265 in place of the paper's jctvc"
_LAST_ANCESTRAL = "the last picture is of the likeliest levels here, of levels drawn at random as published"
_X265_LOSSLESS = "libx265, without HEVC's range extension, in place of the paper's jctvc"


def systems(models: Sequence[Model]) -> dict[tuple[str, str], System]:
    """The systems that run, by published name and label of the model (empty where there is none)."""
    found = {(name, ""): system for name, system in _FILES.items()}
    for model in models:
        for name, way in _WAYS.items():
            places = [Place(UQDM, model.parameters, f"step {step}", way) for step in range(5)]
            found[name, model.label] = System(f"UQDM, {way}: {model.label}", places, _UQDM_TOLERANCE)
    return found


def codecs(
    models: Sequence[Model],
    options: Mapping[str, Mapping[str, Any]] | None = None,
    weights: Sequence[Weights] = (),
) -> dict[str, Any]:
    """The codecs of a run that has all of these points, as under ``codecs`` in the configuration.

    ``options`` holds more parameters by codec, for each of its settings.

    >>> codecs([])["jpeg2000"][:2]
    [{'layers': '20'}, {'layers': '20,10'}]
    """
    wanted = {name: [dict(place.parameters) for place in system.places] for name, system in _FILES.items()}
    if models:
        wanted[UQDM] = [model.parameters for model in models]
    wanted[HYPERPRIOR] = [{**place.parameters, "label": SMALL_LABEL} for place in SMALL_PLACES]
    for one in weights:
        wanted[HYPERPRIOR] += [{**place.parameters, "label": f"{one.system} ({one.label})"} for place in one.places]
    for name, more in (options or {}).items():
        if name not in wanted:
            raise ValueError(f"options for {name}, which is no codec of the paper's rows: {', '.join(wanted)}")
        wanted[name] = [{**parameters, **more} for parameters in wanted[name]]
    return wanted


def known_difference(place: Place, codec_version: str) -> str:
    """Why the library of a run is known to differ from the published row at this setting; empty if it isn't."""
    if place.codec == "jpeg" and place.parameters["quality"] >= 95 and "libjpeg-turbo" in codec_version:
        return _LIBJPEG
    if place.codec == UQDM and (place.point, place.reconstruction) == ("step 4", "ancestral"):
        return _LAST_ANCESTRAL
    if another_encoder(place, codec_version):
        return _X265_LOSSLESS if place.parameters.get("lossless") else _X265
    return ""


def another_encoder(place: Place, codec_version: str) -> bool:
    """True if the rates at this setting are not comparable, because the encoders' quality scales differ."""
    return place.codec == "bpg" and "x265" in codec_version


def parse_models(texts: Sequence[str], published: Sequence[str] = ()) -> list[Model]:
    """Models from ``LABEL=PATH`` or ``PATH``; ``published`` lists the labels of those that are the published ones.

    >>> parse_models(["models/uqdm-tiny", "mine=models/other"])[0].label
    'uqdm-tiny'
    """
    models: list[Model] = []
    for text in texts:
        label, equals, path = text.partition("=")
        model = Model(label, path) if equals else Model(Path(text).name, text)
        if not (model.label and model.path) or any(model.label == other.label for other in models):
            raise ValueError(f"model {text!r}: write it as LABEL=PATH, each with a different label")
        models.append(Model(model.label, model.path, model.label in published))
    unknown = set(published) - {model.label for model in models}
    if unknown:
        raise ValueError(f"no model is labelled {', '.join(sorted(unknown))}")
    return models


def parse_weights(texts: Sequence[str], published: Sequence[str] = ()) -> list[Weights]:
    """Checkpoints from ``SYSTEM=FILE``, one for each rate; ``published`` lists the systems whose own ones they are.

    >>> parse_weights(["vae-b=low.pth.tar", "vae-b=high.pth.tar"])
    [Weights(system='vae-b', files=('low.pth.tar', 'high.pth.tar'), is_published=False)]
    """
    files: dict[str, tuple[str, ...]] = {}
    for text in texts:
        system, _, file = text.partition("=")
        if system not in LEARNED or not file:
            raise ValueError(f"checkpoint {text!r}: write it as SYSTEM=FILE, SYSTEM one of {', '.join(LEARNED)}")
        files[system] = (*files.get(system, ()), file)
    unknown = set(published) - set(files)
    if unknown:
        raise ValueError(f"no checkpoint is named for {', '.join(sorted(unknown))}")
    return [Weights(system, of_system, system in published) for system, of_system in files.items()]

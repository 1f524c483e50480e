"""Checks of a model's ``config.json``, in the project's own layout and in the published one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from uqdm.model import schema
from uqdm.model.files import BANDED_FORMAT, CONFIG, REFINE_FORMAT, TRANSFORM_FORMAT, CheckpointError
from uqdm.text import counted

FORMAT = "uqdm-model-1"
"""Format of a ``config.json`` in the project's own layout."""
KINDS = ("multiscale", "points", "sectioned", "stepwise", "unet")
MAX_WEIGHTS = 1 << 31
"""Most weights of a model; each takes 4 bytes."""
MAX_BLOCKS = 8192
MIN_SLOPE = 1e-6
LOWEST_GAMMA = -50.0


def read_config(folder: Path) -> dict[str, Any]:
    """The content of a folder's ``config.json``, not yet checked. Raises :class:`CheckpointError`."""
    file = folder / CONFIG
    if not file.is_file():
        raise CheckpointError(f"{folder}: no {CONFIG}; a model is a folder with {CONFIG} and its weights")
    try:
        return schema.read_json(file)
    except schema.SchemaError as error:
        raise CheckpointError(str(error)) from error


_OTHER_FORMATS = {
    BANDED_FORMAT: ("banded.json", "a process in bands"),
    REFINE_FORMAT: ("refine.json", "a second stage"),
    TRANSFORM_FORMAT: ("transform.json", "transform coding"),
}
"""Of each format with one schema: the file of the schema, and what a model of the format is of."""


def read_checked(folder: Path, form: str) -> dict[str, Any]:
    """The content of a folder's ``config.json``, checked by the schema of its format.

    ``form`` is the format that it must have, one of :mod:`uqdm.model.files` other than the project's own for
    diffusion models. Raises :class:`CheckpointError`, which names the file.

    >>> from uqdm.model.zoo import find
    >>> read_checked(find("uqdm-demo"), BANDED_FORMAT)["image_size"]
    64
    """
    file, (schema_name, kind) = folder / CONFIG, _OTHER_FORMATS[form]
    try:
        config = schema.read_json(file)
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read ({error.strerror})") from error
    except schema.SchemaError as error:
        raise CheckpointError(str(error)) from error
    if config.get("format") != form:
        raise CheckpointError(f"{file}: format {config.get('format')!r} is not {form!r}: not a model of {kind}")
    _check(config, schema_name, str(file))
    return config


def check_own(config: dict[str, Any], where: str) -> None:
    """Raises :class:`CheckpointError` unless a folder's configuration in the project's own layout is valid."""
    if config.get("format") != FORMAT:
        raise CheckpointError(f"{where}: format {config.get('format')!r}; this version reads {FORMAT!r}")
    check_model(config, where)
    if "image_size" not in config:
        raise CheckpointError(f"{where}: image_size must be given")


def check_published(config: dict[str, Any], where: str) -> None:
    """Raises :class:`CheckpointError` unless a configuration has the published layout."""
    _check(config, "published.json", where)
    model = config["model"]
    names = {"gamma_min": "gamma_min", "gamma_max": "gamma_max", "n_attention_heads": "n_attention_heads"}
    names |= {"embedding_dim": "embedding_dim", "norm_groups": "norm_groups"}
    _require(_unet_fault({own: model[theirs] for own, theirs in names.items()}), f"{where}: model")


def check_model(config: dict[str, Any], where: str) -> None:
    """Raises :class:`CheckpointError` unless a configuration in the project's own layout is valid.

    ``image_size`` may be absent, as in a training configuration, which has it in another place.
    """
    _check(config, "model.json", where)
    denoiser, n_steps = config["denoiser"], config["schedule"]["n_steps"]
    kind = denoiser["kind"]
    if kind not in KINDS:
        raise CheckpointError(f"{where}: denoiser kind {schema.short(kind)} is unknown; known: {', '.join(KINDS)}")
    _check(denoiser, "model.json", f"{where}: denoiser", kind)
    _require(_schedule_fault(config["schedule"]), f"{where}: schedule")
    _require(_FAULTS[kind](denoiser, n_steps), f"{where}: denoiser")
    _require(_size_fault(kind, denoiser), f"{where}: denoiser")
    _require(_data_fault(config, kind), where)
    tolerance = config.get("tolerance")
    if tolerance is not None and len(tolerance) != n_steps:
        raise CheckpointError(f"{where}: tolerance: must have {n_steps} entries, one for each step")


def least_weights(config: dict[str, Any]) -> int:
    """Lower bound of the number of weights of a checked configuration; biases are not counted."""
    return _WEIGHTS[config["denoiser"]["kind"]](config["denoiser"])


def _check(data: Any, name: str, where: str, part: str | None = None) -> None:
    try:
        schema.check(data, name, where, part)
    except schema.SchemaError as error:
        raise CheckpointError(str(error)) from error


def _require(fault: str | None, where: str) -> None:
    if fault is not None:
        raise CheckpointError(f"{where}: {fault}")


# ---- consistency --------------------------------------------------------------------------------------------


def _schedule_fault(schedule: dict[str, Any]) -> str | None:
    slope = abs(schedule["slope"])
    if slope < MIN_SLOPE:
        return f"slope must be at least {MIN_SLOPE}, or at most -{MIN_SLOPE}, got {schedule['slope']}"
    if schedule["gamma_max"] - slope < LOWEST_GAMMA:
        return f"gamma_max - slope must be at least {LOWEST_GAMMA:g}, got {schedule['gamma_max'] - slope:g}"
    return None


def _unet_fault(options: dict[str, Any], n_steps: int = 1) -> str | None:
    width = options["embedding_dim"]
    for name in ("norm_groups", "n_attention_heads"):
        if width % options.get(name, 1):
            return f"{name} {options[name]} does not divide embedding_dim {width}"
    return _gamma_fault(options, -12.3, 6.0)


def _points_fault(options: dict[str, Any], n_steps: int) -> str | None:
    return _gamma_fault(options, -13.3, 5.0)


def _gamma_fault(options: dict[str, Any], default_min: float, default_max: float) -> str | None:
    low, high = options.get("gamma_min", default_min), options.get("gamma_max", default_max)
    return None if low < high else f"gamma_min {low} is not below gamma_max {high}"


def _stepwise_fault(options: dict[str, Any], n_steps: int) -> str | None:
    widths, dilations = options["widths"], options["dilations"]
    if not len(widths) == len(dilations) == n_steps - 1:
        return f"{counted(n_steps, 'step')} need {counted(n_steps - 1, 'width')} and lists of dilations"
    return None


def _sectioned_fault(options: dict[str, Any], n_steps: int) -> str | None:
    found = len(options["networks"])
    return (
        None
        if found == n_steps - 1
        else f"{counted(n_steps, 'step')} need {counted(n_steps - 1, 'network')}, not {found}"
    )


def _multiscale_fault(options: dict[str, Any], n_steps: int) -> str | None:
    widths, blocks = options["widths"], options["blocks"]
    if len(widths) != len(blocks):
        return (
            f"widths has {counted(len(widths), 'entry', 'entries')}, blocks {len(blocks)}; each resolution needs both"
        )
    return _gamma_fault(options, -12.3, 6.0)


_FAULTS: dict[str, Callable[[dict[str, Any], int], str | None]] = {
    "multiscale": _multiscale_fault,
    "points": _points_fault,
    "sectioned": _sectioned_fault,
    "stepwise": _stepwise_fault,
    "unet": _unet_fault,
}


def _data_fault(config: dict[str, Any], kind: str) -> str | None:
    """Checks size, channels and levels of the data against those of the denoiser."""
    size, levels = config.get("image_size"), config.get("levels")
    if size is not None and kind == "points" and size != 1:
        return f"image_size: a denoiser of kind points has images of 1 pixel, not {size}"
    if size is not None and kind == "multiscale" and size % 2 ** (len(config["denoiser"]["widths"]) - 1):
        return f"image_size: {size} pixels cannot be halved {len(config['denoiser']['widths']) - 1} times"
    if size is not None and kind == "sectioned" and size % 2:
        return f"image_size: a denoiser of kind sectioned has images of an even size, not {size}"
    if levels is None:
        return None
    if len(levels["mean"]) != len(levels["deviation"]):
        return "levels: mean and deviation must have as many entries as one another"
    options = config["denoiser"]
    channels = options.get("n_channels" if kind == "unet" else "channels", 2 if kind == "points" else 3)
    if len(levels["mean"]) not in (1, channels):
        return f"levels: must have an entry for each of the {channels} channels, not {len(levels['mean'])}"
    return None


# ---- sizes --------------------------------------------------------------------------------------------------


def _size_fault(kind: str, options: dict[str, Any]) -> str | None:
    weights = _WEIGHTS[kind](options)
    if weights > MAX_WEIGHTS:
        return f"describes {weights} weights, more than {MAX_WEIGHTS}"
    lists = [*options.get("dilations", ()), *(network["dilations"] for network in options.get("networks", ()))]
    lists += [network.get("inner", ()) for network in options.get("networks", ())]
    blocks = sum(map(len, lists)) + sum(options["blocks"] if kind == "multiscale" else ())
    return f"describes {blocks} blocks, more than {MAX_BLOCKS}" if blocks > MAX_BLOCKS else None


def _stepwise_weights(options: dict[str, Any]) -> int:
    channels = options.get("channels", 3)
    networks = zip(options["widths"], options["dilations"], strict=False)
    return sum(27 * channels * width + 18 * width**2 * len(spread) for width, spread in networks)


def _sectioned_weights(options: dict[str, Any]) -> int:
    return sum(map(_one_sectioned_weights, options["networks"]))


def _one_sectioned_weights(network: dict[str, Any]) -> int:
    width, hidden, kernel = network["width"], network["hidden"], network.get("kernel", 3)
    trunk = 54 * width + 18 * width**2 * len(network["dilations"])
    if network.get("inner"):
        trunk += 16 * width**2 + 72 * width**2 * len(network["inner"])
    heads = 48 * width * hidden + 144 * hidden * kernel**2 + 12 * hidden**2 + 24 * hidden
    return trunk + heads


def _unet_weights(options: dict[str, Any]) -> int:
    width = options["embedding_dim"]
    attention = 4 * width**2 * (1 + (2 * options["n_blocks"] + 1) * bool(options.get("attention_everywhere", False)))
    # A block has two convolutions of 9 and the condition's projection of 4; one on the way up twice the inputs, a skip.
    down, up = 22 * width**2, 33 * width**2
    return 20 * width**2 + attention + (options["n_blocks"] + 2) * down + (options["n_blocks"] + 1) * up


def _multiscale_weights(options: dict[str, Any]) -> int:
    pairs = list(zip(options["widths"], options["blocks"], strict=False))
    return sum(36 * width**2 * blocks for width, blocks in pairs) + 18 * pairs[0][0] ** 2


def _points_weights(options: dict[str, Any]) -> int:
    return int(options.get("width", 512)) ** 2


_WEIGHTS: dict[str, Callable[[dict[str, Any]], int]] = {
    "multiscale": _multiscale_weights,
    "points": _points_weights,
    "sectioned": _sectioned_weights,
    "stepwise": _stepwise_weights,
    "unet": _unet_weights,
}

"""Which settings of a codec belong together: those that differ in one parameter are points of one curve."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

from uqdm import nested
from uqdm.codec import ParameterError

AT = "@"
"""Before the target in the text of a setting, and before targets in requests: ``@bpp=0.5``."""
NAMING = ("model", "codec", "encode", "decode")
"""Parameters whose values name what codes: a model, another codec, a program. Settings that differ in one of these are
not points of one curve, except for models of one rate each that share a label."""
MODEL = "model"
_INNER = "codec"
"""The parameter that names a codec inside a codec."""


def is_naming(name: str) -> bool:
    """Whether a parameter of :func:`curve_parameters` is one of ``NAMING``, of the codec or of one inside it.

    >>> is_naming("codec.model"), is_naming("codec.quality")
    (True, False)
    """
    return name.rpartition(".")[2] in NAMING


def parameters_of(setting: str) -> dict[str, str]:
    """The parameters in the text of a setting; a part without ``=`` continues the value before it.

    >>> parameters_of("layers=20,10,mct=0")
    {'layers': '20,10', 'mct': '0'}
    """
    parameters: dict[str, str] = {}
    name = ""
    for part in setting.split(",") if setting else ():
        if "=" in part:
            name, _, parameters[name] = part.partition("=")
        elif name:
            parameters[name] += f",{part}"
    return parameters


def curve_parameters(setting: str) -> dict[str, str]:
    """The parameters in the text of a setting, with those of a codec inside it as parameters of their own.

    So settings of a codec that works on another one are points of a curve where the other one's settings are.

    >>> curve_parameters("codec=bpg:quality=40;preset=fast,steps=8")
    {'codec': 'bpg', 'codec.quality': '40', 'codec.preset': 'fast', 'steps': '8'}
    >>> curve_parameters("codec=refine:codec=(bpg:quality=40),lam=0")
    {'codec': 'refine', 'codec.codec': 'bpg', 'codec.codec.quality': '40', 'lam': '0'}
    """
    found: dict[str, str] = {}
    for name, value in parameters_of(setting).items():
        found |= _with_inner(name, value) if name == _INNER else {name: value}
    return found


def _with_inner(name: str, text: str) -> dict[str, str]:
    try:
        codec, parameters = nested.parse(text)
    except ParameterError:  # the parameter of a plug-in that means something else
        return {name: text}
    found = {name: codec}
    for inner, value in parameters.items():
        found |= _with_inner(f"{name}.{inner}", value) if inner == _INNER else {f"{name}.{inner}": value}
    return found


def families(settings: Iterable[str]) -> dict[str, str]:
    """For each setting the parameters in which it differs from others, except the swept one (with the most values).

    >>> families(["quality=1,fast=true", "quality=2,fast=true", "quality=1,fast=false"])
    {'quality=1,fast=true': 'fast=true', 'quality=2,fast=true': 'fast=true', 'quality=1,fast=false': 'fast=false'}

    A sweep in which other parameters switch at some value is one family: each number of the swept parameter occurs
    once, and each value of another parameter holds over one range of these numbers.

    >>> families(["quality=1,full=false", "quality=2,full=false", "quality=3,full=true"]).values()
    dict_values(['', '', ''])

    Settings that were searched for targets of one quantity are families of their own, apart from the others.

    >>> families(["quality=1", "quality=2", "@bpp=0.5", "@bpp=1"]).values()
    dict_values(['', '', 'target=bpp', 'target=bpp'])

    Models are swept where nothing else is: models of one rate each.

    >>> families(["model=low.pth.tar,quality=0", "model=high.pth.tar,quality=0"]).values()
    dict_values(['', ''])
    """
    kinds: dict[str, dict[str, dict[str, str]]] = {}
    for setting in settings:
        kinds.setdefault(_target_of(parameters_of(setting)), {})[setting] = curve_parameters(setting)
    found = {kind: _families_of_kind(parsed) for kind, parsed in kinds.items()}
    by_setting = {setting: (kind, family) for kind, of_kind in found.items() for setting, family in of_kind.items()}
    if len(kinds) == 1:
        return {setting: family for setting, (_, family) in by_setting.items()}
    return {
        setting: ",".join(filter(None, [f"target={kind}" if kind else "", family]))
        for setting, (kind, family) in by_setting.items()
    }


def _target_of(parameters: Mapping[str, str]) -> str:
    """The quantity and relation of a setting's target, ``bpp`` or ``lpips<=``; empty without a target."""
    names = [name.removeprefix(AT) for name in parameters if name.startswith(AT)]
    return "".join(f"{name}=" if name[-1] in "<>" else name for name in names)


def _families_of_kind(parsed: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    swept = swept_parameter(parsed.values())
    values = values_of(parsed.values())
    varied = [name for name in values if name != swept and len(values[name]) > 1]
    if not any(map(is_naming, varied)) and _switches(list(parsed.values()), swept, varied):
        varied = []
    return {
        setting: ",".join(f"{name}={each[name]}" for name in varied if name in each) for setting, each in parsed.items()
    }


def values_of(parsed: Iterable[Mapping[str, str]]) -> dict[str, set[str | None]]:
    """The values of each parameter; None stands for settings without it."""
    listed = list(parsed)
    return {name: {each.get(name) for each in listed} for each in listed for name in each}


def swept_parameter(parsed: Iterable[Mapping[str, str]]) -> str | None:
    """The parameter with the most values, the first one of several; the model if no other parameter varies."""
    values = values_of(parsed)
    swept = max((name for name in values if not is_naming(name)), key=lambda name: len(values[name]), default=None)
    if len(values.get(MODEL, ())) > 1 and (swept is None or len(values[swept]) == 1):
        return MODEL
    return swept


def is_numeric(parsed: Sequence[Mapping[str, str]], name: str) -> bool:
    """Whether every setting has a finite number of that name."""
    try:
        return all(math.isfinite(float(each[name])) for each in parsed)
    except (KeyError, ValueError):
        return False


def _switches(parsed: Sequence[Mapping[str, str]], swept: str | None, varied: Sequence[str]) -> bool:
    """True if each number of the swept parameter occurs once, and other values hold over one range of it each."""
    if swept is None or not varied or not is_numeric(parsed, swept):
        return False
    numbers = [float(each[swept]) for each in parsed]
    if len(set(numbers)) < len(numbers):
        return False
    ordered = [each for _, each in sorted(zip(numbers, parsed, strict=True), key=lambda pair: pair[0])]
    runs = [[value for value, _ in itertools.groupby(each.get(name) for each in ordered)] for name in varied]
    return all(len(run) == len(set(run)) for run in runs)

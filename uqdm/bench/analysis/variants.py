"""What codes the pictures of a curve: a codec, and which of its models or programs; and the shortest names of these."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from uqdm.bench.run.setting_families import curve_parameters, is_naming

LONGEST_VALUE = 24
"""Longest value in the name of a curve, in characters. Longer ones are commands and paths, and are shortened."""


@dataclass(frozen=True, order=True)
class Variant:
    """A codec with the label of its request, or else with the values of its naming parameters.

    It does not depend on what else a run has.

    >>> variant_of("uqdm", None, "model=a.pt,seed=0"), variant_of("uqdm", "ours", "model=a.pt,seed=0")
    (Variant(codec='uqdm', label='', names='model=a.pt'), Variant(codec='uqdm', label='ours', names=''))
    """

    codec: str
    label: str = ""
    names: str = ""


def variant_of(codec: str, label: str | None, setting: str) -> Variant:
    """The variant of a row of the results; ``label`` is null where its request has none."""
    if isinstance(label, str) and label:
        return Variant(codec, label)
    parameters = curve_parameters(setting)
    return Variant(codec, names=",".join(f"{name}={value}" for name, value in parameters.items() if is_naming(name)))


def heads(settings: Mapping[Variant, Sequence[str]]) -> dict[Variant, str]:
    """The name of each variant in the labels of its curves: its label, or its codec with the least that distinguishes.

    ``settings`` are those of each variant of one codec.

    >>> settings = ["model=/data/a/best.pt,seed=0", "model=/data/b/best.pt,seed=0"]
    >>> list(heads({variant_of("uqdm", None, setting): [setting] for setting in settings}).values())
    ['uqdm a/best.pt', 'uqdm b/best.pt']
    """
    unlabelled = [variant for variant in settings if not variant.label]
    shared = [_shared(settings[variant]) for variant in unlabelled]
    naming = [{name: value for name, value in each.items() if is_naming(name)} for each in shared]
    names = shortest_names(naming)
    if max(map(len, names), default=0) > LONGEST_VALUE:
        names = min(names, shortest_names(shared), key=lambda each: sum(map(len, each)))
    found = {variant: variant.label for variant in settings if variant.label}
    return found | {variant: f"{variant.codec} {name}".strip() for variant, name in zip(unlabelled, names, strict=True)}


def _shared(settings: Sequence[str]) -> dict[str, str]:
    """The parameters that have one value in all settings."""
    parsed = [curve_parameters(setting) for setting in settings]
    return {name: value for name, value in parsed[0].items() if all(each.get(name) == value for each in parsed)}


def shortest_names(parsed: Sequence[Mapping[str, str]]) -> list[str]:
    """For each set of parameters the shortest text that distinguishes it from the others; empty for a single one.

    The fewest parameters are used, and of several choices the shortest. Paths are cut to their last parts, commands to
    their program, and other long values in the middle, if they stay distinct.

    >>> shortest_names([{"fast": "true", "tile": "64"}, {"fast": "false", "tile": "128"}])
    ['tile=64', 'tile=128']
    >>> shortest_names([{"encode": "cjxl {input} {output}"}, {"encode": "/opt/avifenc {input} -o {output}"}])
    ['cjxl', 'avifenc']
    """
    varied = [name for name in _names(parsed) if len({each.get(name) for each in parsed}) > 1]
    shown = {name: _short_values({each[name] for each in parsed if name in each}) for name in varied}
    for size in range(1, len(varied) + 1):
        choices = [_texts(parsed, chosen, shown) for chosen in itertools.combinations(varied, size)]
        distinct = [texts for texts in choices if len(set(texts)) == len(_unique(parsed))]
        if distinct:
            return min(distinct, key=lambda texts: sum(map(len, texts)))
    return _texts(parsed, varied, shown)


def _names(parsed: Sequence[Mapping[str, str]]) -> list[str]:
    return list(dict.fromkeys(name for each in parsed for name in each))


def _unique(parsed: Sequence[Mapping[str, str]]) -> set[tuple[tuple[str, str], ...]]:
    return {tuple(sorted(each.items())) for each in parsed}


def _texts(
    parsed: Sequence[Mapping[str, str]], chosen: Sequence[str], shown: Mapping[str, Mapping[str, str]]
) -> list[str]:
    return [",".join(_text(name, shown[name][each[name]]) for name in chosen if name in each) for each in parsed]


def _text(name: str, value: str) -> str:
    """A parameter in a name; the values of naming ones say by themselves what they are."""
    return value if is_naming(name) else f"{name}={value}"


def _short_values(values: set[str]) -> dict[str, str]:
    """A short text for each value of one parameter; the texts are distinct."""
    ways = (_tails, _programs, _middles)
    found = {value: value for value in values}
    for way in ways if any(len(value) > LONGEST_VALUE or set("/ ") & set(value) for value in values) else ():
        shorter = way(found)
        if len(set(shorter.values())) == len(values):
            found = shorter
    return found


def _tails(values: Mapping[str, str]) -> dict[str, str]:
    """Paths without the folders that do not distinguish them; other texts as they are."""
    parts = {key: text.strip("/").split("/") if _is_path(text) else [text] for key, text in values.items()}
    for depth in range(1, max(map(len, parts.values()), default=0) + 1):
        tails = {key: "/".join(each[-depth:]) for key, each in parts.items()}
        if len(set(tails.values())) == len(values):
            return tails
    return dict(values)


def _is_path(text: str) -> bool:
    return "/" in text and " " not in text and "=" not in text


def _programs(values: Mapping[str, str]) -> dict[str, str]:
    """Commands without their arguments and folders; other texts as they are."""
    return {key: text.split()[0].rpartition("/")[2] if " " in text else text for key, text in values.items()}


def _middles(values: Mapping[str, str]) -> dict[str, str]:
    """Long texts without their middle, or with a number of their own in its place where that is ambiguous."""
    half = LONGEST_VALUE // 2 - 2
    long = {key: text for key, text in values.items() if len(text) > LONGEST_VALUE}
    cut = {key: f"{text[:half]}...{text[-half:]}" for key, text in long.items()}
    if len(set(cut.values())) < len(cut):
        cut = {key: f"{text[:half]}...{zlib.crc32(text.encode()):08x}" for key, text in long.items()}
    return {**values, **cut}

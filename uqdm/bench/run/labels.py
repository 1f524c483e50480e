"""Labels of codec requests: what is allowed, and which settings one label may name.

A label names the curves of its settings in plots, tables and the report. It is no part of a setting: rows, shards and
files do not depend on it. It is stored in the manifest of the codec, which every evaluation writes anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from uqdm.bench.run.setting_families import MODEL, curve_parameters, families, is_naming, parameters_of
from uqdm.codec import LABEL, ParameterError
from uqdm.text import printable

LONGEST_LABEL = 40
"""Characters of the longest label."""


class Labelled(Protocol):
    """A codec at one setting, with its label or None; ``progressive`` if its streams may have several points."""

    @property
    def name(self) -> str:
        """The codec's name."""

    @property
    def setting(self) -> str:
        """Canonical text of its parameters."""

    @property
    def label(self) -> str | None:
        """The label of its request."""

    @property
    def progressive(self) -> bool:
        """Whether its streams may have several points."""


def check_label(codec: str, label: Any) -> str:
    """The label, if it is allowed; raises :class:`~uqdm.codec.ParameterError`, which names the codec.

    >>> check_label("uqdm", "ours, 2")
    Traceback (most recent call last):
    uqdm.codec.ParameterError: codec uqdm: label='ours, 2': leave out commas and '='
    """
    if not isinstance(label, str):
        raise ParameterError(f"codec {codec}: {LABEL}={label!r}: a label is text; write it in quotes")
    problem = _problem(label)
    if problem:
        raise ParameterError(f"codec {codec}: {LABEL}={printable(label)!r}: {problem}")
    return label


def _problem(label: str) -> str | None:
    if not label or label != " ".join(label.split()):
        return "write some text, with single spaces inside and none around it"
    if printable(label) != label:
        return "use printable characters only"
    if set(",=") & set(label):
        return "leave out commas and '='"
    return f"use at most {LONGEST_LABEL} characters" if len(label) > LONGEST_LABEL else None


def check_labels(codecs: Mapping[str, Sequence[Labelled]]) -> None:
    """Raises :class:`~uqdm.codec.ParameterError` where a label would name more than one curve, or another codec.

    The kinds of pictures of one stream may share a label: their names follow it.
    """
    labelled: dict[str, list[Labelled]] = {}
    for codec_settings in codecs.values():
        for one in codec_settings:
            if one.label is not None:
                labelled.setdefault(one.label, []).append(one)
    for label, named in labelled.items():
        _check_one_curve(label, named)
    for name, codec_settings in codecs.items():
        if any(one.label is None for one in codec_settings):
            _check_not_a_codec(name, labelled)


def _check_one_curve(label: str, named: Sequence[Labelled]) -> None:
    first = named[0]
    for one in named[1:]:
        if not _are_one_curve([first, one], named):
            both = " and ".join(f"{each.name}:{each.setting}" for each in (first, one))
            raise ParameterError(f"label {label!r} is given to two curves, {both}; give each curve its own label")


def _are_one_curve(pair: Sequence[Labelled], named: Sequence[Labelled]) -> bool:
    """Whether two settings are points of one curve, among all that share their label."""
    if len({one.name for one in pair}) > 1 or any(one.progressive for one in pair):
        return False
    found = [curve_parameters(one.setting).items() for one in pair]
    names = [{name: value for name, value in each if is_naming(name) and name != MODEL} for each in found]
    if names[0] != names[1]:
        return False
    of = families(one.setting for one in named if one.name == pair[0].name and not _is_exact(one))
    return len({of[one.setting] for one in pair if one.setting in of}) < 2


def _is_exact(codec_setting: Labelled) -> bool:
    """Whether a setting is lossless by its name: its pictures are in no curve."""
    return parameters_of(codec_setting.setting).get("lossless") == "true"


def _check_not_a_codec(name: str, labels: Iterable[str]) -> None:
    for label in labels:
        if label == name or label.startswith(f"{name} "):
            raise ParameterError(
                f"label {label!r} reads like a curve of the codec {name!r}, which this run has too; use another label"
            )

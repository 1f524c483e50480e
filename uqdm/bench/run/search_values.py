"""The ordered values of a parameter that a target's search tries, and which parameter that is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uqdm.bench.run.sweeps import settings_of
from uqdm.codec import Codec, Parameter, ParameterError

STEPS = 1024
"""Steps between the ends of a parameter that is not whole: equal ratios if both ends are above 0, else equal distances.
"""
_DIGITS = 5  # significant, of a value that is not whole
_RANGE = ".."


@dataclass(frozen=True)
class SearchValues:
    """The values of one parameter in their order, and other parameters that the codec's sweep ties to them.

    A codec's sweep may switch another parameter (chroma, say) at some value. Each value here has the other parameters
    of the sweep's nearest value.
    """

    parameter: str
    values: Sequence[Any]
    tied: tuple[tuple[float, Mapping[str, Any]], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that the search sets."""
        return tuple(dict.fromkeys([self.parameter, *(name for _, others in self.tied for name in others)]))

    def at(self, index: int) -> dict[str, Any]:
        """The parameters at the value of that place.

        >>> SearchValues("quality", range(1, 101), ((60, {"chroma": "4:2:0"}), (70, {"chroma": "4:4:4"}))).at(71)
        {'quality': 72, 'chroma': '4:4:4'}
        """
        value = self.values[index]
        if not self.tied:
            return {self.parameter: value}
        _, others = min(self.tied, key=lambda pair: abs(pair[0] - value))
        return {self.parameter: value, **others}


def named_ranges(codec: type[Codec], parameters: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a request that name the range of a search, ``quality=10..90``."""
    known = {parameter.name: parameter for parameter in codec.parameters}
    return {
        name: value
        for name, value in parameters.items()
        if isinstance(value, str) and _RANGE in value and name in known and _takes_range(known[name])
    }


def _takes_range(parameter: Parameter) -> bool:
    return parameter.type in (int, float) or parameter.sweeps


def range_values(codec: type[Codec], ranges: Mapping[str, str]) -> SearchValues:
    """The values of the range that a request names; raises ParameterError where it names several, or a list."""
    if len(ranges) > 1:
        raise ParameterError(
            f"codec {codec.name}: a target searches one parameter, and {' and '.join(ranges)} are ranges; name one"
        )
    ((name, text),) = ranges.items()
    if "|" in text:
        raise ParameterError(f"codec {codec.name}: {name}={text!r}: a target searches one range, as in {name}=10..90")
    listed = settings_of(codec.name, ranges, codec.parameters)
    return _checked(codec, name, tuple(each[name] for each in listed))


def usual_values(codec: type[Codec], fixed: Mapping[str, Any]) -> SearchValues:
    """The values of the parameter that a codec's sweep varies.

    It is the one number that the sweep varies, from its least to its greatest allowed value, or to that of the sweep
    where a bound is not declared; of a codec whose sweep varies no number, the one parameter that it varies, at the
    values of the sweep. Parameters in ``fixed`` keep their values. Raises ParameterError where it is not one.
    """
    varied = _varied(codec)
    numbers = [name for name in varied if _parameter(codec, name).type in (int, float)]
    chosen = numbers or list(varied)
    if len(chosen) != 1:
        raise ParameterError(f"codec {codec.name}: {_no_choice(chosen, codec)}")
    name = chosen[0]
    if name in fixed:
        raise ParameterError(
            f"codec {codec.name}: {name}={fixed[name]} is fixed, and the target searches {name}: leave it out, or "
            f"give a range to search, {name}=START..END"
        )
    if not numbers:
        return _checked(codec, name, tuple(varied[name]))
    tied: dict[float, dict[str, Any]] = {}
    for setting in codec.sweep:
        if name in setting:
            others = {key: value for key, value in setting.items() if key != name and key not in fixed}
            tied.setdefault(setting[name], others)
    return SearchValues(name, _numbers(_parameter(codec, name), tied), _only_switched(codec, tied))


def _only_switched(
    codec: type[Codec], tied: Mapping[float, Mapping[str, Any]]
) -> tuple[tuple[float, Mapping[str, Any]], ...]:
    """The tied parameters in order of the value, with defaults where the sweep leaves them out; empty if none is."""
    names = list(dict.fromkeys(name for others in tied.values() for name in others))
    usual = {name: _parameter(codec, name).default for name in names}
    return tuple((value, {**usual, **others}) for value, others in sorted(tied.items())) if names else ()


def _numbers(parameter: Parameter, swept: Iterable[float]) -> Sequence[float]:
    """All values of a whole parameter, or ``STEPS`` steps of another, in ascending order."""
    ends = [parameter.minimum, parameter.maximum]
    low = min(swept) if ends[0] is None else ends[0]
    high = max(swept) if ends[1] is None else ends[1]
    if parameter.type is int:
        return range(math.ceil(low), math.floor(high) + 1)
    shares = [step / STEPS for step in range(STEPS + 1)]
    if low > 0:
        found = [low * (high / low) ** share for share in shares]
    else:
        found = [low + (high - low) * share for share in shares]
    rounded = [float(f"{value:.{_DIGITS}g}") for value in found[1:-1]]
    return tuple(dict.fromkeys([float(low), *(value for value in rounded if low < value < high), float(high)]))


def _varied(codec: type[Codec]) -> dict[str, list[Any]]:
    """The parameters that a codec's sweep gives several values, with these in their order."""
    values: dict[str, dict[Any, None]] = {}
    for setting in codec.sweep:
        for name, value in setting.items():
            values.setdefault(name, {})[value] = None
    return {name: list(found) for name, found in values.items() if len(found) > 1}


def _parameter(codec: type[Codec], name: str) -> Parameter:
    return next(parameter for parameter in codec.parameters if parameter.name == name)


def _no_choice(chosen: Sequence[str], codec: type[Codec]) -> str:
    """Why a target has no parameter to search, and the remedy."""
    may = [parameter.name for parameter in codec.parameters if _takes_range(parameter)]
    if not may:
        return "it has no ordered parameter that a target could search; use another codec, or leave the target out"
    which = f"its settings vary {' and '.join(chosen)}" if chosen else "its settings vary no parameter"
    return f"{which}; name the one that the target searches with its range, {may[0]}=10..90, of {', '.join(may)}"


def _checked(codec: type[Codec], name: str, values: tuple[Any, ...]) -> SearchValues:
    if len(values) < 2:
        raise ParameterError(f"codec {codec.name}: {name}: a search needs at least two values, and this is {values[0]}")
    return SearchValues(name, values)

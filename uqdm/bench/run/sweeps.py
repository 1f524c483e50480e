"""Several values of a parameter in one request of a codec: ranges and lists, and their product."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from uqdm.codec import Parameter, ParameterError

MOST_SETTINGS = 1000
"""Settings that one request may give."""
BETWEEN = "|"
"""Between the values of a list."""
_NUMBER = r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,2})?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?::({_NUMBER}))?")


def settings_of(codec: str, parameters: Mapping[str, Any], declared: Iterable[Parameter]) -> list[dict[str, Any]]:
    """Every setting of a request: each combination of the values that its parameters stand for.

    The text of a parameter is one value; several with ``|`` between; or ``START..END:STEP``, which includes END if a
    step leads to it. These are read for numbers, booleans, parameters with choices, and texts that allow it
    (:attr:`~uqdm.codec.Parameter.sweeps`). The last parameter varies fastest. Raises
    :class:`~uqdm.codec.ParameterError`, which names codec and parameter, for a malformed range, and for more than
    :data:`MOST_SETTINGS` settings.

    >>> [each["quality"] for each in settings_of("x", {"quality": "10..30:10|95"}, [Parameter("quality", int, 75)])]
    ['10', '20', '30', '95']
    """
    known = {parameter.name: parameter for parameter in declared}
    values = {name: _values(codec, name, value, known.get(name)) for name, value in parameters.items()}
    return combinations(codec, values)


def combinations(codec: str, values: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of the values of each parameter.

    >>> combinations("x", {"a": [1, 2], "b": [3]})
    [{'a': 1, 'b': 3}, {'a': 2, 'b': 3}]
    """
    count = math.prod(map(len, values.values()))
    if count > MOST_SETTINGS:
        raise _too_many(codec, " x ".join(name for name, found in values.items() if len(found) > 1), count)
    return [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]


def names_value(text: str, value: str | None) -> bool:
    """Whether the value of a stored setting is one of those that a text names, as one value, a list or a range.

    >>> [names_value("10..50:20|75", value) for value in ("30", "40", "75", None)]
    [True, False, True, False]
    >>> names_value("4:4:4", "4:4:4"), names_value("2.5", "2.50")
    (True, True)
    """
    if value is None or text == value:
        return value is not None
    return any(_is_named(part.strip(), value) for part in text.split(BETWEEN))


def _is_named(text: str, value: str) -> bool:
    if text == value or not re.fullmatch(_NUMBER, value):
        return text == value
    number = Fraction(value)
    if re.fullmatch(_NUMBER, text):
        return Fraction(text) == number
    found = _RANGE.fullmatch(text)
    if found is None:
        return False
    start, end, step = Fraction(found[1]), Fraction(found[2]), Fraction(found[3] or 1)
    return step > 0 and start <= number <= end and (number - start) % step == 0


def _too_many(codec: str, what: str, count: int) -> ParameterError:
    return ParameterError(
        f"codec {codec}: {what} gives {count:,} settings, and one request may give {MOST_SETTINGS:,}: name fewer"
    )


def _values(codec: str, name: str, value: Any, parameter: Parameter | None) -> list[Any]:
    """The values that a parameter of a request stands for; unknown parameters are left to the codec."""
    if parameter is None or not isinstance(value, str) or not _may_sweep(parameter):
        return [value]
    if parameter.choices is not None and value in parameter.choices:
        return [value]
    parts = [part.strip() for part in value.split(BETWEEN)] if BETWEEN in value else [value]
    if "" in parts and len(parts) > 1:
        raise ParameterError(f"codec {codec}: {name}={value!r}: a value is missing; write {name}=10|20|50")
    return [one for part in parts for one in _range(codec, name, part, parameter)]


def _may_sweep(parameter: Parameter) -> bool:
    return parameter.type is not str or parameter.choices is not None or parameter.sweeps


def _range(codec: str, name: str, text: str, parameter: Parameter) -> list[str]:
    """The numbers of ``START..END:STEP``, or the text itself where it is no range."""
    found = _RANGE.fullmatch(text)
    is_number = parameter.type in (int, float)
    if found is None and is_number and ".." in text:
        raise ParameterError(
            f"codec {codec}: {name}={text!r}: a range is START..END or START..END:STEP, as in {name}=10..90:10"
        )
    if found is None or not (is_number or parameter.sweeps):
        return [text]
    start, end = Decimal(found[1]), Decimal(found[2])
    if found[3] is None and (start % 1 or end % 1):
        raise ParameterError(f"codec {codec}: {name}={text!r}: give the step too, as in {text}:0.1")
    step = Decimal(found[3] or 1)
    if step <= 0 or start > end:
        remedy = "the step must be above 0" if step <= 0 else f"write the smaller end first: {found[2]}..{found[1]}"
        raise ParameterError(f"codec {codec}: {name}={text!r}: {remedy}")
    count = (end - start) / step
    if count >= MOST_SETTINGS:
        raise _too_many(codec, f"{name}={text}", int(count) + 1)
    return [format((start + index * step).normalize(), "f") for index in range(int(count) + 1)]

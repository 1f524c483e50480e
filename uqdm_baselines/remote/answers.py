"""What a host answers, checked: nothing that it says is believed before it fits the request."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from uqdm.codec import Point
from uqdm.text import one_line
from uqdm_baselines._pillow import MAX_PIXELS
from uqdm_baselines.remote.frames import HostError

T = TypeVar("T")

_LONGEST_TEXT = 200  # characters
_LONGEST_ERROR = 2000
_MOST_ENTRIES = 64
MOST_BATCH = 4096


class AnsweredError(Exception):
    """The codec itself reports a fault; its host is well."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Hello:
    """A host's description of its codec."""

    name: str
    version: str
    parameters: Mapping[str, str]
    packages: Mapping[str, str]
    python: str
    device: str
    progressive: bool
    batch_size: int
    estimate: bool

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Hello:
        """Reads the answer to ``hello``; raises :class:`HostError` naming a field that is missing or wrong."""
        fields = answer.get("hello")
        if not isinstance(fields, dict):
            raise HostError("its answer to hello has no hello")
        return cls(
            name=_field(_text, fields, "name"),
            version=_field(_text, fields, "version"),
            parameters=_field(_texts, fields, "parameters"),
            packages=_field(_texts, fields, "packages"),
            python=_field(_text, fields, "python"),
            device=_field(_text, fields, "device"),
            progressive=_field(_flag, fields, "progressive"),
            batch_size=_whole("batch_size", fields.get("batch_size"), 1, MOST_BATCH),
            estimate=_field(_flag, fields, "estimate"),
        )

    def __str__(self) -> str:
        """For the version column.

        >>> print(Hello("mine", "1.0", {"layers": "4"}, {"numpy": "1.26.4"}, "3.9.2", "cpu", False, 1, False))
        mine 1.0 (layers 4; Python 3.9.2, numpy 1.26.4)
        """
        parameters = ", ".join(f"{key} {value}" for key, value in self.parameters.items())
        software = ", ".join([f"Python {self.python}", *(f"{key} {value}" for key, value in self.packages.items())])
        return f"{self.name} {self.version} ({parameters + '; ' if parameters else ''}{software})"


def error_length(answer: Mapping[str, Any]) -> int:
    """The length of the body of an answer that is an error: 0."""
    error = answer["error"]
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        raise HostError("its error has no message")
    return 0


def check_error(answer: Mapping[str, Any]) -> None:
    """Raises :class:`AnsweredError` for an answer that is an error."""
    if "error" in answer:
        error = answer["error"]
        raise AnsweredError(one_line(str(error.get("kind")), _LONGEST_TEXT), one_line(error["message"], _LONGEST_ERROR))


def stream_sizes(answer: Mapping[str, Any], count: int, most_bytes: int) -> list[int]:
    """Lengths of the streams that an answer to ``encode`` has."""
    return [_whole("streams", size, 0, most_bytes) for size in _listed("streams", answer.get("streams"), count)]


def ideal_bits(answer: Mapping[str, Any], count: int) -> list[dict[str, float]]:
    """Ideal bits by the names of points, of each stream."""
    found = []
    for bits in _listed("ideal_bits", answer.get("ideal_bits"), count):
        if not isinstance(bits, dict) or len(bits) > _MOST_ENTRIES:
            raise HostError("its ideal_bits are not numbers by names of points")
        found.append({_text("ideal_bits", name): _number("ideal_bits", value) for name, value in bits.items()})
    return found


def shapes(answer: Mapping[str, Any], count: int) -> list[tuple[int, int]]:
    """Heights and widths of the images that an answer to ``decode`` has."""
    found = []
    for shape in _listed("images", answer.get("images"), count):
        height, width = (_whole("images", side, 1, MAX_PIXELS) for side in _listed("images", shape, 2))
        if height * width > MAX_PIXELS:
            raise HostError(f"its image has {height} x {width} pixels; at most {MAX_PIXELS:,} are read")
        found.append((height, width))
    return found


def points(answer: Mapping[str, Any], n_bytes: int) -> list[Point]:
    """The points of a stream of ``n_bytes`` that an answer to ``points`` has."""
    (listed,) = _listed("points", answer.get("points"), 1)
    if not isinstance(listed, list) or not 1 <= len(listed) <= _MOST_ENTRIES:
        raise HostError(f"its points are not a list of 1 to {_MOST_ENTRIES}")
    found = []
    for entry in listed:
        name, size = _listed("points", entry, 2)
        found.append(Point(_text("points", name), _whole("points", size, 0, n_bytes)))
    sizes, names = [point.n_bytes for point in found], [point.name for point in found]
    if sizes != sorted(sizes) or sizes[-1] != n_bytes or len(set(names)) != len(names):
        raise HostError(f"its points {names} of {sizes} bytes do not lead to the whole stream of {n_bytes}")
    return found


def images_of(body: bytes, found: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """Images uint8 [H, W, 3] of these shapes, from the body of an answer."""
    ends = np.cumsum([0, *(3 * height * width for height, width in found)]).tolist()
    return [
        np.frombuffer(body[begin:end], np.uint8).reshape(*shape, 3).copy()
        for begin, end, shape in zip(ends, ends[1:], found, strict=False)
    ]


def _field(read: Callable[[str, Any], T], fields: Mapping[str, Any], name: str) -> T:
    return read(name, fields.get(name))


def _listed(name: str, value: Any, count: int) -> list[Any]:
    if not isinstance(value, list) or len(value) != count:
        raise HostError(f"its {name} are not a list of {count}")
    return value


def _whole(name: str, value: Any, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise HostError(f"its {name} have {value!r:.40}, not a whole number from {least} to {most:,}")
    return value


def _number(name: str, value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
        raise HostError(f"its {name} have {value!r:.40}, not a number of at least 0")
    return float(value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise HostError(f"its {name} is {value!r:.40}, not text")
    return one_line(value, _LONGEST_TEXT)


def _texts(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > _MOST_ENTRIES:
        raise HostError(f"its {name} are not values by name")
    return {_text(name, key): one_line(str(entry), _LONGEST_TEXT) for key, entry in value.items()}


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise HostError(f"its {name} is {value!r:.40}, not true or false")
    return value

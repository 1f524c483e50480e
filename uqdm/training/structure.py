"""Typed dataclasses from YAML mappings, with errors that name the key."""

from __future__ import annotations

import difflib
import math
import types
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from uqdm.model.schema import shown

T = TypeVar("T")


class TrainingConfigError(ValueError):
    """A training configuration is wrong. The message names the file and the key."""


def build(cls: type[T], data: Any, where: str) -> T:
    """Makes a dataclass of a mapping; ``where`` names the mapping in messages, as in ``file.yaml: recipe``.

    Keys must be fields, fields without a default must be there, and values must have the fields' types: numbers,
    texts, lists, nested dataclasses. A ValueError of a dataclass is raised again with the key's path.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Box:
    ...     width: int
    ...     height: int | None = None
    >>> build(Box, {"width": 3}, "box.yaml")
    Box(width=3, height=None)
    >>> build(Box, {"width": 3, "hight": 2}, "box.yaml")
    Traceback (most recent call last):
    uqdm.training.structure.TrainingConfigError: box.yaml: unknown key 'hight' (did you mean height?); known: height, width
    """  # noqa: E501 (the message is one line)
    if not isinstance(data, dict):
        raise TrainingConfigError(f"{where}: expected keys and values, got {_shown(data)}")
    known = {item.name: item for item in fields(cls)}  # type: ignore[arg-type]
    for key in data:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise TrainingConfigError(f"{where}: unknown key {key!r}{hint}; known: {', '.join(sorted(known))}")
    missing = [name for name in known if name in _required(cls) and name not in data]
    if missing:
        raise TrainingConfigError(f"{where}: {', '.join(missing)} must be given")
    types_of = get_type_hints(cls)
    values = {key: _convert(types_of[key], value, _join(where, key)) for key, value in data.items()}
    try:
        return cls(**values)
    except TrainingConfigError:
        raise
    except ValueError as error:
        raise TrainingConfigError(f"{where}{_separator(where)}{error}") from error


def _separator(where: str) -> str:
    return ": " if where.endswith((".yaml", ".yml")) or ": " not in where else "."


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if ": " in where else f"{where}: {key}"


def _convert(wanted: Any, value: Any, where: str) -> Any:
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _convert(_fitting([item for item in arguments if item is not type(None)], value), value, where)
    if is_dataclass(wanted):
        return build(wanted, value, where)  # type: ignore[arg-type]
    if origin in (list, tuple):
        return _sequence(origin, arguments, value, where)
    if origin is dict or wanted is dict:
        if not isinstance(value, dict):
            raise TrainingConfigError(f"{where}: expected keys and values, got {_shown(value)}")
        return value
    return _scalar(wanted, value, where)


def _fitting(kinds: list[Any], value: Any) -> Any:
    """The first of several dataclasses whose required fields are all given, else the first."""
    given = set(value) if isinstance(value, dict) else set()
    fit = [kind for kind in kinds if is_dataclass(kind) and _required(kind) <= given]
    return fit[0] if fit else kinds[0]


def _required(cls: Any) -> set[str]:
    return {item.name for item in fields(cls) if item.default is MISSING and item.default_factory is MISSING}


def _sequence(origin: Any, arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if not isinstance(value, list | tuple):
        raise TrainingConfigError(f"{where}: expected a list, got {_shown(value)}")
    if origin is tuple and len(value) != len(arguments):
        raise TrainingConfigError(f"{where}: expected {len(arguments)} values, got {len(value)}")
    return origin(_convert(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))


_NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _scalar(wanted: Any, value: Any, where: str) -> Any:
    is_right = isinstance(value, (int, float) if wanted is float else wanted)
    if wanted is float and is_right and not _is_finite(value):
        raise TrainingConfigError(f"{where}: expected a finite number, got {_shown(value)}")
    if is_right and (wanted is bool) == isinstance(value, bool):
        return float(value) if wanted is float else value
    hint = ""
    if wanted is float and isinstance(value, str) and _is_number(value):
        hint = f"; YAML reads {value} as text, write {float(value):.1e}"
    raise TrainingConfigError(f"{where}: expected {_NAMES[wanted]}, got {_shown(value)}{hint}")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond floating point
        return False


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _shown(value: Any) -> str:
    return "nothing" if value is None else shown(value)

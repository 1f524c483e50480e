"""A configuration checked against its JSON schema. A mistake is one line: the key, what is wrong, and what is allowed.

Snakemake's own check prints the whole schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jsonschema
from jsonschema.exceptions import ValidationError

from uqdm.registry import suggest
from uqdm.text import one_line

_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}
_VALUE_LENGTH = 60


def check_against_schema(config: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Raises ValueError with the first mistake, in one line, and the number of the others.

    >>> schema = {"properties": {"limit": {"type": "integer"}}, "additionalProperties": False}
    >>> check_against_schema({"limit": 3}, schema)
    >>> check_against_schema({"limmit": 3}, schema)
    Traceback (most recent call last):
    ValueError: no key 'limmit' (did you mean limit?); it has: limit
    >>> check_against_schema({"limit": "3"}, schema)
    Traceback (most recent call last):
    ValueError: limit='3': must be a whole number
    """
    found = list(jsonschema.Draft202012Validator(schema).iter_errors(config))
    if found:
        others = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise ValueError(f"{mistake(found[0])}{others}")


def mistake(error: ValidationError) -> str:
    """A mistake in one line."""
    inner = _branch(error)
    if inner is not None:
        return mistake(inner)
    write = _TEXTS.get(str(error.validator))
    if write is not None:
        return write(error)
    return f"{_where(error)}{one_line(error.message, 200)}"


def _branch(error: ValidationError) -> ValidationError | None:
    """The mistake in the alternative of ``anyOf`` whose type fits the value; None if no type fits."""
    in_type = [one for one in error.context or () if one.validator != "type" or one.relative_path]
    return next(iter(in_type), None)


def _where(error: ValidationError) -> str:
    """The keys that lead to the value, each with a colon."""
    return "".join(f"{_key(part)}: " for part in error.absolute_path)


def _key(part: str | int) -> str:
    """A key, or the place of an item of a list, counted from 1."""
    return f"item {part + 1}" if isinstance(part, int) else one_line(str(part), _VALUE_LENGTH)


def _bound(text: str) -> Callable[[ValidationError], str]:
    return lambda error: f"{_value(error)}: must be {text} {error.validator_value}"


def _value(error: ValidationError) -> str:
    """Key and value of a mistake."""
    *outer, last = error.absolute_path or [""]
    before = "".join(f"{_key(part)}: " for part in outer)
    return f"{before}{_key(last)}={one_line(repr(error.instance), _VALUE_LENGTH)}"


def _type(error: ValidationError) -> str:
    return f"{_value(error)}: must be {_alternatives([error.validator_value])}"


def _any_of(error: ValidationError) -> str:
    return f"{_value(error)}: must be {_alternatives(one.validator_value for one in error.context or ())}"


def _alternatives(types: Iterable[str | list[str]]) -> str:
    names = [name for one in types for name in ([one] if isinstance(one, str) else one)]
    return " or ".join(_KINDS[name] for name in names)


def _unknown_key(error: ValidationError) -> str:
    known = list(error.schema["properties"])
    unknown = next(str(key) for key in error.instance if key not in known)
    advice = suggest(unknown, known)
    return f"{_where(error)}no key {one_line(repr(unknown), _VALUE_LENGTH)}{advice}; it has: {', '.join(known)}"


def _missing_key(error: ValidationError) -> str:
    missing = [key for key in error.validator_value if key not in error.instance]
    return f"{_where(error)}the key {missing[0]!r} is missing"


def _empty(error: ValidationError) -> str:
    return f"{_value(error)}: must have at least {error.validator_value}, it has {len(error.instance)}"


def _name(error: ValidationError) -> str:
    shown = one_line(repr(error.instance), _VALUE_LENGTH)
    return f"{_where(error)}{shown}: use letters, digits, '.', '_' and '-', with a letter or digit first"


_TEXTS: Mapping[str, Callable[[ValidationError], str]] = {
    "type": _type,
    "anyOf": _any_of,
    "additionalProperties": _unknown_key,
    "required": _missing_key,
    "minLength": lambda error: f"{_value(error)}: the text is empty",
    "minItems": _empty,
    "minProperties": _empty,
    "minimum": _bound("at least"),
    "exclusiveMinimum": _bound("above"),
    "maximum": _bound("at most"),
    "uniqueItems": lambda error: f"{_value(error)}: an item is repeated",
    "pattern": _name,
}

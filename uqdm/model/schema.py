"""Strict reading of JSON and checks by a JSON schema; one error that names the key.

It is stricter than JSON schema: 4.0 is not an integer, and true, NaN and infinity are not numbers.
"""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path
from typing import Any

SCHEMAS = Path(__file__).parent / "schemas"
MAX_BYTES = 1 << 24
MAX_DEPTH = 32
"""Levels of nested lists and mappings."""
MAX_BITS = 1024
"""Digits of an integer: Python refuses to print much longer ones."""
MAX_ENTRIES = 1_000_000
_SHOWN = 60  # characters of a value in a message


class SchemaError(ValueError):
    """Data do not match their schema; the message names the key."""


def read_json(file: Path) -> dict[str, Any]:
    """Reads a file of one JSON object in UTF-8 without repeated keys. Raises :class:`SchemaError`."""
    if file.stat().st_size > MAX_BYTES:
        raise SchemaError(f"{file}: larger than {MAX_BYTES >> 20} MiB")
    try:
        data = json.loads(
            file.read_bytes().decode("utf-8-sig"), object_pairs_hook=_without_repeats, parse_constant=_no_number
        )
    except RecursionError as error:
        raise SchemaError(
            f"{file}: nested too deeply, more than {MAX_DEPTH} lists and objects in one another"
        ) from error
    except ValueError as error:  # from the decoder, from UTF-8, or from the two functions below
        raise SchemaError(f"{file}: not valid JSON ({error})") from error
    if not isinstance(data, dict):
        raise SchemaError(f"{file}: expected a JSON object, got {shown(data)}")
    return data


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {repeated!r} is repeated")
    return made


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def check(data: Any, schema: str, where: str, part: str | None = None) -> None:
    """Raises :class:`SchemaError` unless data match a schema in :data:`SCHEMAS`, or one of its ``$defs``.

    ``where`` names the data in the message, as in ``config.json``.
    """
    check_extent(data, where)
    for error in _validator(schema, part).iter_errors(data):
        if error.validator == "required":
            lacking = [name for name in error.validator_value if name not in error.instance]
            raise SchemaError(f"{where}{_key(error.absolute_path)} has no {', '.join(lacking)}")
        between = " " if error.validator == "enum" else ": "
        raise SchemaError(f"{where}{_key(error.absolute_path)}{between}{_reason(error)}")


def check_extent(data: Any, where: str) -> None:
    """Raises :class:`SchemaError` for data that are nested too deeply, or have too many entries.

    Call it before other checks, which are recursive and print the values that they refuse.
    """
    if _extent(data, MAX_DEPTH, {}, where) > MAX_ENTRIES:
        raise SchemaError(f"{where}: more than {MAX_ENTRIES} entries")


def _extent(data: Any, depth_left: int, known: dict[int, int], where: str) -> int:
    """Number of entries of nested lists and mappings; shared ones (YAML aliases) count in each place."""
    if isinstance(data, int) and data.bit_length() > MAX_BITS:
        raise SchemaError(f"{where}: holds a whole number of {data.bit_length()} bits")
    if not isinstance(data, dict | list | tuple):
        return 1
    if depth_left == 0:
        raise SchemaError(f"{where}: nested too deeply, more than {MAX_DEPTH} lists and mappings in one another")
    if id(data) not in known:
        values = data.values() if isinstance(data, dict) else data
        known[id(data)] = 1 + sum(_extent(value, depth_left - 1, known, where) for value in values)
    return known[id(data)]


@functools.cache
def _validator(schema: str, part: str | None) -> Any:
    import jsonschema  # slow to import

    content = json.loads((SCHEMAS / schema).read_text(encoding="utf-8"))
    if part is not None:
        content = {"$defs": content["$defs"], "$ref": f"#/$defs/{part}"}
    base = jsonschema.Draft202012Validator
    types = base.TYPE_CHECKER.redefine("integer", lambda _, value: is_whole(value))
    types = types.redefine("number", lambda _, value: is_number(value))
    types = types.redefine("array", lambda _, value: isinstance(value, list | tuple))
    return jsonschema.validators.extend(base, type_checker=types)(content)


def is_whole(value: Any) -> bool:
    """Whether a value is an integer, not a float with an integer value."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _key(path: Any) -> str:
    """The place of a value, as in ``: denoiser.networks[2].width``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{short(str(part))[1:-1]}"
    return f": {text.removeprefix('.')}" if text else ""


_TYPES = {
    "integer": "a whole number",
    "number": "a finite number",
    "string": "a text",
    "boolean": "true or false",
    "array": "a list",
    "object": "keys and values",
    "null": "null",
}
_REASONS = {
    "minimum": "must be at least {}, got {}",
    "maximum": "must be at most {}, got {}",
    "exclusiveMinimum": "must be more than {}, got {}",
    "exclusiveMaximum": "must be less than {}, got {}",
    "multipleOf": "must be a multiple of {}, got {}",
    "minItems": "must have at least {} entries, got {}",
    "maxItems": "must have at most {} entries, got {}",
    "pattern": "must match {}, got {}",
    "minLength": "must have at least {} characters, got {}",
    "maxLength": "must have at most {} characters, got {}",
}


def _reason(error: Any) -> str:
    kind, wanted, value = error.validator, error.validator_value, error.instance
    if kind == "type":
        names = [_TYPES[name] for name in ([wanted] if isinstance(wanted, str) else wanted)]
        return f"expected {' or '.join(names)}, got {shown(value)}"
    if kind == "additionalProperties":
        known = list(error.schema.get("properties", ()))
        unknown = next(name for name in value if name not in known)
        return f"unknown key {short(unknown)}; known: {', '.join(sorted(known))}"
    if kind == "enum":
        return f"{short(value)} is unknown; known: {', '.join(map(str, wanted))}"
    if kind in ("minItems", "maxItems"):
        return _REASONS[kind].format(wanted, len(value))
    return _REASONS.get(kind, "must be {}, got {}").format(wanted, shown(value))


def shown(value: Any) -> str:
    """A value in a message: its type and its first characters."""
    if value is None:
        return "null"
    if isinstance(value, dict | list | tuple):
        return f"{type(value).__name__} of {len(value)}"
    return f"{type(value).__name__} {short(value)}"


def short(value: Any) -> str:
    """The first characters of a value, with control and other unprintable characters escaped."""
    try:
        text = ascii(value)
    except ValueError:  # an integer with more digits than Python prints
        return "of too many digits"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."

"""Options as fields of frozen dataclasses, which define default, help text, bounds and command line flag once.

Everything else that takes options is derived from such a class: the parameters of a command
(:mod:`uqdm.cli.option_parameters`), a section of the configuration (:func:`from_section`) and the equivalent command
line (:func:`arguments`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from uqdm.codec import suggest
from uqdm.paths import expand_path

Options = TypeVar("Options")

_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
}


def option(
    default: Any,
    help: str,  # as typer and argparse call it
    *,
    flag: str = "",
    none: str = "",
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    is_folder: bool = False,
    in_section: bool = True,
    joined: bool = False,
) -> Any:
    """A field of a dataclass that is an option.

    Args:
        default: its default value.
        help: what it means, in one line without a full stop.
        flag: on the command line, ``--on/--off`` for both values of a bool; ``--`` and the field's name if empty.
        none: what None means, where it is allowed.
        minimum: least value.
        above: bound that the value exceeds.
        maximum: greatest value.
        is_folder: whether a path is that of a folder, not of a file.
        in_section: whether the configuration has it; otherwise it is an option of the command line alone.
        joined: whether a list is one text with commas on the command line; otherwise the option is repeated.
    """
    metadata = {
        "help": help,
        "flag": flag,
        "none": none,
        "minimum": minimum,
        "above": above,
        "maximum": maximum,
        "is_folder": is_folder,
        "in_section": in_section,
        "joined": joined,
    }
    return dataclasses.field(default=default, metadata={"option": metadata})


def option_group(of: type, help: str, *, in_section: bool = True) -> Any:
    """A field of a dataclass that holds other options: by default, an ``of`` with its own defaults."""
    return dataclasses.field(default_factory=of, metadata={"group": (of, help, in_section)})


@dataclass(frozen=True)
class OptionField:
    """An option as its dataclass declares it."""

    name: str
    kind: type
    """bool, int, float, str or Path; of a list, that of its items."""
    is_list: bool
    allows_none: bool
    default: Any
    help: str
    flag: str
    none: str
    minimum: float | None
    above: float | None
    maximum: float | None
    is_folder: bool
    in_section: bool
    joined: bool

    @property
    def zero_is_none(self) -> bool:
        """Whether 0 on the command line means None, because omitting the option gives another default."""
        return self.allows_none and self.default is not None

    def read(self, value: Any) -> Any:
        """A value of the configuration as one of the field's type; raises ValueError for another type."""
        if value is None and self.allows_none:
            return None
        if not self.is_list:
            return self._read_one(value)
        if not isinstance(value, list | tuple):
            raise ValueError(f"{self.name}={value!r}: must be a list")
        return tuple(map(self._read_one, value))

    def split(self, text: str) -> tuple[Any, ...]:
        """The items of a joined list on the command line; raises ValueError for one of another type."""
        parts = [part.strip() for part in text.split(",")]
        if not all(parts):
            raise ValueError(f"{self.name}={text!r}: write {_KINDS[self.kind]} or several, with commas between them")
        return tuple(self._read_one(_number(part) if self.kind in (int, float) else part) for part in parts)

    def _read_one(self, value: Any) -> Any:
        if self.kind is Path and isinstance(value, str | Path):
            return expand_path(value, self.name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if self.kind is float and number:
            return float(value)
        if self.kind is int and number and math.isfinite(value) and value == int(value):
            return int(value)
        if self.kind in (bool, str) and isinstance(value, self.kind):
            return value
        raise ValueError(f"{self.name}={value!r}: must be {_KINDS[self.kind]}")

    def check(self, value: Any) -> None:
        """Raises ValueError for a value, or an item of a list, that is out of bounds."""
        for one in value if self.is_list and value is not None else [value]:
            bound = self._broken_bound(one)
            if bound:
                none = f", or none: {self.none}" if self.allows_none else ""
                raise ValueError(f"{self.name}={one}: must be {bound}{none}")

    def _broken_bound(self, value: Any) -> str:
        if value is None:
            return ""
        if self.minimum is not None and not value >= self.minimum:
            return f"at least {self.minimum:g}"
        if self.above is not None and not value > self.above:
            return f"above {self.above:g}"
        if self.maximum is not None and not value <= self.maximum:
            return f"at most {self.maximum:g}"
        return ""

    def arguments(self, value: Any) -> list[str]:
        """The option with this value on the command line."""
        if value is None:
            return [f"{self.flag}=0"] if self.zero_is_none else []
        if self.kind is bool:
            on, _, off = self.flag.partition("/")
            return [flag for flag in (on if value else off,) if flag]
        if self.joined:
            return [f"{self.flag}={','.join(map(_text, value))}"]
        return [f"{self.flag}={_text(one)}" for one in (value if self.is_list else [value])]


def _number(text: str) -> float | str:
    """A text as a number, if it is one."""
    try:
        return float(text)
    except ValueError:
        return text


def _text(value: Any) -> str:
    """A value as the command line has it.

    >>> _text(3600.0), _text(0.5), _text(134217728), _text(Path("a"))
    ('3600', '0.5', '134217728', 'a')
    """
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def option_fields(of: type) -> tuple[OptionField, ...]:
    """The options that a dataclass declares itself, in its order; groups are not opened.

    >>> @dataclass(frozen=True)
    ... class Example:
    ...     images: int | None = option(64, "Images", none="all", minimum=2)
    >>> [field.flag for field in option_fields(Example)]
    ['--images']
    """
    hints = typing.get_type_hints(of)
    found = []
    for field in dataclasses.fields(of):
        if "option" in field.metadata:
            kind, is_list, allows_none = _parts(hints[field.name])
            known = {**field.metadata["option"]}
            known["flag"] = known["flag"] or "--" + field.name.replace("_", "-")
            found.append(OptionField(field.name, kind, is_list, allows_none, field.default, **known))
    return tuple(found)


def _parts(hint: Any) -> tuple[type, bool, bool]:
    """The type of a value or of a list's items, whether it is a list, and whether it may be None."""
    arguments = typing.get_args(hint)
    allows_none = types.NoneType in arguments
    if allows_none:
        (hint,) = (argument for argument in arguments if argument is not types.NoneType)
    is_list = typing.get_origin(hint) is tuple
    kind = typing.get_args(hint)[0] if is_list else hint
    if kind not in _KINDS:
        raise TypeError(f"an option of type {hint} is not supported")
    return kind, is_list, allows_none


@dataclass(frozen=True)
class OptionGroup:
    """Options that a dataclass holds in a field."""

    name: str
    of: type
    help: str
    in_section: bool


def option_groups(of: type) -> tuple[OptionGroup, ...]:
    """The groups of options that a dataclass declares, in its order."""
    return tuple(
        OptionGroup(field.name, *field.metadata["group"])
        for field in dataclasses.fields(of)
        if "group" in field.metadata
    )


def has_options(of: Any) -> bool:
    """Whether ``of`` is a dataclass that declares options."""
    return dataclasses.is_dataclass(of) and any(
        "option" in field.metadata or "group" in field.metadata for field in dataclasses.fields(of)
    )


def check_bounds(options: Any) -> None:
    """Raises ValueError for the first option out of its bounds. For ``__post_init__`` of the classes of options.

    >>> @dataclass(frozen=True)
    ... class Example:
    ...     images: int = option(64, "Images", minimum=2)
    ...
    ...     def __post_init__(self) -> None:
    ...         check_bounds(self)
    >>> Example(1)
    Traceback (most recent call last):
    ValueError: images=1: must be at least 2
    """
    for field in option_fields(type(options)):
        field.check(getattr(options, field.name))


def from_section(of: type[Options], section: Mapping[str, Any], name: str) -> Options:
    """The options that a section of the configuration gives; others have their defaults.

    ``name`` begins error messages: ValueError for an unknown key, a value of another type or one out of bounds.

    >>> @dataclass(frozen=True)
    ... class Example:
    ...     images: int = option(64, "Images", minimum=2)
    >>> from_section(Example, {"images": 200}, "score")
    Example(images=200)
    >>> from_section(Example, {"image": 200}, "score")
    Traceback (most recent call last):
    ValueError: score: no key 'image' (did you mean images?); it has: images
    """
    fields = {field.name: field for field in option_fields(of) if field.in_section}
    groups = {group.name: group for group in option_groups(of) if group.in_section}
    known = [*fields, *groups]
    values: dict[str, Any] = {}
    for key, value in section.items():
        if key in groups:
            values[key] = from_section(groups[key].of, value, f"{name}: {key}")
            continue
        if key not in fields:
            raise ValueError(f"{name}: no key {key!r}{suggest(str(key), known)}; it has: {', '.join(known)}")
        with errors_begin(name):
            values[key] = fields[key].read(value)
    with errors_begin(name):
        return of(**values)


@contextlib.contextmanager
def errors_begin(name: str) -> Iterator[None]:
    """Makes messages of ValueErrors begin with a name."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def arguments(options: Any) -> list[str]:
    """The command line of options that the configuration has, groups included: every one, also at its default.

    >>> @dataclass(frozen=True)
    ... class Example:
    ...     images: int | None = option(64, "Images", none="all", minimum=2)
    ...     keep: bool = option(True, "Keep", flag="--keep/--drop")
    >>> arguments(Example(None, keep=False))
    ['--images=0', '--drop']
    """
    found = []
    for field in option_fields(type(options)):
        if field.in_section:
            found += field.arguments(getattr(options, field.name))
    for group in option_groups(type(options)):
        if group.in_section:
            found += arguments(getattr(options, group.name))
    return found

"""Parameters of commands made of dataclasses of options (see :mod:`uqdm.option_fields`)."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from uqdm.cli import completion
from uqdm.option_fields import OptionField, has_options, option_fields, option_groups

_COMPLETED = {"--codec": completion.codecs, "--metric": completion.metrics}
"""What a shell completes the values of an option with."""


def with_option_parameters(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command whose parameters of dataclasses of options are replaced by one parameter for each option, at the end.

    The command itself is called with the dataclasses, filled from the command line. An option that several of them have
    is one parameter, with the help of the first, and fills them all.

    >>> from uqdm.bench.execute.limits import WorkerLimits
    >>> @with_option_parameters
    ... def command(name: str, limits: WorkerLimits) -> None: ...
    >>> list(inspect.signature(command).parameters)
    ['name', 'time_limit', 'gpus_per_actor', 'cpus_per_actor', 'readers']
    """
    hints = typing.get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if has_options(hint)}
    options: dict[str, OptionField] = {}
    for field in (field for of in groups.values() for field in _all_fields(of)):
        options.setdefault(_parameter_name(field), field)

    @functools.wraps(command)
    def run(**values: Any) -> Any:
        filled = {name: _filled(of, values) for name, of in groups.items()}
        return command(**filled, **{name: value for name, value in values.items() if name not in options})

    kind = inspect.Parameter.KEYWORD_ONLY
    own = inspect.signature(command).parameters.items()
    parameters = [one.replace(kind=kind, annotation=hints[name]) for name, one in own if name not in groups]
    parameters += map(_parameter, options.values())
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _all_fields(of: type) -> Iterator[OptionField]:
    """The options of a dataclass, then those of its groups."""
    yield from option_fields(of)
    for group in option_groups(of):
        yield from _all_fields(group.of)


def _parameter_name(field: OptionField) -> str:
    return field.flag.partition("/")[0].removeprefix("--").replace("-", "_")


def _parameter(field: OptionField) -> inspect.Parameter:
    default = list(field.default) if field.is_list and field.default is not None else field.default
    if field.joined and default is not None:
        default = ",".join(map(str, default))
    return inspect.Parameter(
        _parameter_name(field),
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[_type(field), _option(field)],
    )


def _type(field: OptionField) -> Any:
    kind: Any = list[field.kind] if field.is_list else field.kind  # type: ignore[name-defined]
    if field.joined:
        kind = str
    return kind | None if field.default is None else kind


def _option(field: OptionField) -> Any:
    path_may_be_folder = field.kind is not Path or field.is_folder
    path_may_be_file = field.kind is not Path or not field.is_folder
    minimum, maximum = _range(field)
    return typer.Option(
        field.flag,
        help=_help(field),
        min=minimum,
        max=maximum,
        dir_okay=path_may_be_folder,
        file_okay=path_may_be_file,
        autocompletion=_COMPLETED.get(field.flag),
    )


def _range(field: OptionField) -> tuple[float | None, float | None]:
    """Bounds that the command line itself checks, 0 for None included; items of lists are left to the dataclass."""
    if field.is_list:
        return None, None
    minimum = field.above if field.minimum is None else field.minimum
    return (0 if field.zero_is_none else minimum), field.maximum


def _help(field: OptionField) -> str:
    """The help text, with what takes the place of None on the command line.

    >>> from uqdm.bench.execute.limits import WorkerLimits
    >>> _help(option_fields(WorkerLimits)[0])
    'Time limit in seconds for a shard, then for each of its images alone; 0 for no limit'
    """
    text = field.help
    if field.is_list:
        text += ", with commas between them" if field.joined else "; may be repeated"
    if not field.none:
        return text
    return f"{text}; 0 for {field.none}" if field.zero_is_none else f"{text} [{field.none}]"


def _filled(of: type, values: Mapping[str, Any]) -> Any:
    """The dataclass ``of`` with the values of its parameters."""
    fields = {field.name: _value(field, values[_parameter_name(field)]) for field in option_fields(of)}
    groups = {group.name: _filled(group.of, values) for group in option_groups(of)}
    return of(**fields, **groups)


def _value(field: OptionField, value: Any) -> Any:
    """What a parameter stands for: 0 for None where that cannot be left out, and a list for a tuple."""
    if field.joined:
        return field.default if value is None else field.split(value)
    if field.is_list:
        return tuple(value) if value else field.default
    return None if field.zero_is_none and value == 0 else value

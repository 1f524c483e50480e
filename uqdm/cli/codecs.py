"""``uqdm codecs``: the registered codecs, and which work here."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

import typer

from uqdm.codec import Codec, CodecUnavailableError, Parameter, broken_codecs, codec_class, codec_names
from uqdm.plugins import contained, reason_of
from uqdm.text import one_line


@dataclass(frozen=True)
class Listing:
    """The state of one registered codec on this machine.

    ``missing`` is None if it works; an ``ideal`` one has rates but no files.
    """

    name: str
    summary: str = ""
    version: str | None = None
    parameters: tuple[dict[str, Any], ...] = ()
    settings: tuple[dict[str, Any], ...] = ()
    missing: str | None = None
    ideal: bool = False


def listing(name: str) -> Listing:
    """Looks up one codec; a codec that cannot run here is listed with the reason and the remedy."""
    known = Listing(name)
    try:
        codec = codec_class(name)
        known = Listing(
            name,
            one_line(codec.summary),
            parameters=tuple(_parameter(parameter) for parameter in codec.parameters),
            settings=tuple(dict(setting) for setting in codec.sweep),
            ideal=bool(codec.ideal),
        )
        with contained():
            lack = codec.missing()
            version = None if lack else _version(codec)
    except Exception as error:  # one broken codec must not hide the others
        return replace(known, missing=_reason(error))
    return replace(known, version=version, missing=one_line(str(lack)) if lack else None)


def _version(codec: type[Codec]) -> str:
    from uqdm.bench.checked_calls import listed_version

    return listed_version(codec, codec.sweep[0] if codec.sweep else {})


def _reason(error: Exception) -> str:
    return one_line(str(error)) if isinstance(error, CodecUnavailableError) else reason_of(error)


def _parameter(parameter: Parameter) -> dict[str, Any]:
    shown = {name: value for name, value in vars(parameter).items() if name != "canonical"}
    return {**shown, "type": parameter.type.__name__}


def _parameter_text(parameter: dict[str, Any]) -> str:
    bounds = [parameter["minimum"], parameter["maximum"]]
    allowed = "" if bounds == [None, None] else f" in {bounds[0]}..{bounds[1]}".replace("None", "")
    if parameter["choices"]:
        allowed = f" of {'|'.join(map(str, parameter['choices']))}"
    return f"{parameter['name']}: {parameter['type']}{allowed} = {parameter['default']}"


def codecs(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table")] = False,
) -> None:
    """Lists every registered codec: version, parameters, and whether it works here."""
    names = codec_names()
    listings = [listing(name) for name in names]
    left_out = [broken for broken in broken_codecs() if broken.name not in names]
    listings += [Listing(broken.name, missing=f"SKIPPED ({broken.origin}): {broken.reason}") for broken in left_out]
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in listings], indent=2, default=str))
        return
    _print_table(listings)


def _print_table(listings: list[Listing]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("codec", "works here", "version", "parameters = default", "settings")
    for entry in listings:
        works = "yes" if entry.missing is None else f"no: {entry.missing}"
        works += " (ideal, no file)" if entry.ideal else ""
        parameters = "\n".join(_parameter_text(parameter) for parameter in entry.parameters)
        table.add_row(entry.name, works, entry.version or "-", parameters or "-", str(len(entry.settings)))
    Console(markup=False).print(table)

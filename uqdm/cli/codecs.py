"""``uqdm codecs``: the registered codecs, and which work here."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from uqdm.cli.json_output import print_json
from uqdm.cli.lazy import Group
from uqdm.codec import Codec, CodecUnavailableError, Parameter, broken_codecs, codec_class, codec_names
from uqdm.plugins import contained, reason_of
from uqdm.text import one_line

app = typer.Typer(
    cls=Group,
    help="Lists every registered codec: version, parameters, and whether it works here.",
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
)


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


_TYPES = {"int": "whole number", "float": "number", "str": "text", "bool": "true or false"}


def _parameter_text(parameter: dict[str, Any]) -> str:
    """Name, type, allowed values and default of a parameter.

    >>> _parameter_text(_parameter(Parameter("quality", int, 75, minimum=0, maximum=100)))
    'quality: whole number, 0 to 100 = 75'
    >>> _parameter_text(_parameter(Parameter("tables", str, "flat", choices=("flat", "annex-k"))))
    'tables: flat | annex-k = flat'
    """
    allowed = _TYPES.get(parameter["type"], parameter["type"]) + _bounds_text(
        parameter["minimum"], parameter["maximum"]
    )
    if parameter["choices"]:
        allowed = " | ".join(map(str, parameter["choices"]))
    default = parameter["default"]
    shown = str(default).lower() if isinstance(default, bool) else str(default)
    return f"{parameter['name']}: {allowed} = {shown}" if shown else f"{parameter['name']}: {allowed}"


def _bounds_text(minimum: float | None, maximum: float | None) -> str:
    if minimum is not None and maximum is not None:
        return f", {minimum} to {maximum}"
    if minimum is not None:
        return f", at least {minimum}"
    return "" if maximum is None else f", at most {maximum}"


@app.callback()
def codecs(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table")] = False,
) -> None:
    """Lists every registered codec: version, parameters, and whether it works here."""
    if context.invoked_subcommand is not None:
        return
    names = codec_names()
    listings = [listing(name) for name in names]
    left_out = [broken for broken in broken_codecs() if broken.name not in names]
    listings += [Listing(broken.name, missing=f"SKIPPED ({broken.origin}): {broken.reason}") for broken in left_out]
    if as_json:
        print_json([asdict(entry) for entry in listings])
        return
    _print(listings)


def _print(listings: list[Listing]) -> None:
    """Prints a block for each codec: whether it works here, what it is, its version and its parameters = defaults."""
    from uqdm.cli.folding import show_pieces, terminal_width
    from uqdm.cli.terminal import showable
    from uqdm.text import counted

    width = terminal_width()
    for entry in listings:
        works = "works here" if entry.missing is None else f"does not work here: {entry.missing}"
        settings = f"; {counted(len(entry.settings), 'setting')} by default" if entry.settings else ""
        ideal = "; ideal, no file" if entry.ideal else ""
        colour = "green" if entry.missing is None else "yellow"
        show_pieces([(f"{entry.name}  ", None), (showable(f"{works}{settings}{ideal}"), colour)], width)
        for text in filter(None, (entry.summary, entry.version, *map(_parameter_text, entry.parameters))):
            show_pieces([(showable(text), None)], width, first="    ", further="        ")


@app.command()
def host(
    out: Annotated[
        Path | None, typer.Option(help="File to write, for instance uqdm_codec_host.py; else it is printed")
    ] = None,
) -> None:
    """Prints the file that lets a codec of any Python environment take part.

    It needs Python 3.8 or newer, and numpy. docs/remote-codecs.md says how it is used.
    """
    remote: Any = codec_class("remote")
    text = remote.host_file()
    if out is None:
        typer.echo(text, nl=False)
        return
    from uqdm.files import write_bytes
    from uqdm.output import check_output

    begin = text[:40].encode()
    check_output(out, lambda head: head.startswith(begin), force=None)
    write_bytes(out, text.encode())
    typer.echo(f"{out}: written")

"""``uqdm environments``: makes, lists and removes environments of codecs that need software of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uqdm.cli import completion
from uqdm.cli.file_arguments import shown
from uqdm.cli.json_output import print_json
from uqdm.cli.lazy import Group
from uqdm.text import counted, printable, shortened_list

if TYPE_CHECKING:
    from uqdm.environments.inventory import StoredEnvironment

app = typer.Typer(cls=Group, no_args_is_help=True, rich_markup_mode=None)

_COLOURS = {"complete": "green", "incomplete": "red", "being made": "yellow"}


@app.callback()
def environments() -> None:
    """Makes, lists and removes environments of codecs that need software of their own."""


@app.command()
def make(
    lock: Annotated[
        list[Path], typer.Argument(help="Lock file of pip (.txt) or file of conda (.yaml)", exists=True, dir_okay=False)
    ],
    note: Annotated[
        Path | None, typer.Option(help="JSON file to write: what each environment has", dir_okay=False)
    ] = None,
) -> None:
    """Makes the environment of each lock file on this machine, unless it is made.

    It lies in the folder that UQDM_ENVIRONMENTS names, else in the cache. If the command is interrupted or fails, the
    next one makes the environment anew.
    """
    from uqdm.environments.note import write_note
    from uqdm.output import check_output, is_json_object

    if note is not None:
        check_output(note, is_json_object, lock, force=None)
    made = [_made(file) for file in lock]
    if note is not None:
        write_note(note, made)


def _made(file: Path) -> dict[str, Any]:
    """Makes an environment, says what it has, and returns its entry of a note."""
    from uqdm.environments import MadeEnvironment, environment
    from uqdm.environments.note import entry

    found = environment(str(file))
    if not isinstance(found, MadeEnvironment):
        raise ValueError(f"{file}: not a lock file of pip (.txt) or a file of conda (.yaml)")
    found.make(lambda line: typer.echo(printable(line), err=True))
    made = entry(found)
    packages = counted(len(made["packages"]), "package")
    typer.echo(f"{found.folder.name}: {packages}, Python {made['python'] or 'none'}, in {shown(found.folder)}")
    if made["unlocked"]:
        names = shortened_list(made["unlocked"])
        typer.echo(f"note: {shown(found.file)} does not fix the versions of {names}; `pip freeze` there does", err=True)
    return made


@app.command(name="list")
def list_stored(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a text")] = False,
) -> None:
    """Lists the environments that are stored: folder, lock, Python, size, and whether each is complete."""
    from uqdm.environments.inventory import stored_environments
    from uqdm.environments.storage import environments_folder

    found = stored_environments()
    if as_json:
        print_json(list(map(_entry, found)))
        return
    for one in found:
        _print(one)
    if not found:
        typer.echo(f"no environments in {shown(environments_folder())}")


def _entry(one: StoredEnvironment) -> dict[str, Any]:
    known = {} if one.stamp is None else asdict(one.stamp)
    return {"name": one.name, "folder": str(one.folder), "state": one.state, "size_bytes": one.size_bytes, **known}


def _print(one: StoredEnvironment) -> None:
    from uqdm.cli.folding import show_pieces, terminal_width

    width = terminal_width()
    size = f"{one.size_bytes / 2**20:,.0f} MiB"
    show_pieces([(f"{printable(one.name)}  ", None), (one.state, _COLOURS[one.state]), (f"  {size}", None)], width)
    for line in _lines(one):
        show_pieces([(printable(line), None)], width, first="    ")


def _lines(one: StoredEnvironment) -> Iterator[str]:
    if one.stamp is not None:
        packages = counted(len(one.stamp.packages), "package")
        yield f"Python {one.stamp.python or 'none'}, {packages}, made {one.stamp.made.replace('T', ' ')}"
        yield f"from {one.stamp.lock}"
        if one.stamp.unlocked:
            yield f"versions that its file does not fix: {shortened_list(one.stamp.unlocked)}"
    yield str(one.folder)


@app.command()
def remove(
    name: Annotated[
        list[str], typer.Argument(help="Name of its folder, as listed", autocompletion=completion.environments)
    ],
) -> None:
    """Removes environments that are stored; a codec that needs one then says how to make it again."""
    from uqdm.environments.inventory import remove as remove_stored

    for one in name:
        typer.echo(f"removed {shown(remove_stored(one))}")

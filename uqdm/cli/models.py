"""``uqdm models``: lists, fetches and converts models."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uqdm.cli import completion
from uqdm.cli.file_arguments import shown
from uqdm.cli.lazy import Group

if TYPE_CHECKING:
    from uqdm.model.zoo import PublishedModel

app = typer.Typer(
    cls=Group,
    help="Lists known models; fetches published ones; converts between layouts.",
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
)

LAYOUTS = ("own", "published")


@dataclass(frozen=True)
class Listing:
    """The state of a model on this machine. ``sha256`` is that of its weights file, if known or present."""

    name: str
    about: str
    source: str
    sha256: str | None
    here: str | None
    """The folder, if the model is here."""
    get: str | None
    """The command that fetches it, if it is not."""


def listings() -> list[Listing]:
    """All known models."""
    from uqdm.model import zoo

    shipped = [_shipped(name) for name in zoo.shipped_names()]
    return [*shipped, *(_known(known) for known in zoo.KNOWN.values())]


def _shipped(name: str) -> Listing:
    from uqdm.model import zoo

    folder = zoo.SHIPPED / name
    card = (folder / "README.md").read_text(encoding="utf-8") if (folder / "README.md").is_file() else ""
    about = " ".join(card.partition("\n\n")[2].partition("\n\n")[0].split()) or "no model card"
    return Listing(name, about, "shipped with the package", _sha256(folder / zoo.WEIGHTS), str(folder), None)


def _known(known: PublishedModel) -> Listing:
    from uqdm.model import zoo
    from uqdm.model.files import PUBLISHED_WEIGHTS

    folder = zoo.folder_of(known.name)
    if folder is not None:
        return Listing(known.name, known.about, known.page, _sha256(folder / PUBLISHED_WEIGHTS), str(folder), None)
    expected = next(item.sha256 for item in known.downloads if item.name == PUBLISHED_WEIGHTS)
    sha256 = expected[0] if expected else None
    return Listing(known.name, known.about, known.page, sha256, None, f"uqdm models get {known.name}")


def _sha256(file: Path) -> str:
    import hashlib

    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@app.callback()
def models(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table")] = False,
) -> None:
    """Lists known models; fetches published ones; converts between layouts."""
    if context.invoked_subcommand is not None:
        return
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in listings()], indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("model", "about", "from", "sha256 of the weights", "here", show_lines=True)
    for entry in listings():
        here = entry.here or f"no: {entry.get}"
        table.add_row(entry.name, entry.about, entry.source, (entry.sha256 or "not published")[:16], here)
    Console(markup=False).print(table)


@app.command()
def get(
    name: Annotated[str, typer.Argument(help="Name of a published model")],
    source: Annotated[
        str | None, typer.Option("--from", help="A folder, or the address of one, that holds its files")
    ] = None,
) -> None:
    """Fetches a published model into the cache and checks its hashes."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from uqdm.model import zoo

    console = Console(stderr=True)
    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        hashes = zoo.fetch(name, source, lambda done, total: bar.update(task, completed=done, total=total))
    known = {item.name: item.sha256 for item in zoo.KNOWN[name].downloads}
    for file, sha256 in hashes.items():
        typer.echo(f"{sha256}  {file}  {'as published' if known[file] else 'no hash is published: note this one'}")
    typer.echo(f"{name} is in {zoo.cached_folder(name)}")


@app.command()
def export(
    model: Annotated[
        str, typer.Argument(help="Name of a model, or path of a model folder", autocompletion=completion.models)
    ],
    out: Annotated[Path, typer.Argument(help="Folder to write", file_okay=False)],
    layout: Annotated[
        str, typer.Option(help="own: config.json and model.safetensors; published: the layout of the authors' code")
    ] = "own",
    weights: Annotated[str, typer.Option(help="Weights of a published checkpoint: ema, or as-released")] = "ema",
) -> None:
    """Writes a model in another layout."""
    from uqdm.model import checkpoint
    from uqdm.model.zoo import load_named

    if layout not in LAYOUTS:
        raise ValueError(f"layout={layout!r}: choose one of {', '.join(LAYOUTS)}")
    checkpoint.export(load_named(model, weights), out, layout)
    typer.echo(f"model written to {shown(out)}")

"""``uqdm models``: lists, fetches and converts models."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uqdm.cli import completion
from uqdm.cli.file_arguments import shown
from uqdm.cli.json_output import print_json
from uqdm.cli.lazy import Group
from uqdm.cli.model_options import Weights

if TYPE_CHECKING:
    from uqdm.model.zoo import PublishedModel

app = typer.Typer(
    cls=Group,
    help="Lists known models; fetches published ones; converts between layouts.",
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
)

_HUB = "in the cache of huggingface_hub"
LAYOUTS = ("own", "published")
OF_UQDM = ("uqdm", "vdm", "diffc")
OF_PUBLISHED = (*OF_UQDM, "ddcm", "turbo-ddcm")  # one network for all noise levels
OF_GAUSSIAN = ("vdm", "diffc", "ddcm", "turbo-ddcm")
OF_BANDS = ("uqdm",)
OF_TRANSFORM = ("hyperprior", "uq-ntc")
OF_REFINE = ("refine",)


@dataclass(frozen=True)
class Listing:
    """The state of a model on this machine. ``sha256`` is that of its weights file, if known or present."""

    name: str
    codecs: tuple[str, ...]
    """The codecs whose parameter ``model`` takes it."""
    about: str
    source: str
    sha256: str | None
    here: str | None
    """The folder, if the model is here."""
    get: str | None
    """The command that fetches it, if it is not."""


def listings() -> list[Listing]:
    """All known models."""
    from uqdm.model import hub, zoo

    shipped = [_shipped(name, _codecs_of(zoo.SHIPPED / name)) for name in zoo.all_shipped()]
    cached = [_of_hub(name, folder) for name, folder in hub.cached_models()]
    return [*shipped, *(_known(known) for known in zoo.KNOWN.values()), *cached]


def _codecs_of(folder: Path) -> tuple[str, ...]:
    """The codecs that a model of this project's layout is for."""
    from uqdm.model.config import read_config
    from uqdm.model.files import BANDED_FORMAT, REFINE_FORMAT, TRANSFORM_FORMAT

    config = read_config(folder)
    of_formats = {BANDED_FORMAT: OF_BANDS, TRANSFORM_FORMAT: OF_TRANSFORM, REFINE_FORMAT: OF_REFINE}
    of_process = OF_GAUSSIAN if config.get("process") == "gaussian" else OF_UQDM
    return of_formats.get(config["format"], of_process)


def _of_hub(name: str, folder: Path) -> Listing:
    from uqdm.model import hub

    weights = next((sha256 for file, sha256 in hub.hashes(name).items() if file != hub.CONFIG), None)
    return Listing(name, _codecs_of(folder), _HUB, name.partition("@")[0], weights, str(folder), None)


def _shipped(name: str, codecs: tuple[str, ...]) -> Listing:
    from uqdm.model import zoo

    folder = zoo.SHIPPED / name
    card = (folder / "README.md").read_text(encoding="utf-8") if (folder / "README.md").is_file() else ""
    about = " ".join(card.partition("\n\n")[2].partition("\n\n")[0].split()) or "no model card"
    return Listing(name, codecs, about, "shipped with the package", _sha256(folder / zoo.WEIGHTS), str(folder), None)


def _known(known: PublishedModel) -> Listing:
    from uqdm.model import zoo
    from uqdm.model.files import PUBLISHED_WEIGHTS

    folder = zoo.folder_of(known.name)
    if folder is not None:
        return Listing(
            known.name, OF_PUBLISHED, known.about, known.page, _sha256(folder / PUBLISHED_WEIGHTS), str(folder), None
        )
    expected = next(item.sha256 for item in known.downloads if item.name == PUBLISHED_WEIGHTS)
    sha256 = expected[0] if expected else None
    return Listing(known.name, OF_PUBLISHED, known.about, known.page, sha256, None, f"uqdm models get {known.name}")


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
        print_json([asdict(entry) for entry in listings()])
        return
    for entry in listings():
        _print(entry)


def _print(entry: Listing) -> None:
    """Prints what is known of a model, in lines that fit the terminal."""
    from uqdm.cli.folding import show_pieces, terminal_width

    here = [("here", "green")] if entry.here else [("not here; get it with: ", None), (str(entry.get), "yellow")]
    lines = [[(f"{entry.name}  ", None), *here], [(f"for: {', '.join(entry.codecs)}", None)]]
    lines += [
        [(text, None)] for text in (_plain(entry.about), f"from: {entry.source}", _weights(entry), entry.here) if text
    ]
    for number, line in enumerate(lines):
        show_pieces(line, terminal_width(), first="    " if number else "", further="    ")


def _weights(entry: Listing) -> str:
    return f"sha256 of the weights: {entry.sha256[:16] if entry.sha256 else 'not published'}"


def _plain(markdown: str) -> str:
    """Text without marks of Markdown: code, bold, and links, of which the text stays.

    >>> _plain("`uqdm-pixel` on **a small part**; [docs/models.md](../docs/models.md) says more")
    'uqdm-pixel on a small part; docs/models.md says more'
    """
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", markdown).replace("`", "").replace("**", "")


@app.command()
def get(
    name: Annotated[
        str,
        typer.Argument(
            help="Name of a published model, or hf:OWNER/NAME[@REVISION]", autocompletion=completion.published_models
        ),
    ],
    source: Annotated[
        str | None, typer.Option("--from", help="A folder, or the address of one, that holds its files")
    ] = None,
) -> None:
    """Fetches a published model, or one of the Hugging Face Hub, into the cache and checks its hashes."""
    from uqdm.model.hub import is_hub_name

    if is_hub_name(name):
        _get_of_hub(name, source)
        return
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


def _get_of_hub(name: str, source: str | None) -> None:
    from uqdm.model import hub

    if source is not None:
        raise ValueError(f"--from is for published models, and {name} is one of the hub; leave it out")
    pinned = hub.pinned_name(name)
    for file, sha256 in hub.hashes(pinned).items():
        typer.echo(f"{sha256}  {file}")
    typer.echo(f"{pinned} is in {hub.hub_folder(pinned)}")


@app.command()
def export(
    model: Annotated[
        str,
        typer.Argument(
            help="Name of a model, path of a model folder, or hf:OWNER/NAME", autocompletion=completion.models
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Folder to write", file_okay=False)],
    layout: Annotated[
        str,
        typer.Option(
            help="own: config.json and model.safetensors; published: the layout of the authors' code",
            autocompletion=completion.one_of(*LAYOUTS),
        ),
    ] = "own",
    weights: Weights = "ema",
) -> None:
    """Writes a model with a denoiser in another layout; others have one layout alone."""
    from uqdm.model import checkpoint
    from uqdm.model.zoo import load_named

    if layout not in LAYOUTS:
        raise ValueError(f"layout={layout!r}: choose one of {', '.join(LAYOUTS)}")
    checkpoint.export(load_named(model, weights), out, layout)
    typer.echo(f"model written to {shown(out)}")

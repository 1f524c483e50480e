"""``uqdm init``: a folder to run the benchmark in, with a copy of its configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[Path, typer.Argument(help="Folder to start in; created if needed")] = Path(),
    recipes: Annotated[bool, typer.Option("--recipes", help="Copy the recipes of codecs of other people, too")] = False,
    profiles: Annotated[bool, typer.Option("--profiles", help="Copy the profile for SLURM, too")] = False,
) -> None:
    """Copies the default configuration into a folder, for uqdm run.

    It writes config/, with the configurations of the workflow and of trainings. Files that are already there are kept.
    """
    from uqdm.cli.packaged import files_of, workflow_folder
    from uqdm.files import write_bytes

    shipped = workflow_folder()
    parts = ["config", *["recipes"] * recipes, *["workflow/profiles"] * profiles]
    written = 0
    for file in files_of(shipped, *parts):
        target = folder / file
        if target.exists():
            if target.read_bytes() != (shipped / file).read_bytes():
                typer.echo(f"kept {target}, which differs from the shipped one", err=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(target, (shipped / file).read_bytes())
        written += 1
    places = " and ".join(str(folder / part) for part in parts)
    typer.echo(f"{places}: {written} files written" if written else f"{places}: every file is there already")
    start = "uqdm run" if folder == Path() else f"cd {folder} && uqdm run"
    typer.echo(f"next: edit {folder / 'config' / 'config.yaml'}, or see the demo at once: {start}")

"""``uqdm run``: the workflow of the installed package, from any folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

_CORES = ("--cores", "-c", "--jobs", "-j")
_NEED_NO_CORES = ("--profile", "--workflow-profile", "--executor", "-e", "--help", "-h", "--version", "-v")
_CACHE = "XDG_CACHE_HOME"
_CONFIG_FILES = (".yaml", ".yml", ".json")


def run(
    config: Annotated[
        str | None,
        typer.Argument(
            metavar="CONFIG", help="Configuration file, which overrides parts of config/config.yaml", show_default=False
        ),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- SNAKEMAKE", help="Targets and options of Snakemake", show_default=False),
    ] = None,
) -> None:
    """Runs the benchmark: every run of the configuration, from images to the report, by Snakemake.

    The results go to the folder results of the working folder, and the same command resumes. The configuration is
    config/config.yaml of the working folder (see uqdm init), or else the shipped one; CONFIG overrides parts of it.

    \b
    uqdm run                                  the demo
    uqdm run -- --config limit=8              a quick look at it
    uqdm run mine.yaml                        the runs of mine.yaml
    uqdm run mine.yaml -- --dry-run           what would be done
    uqdm run -- contest                       another target
    """
    from uqdm.cli.packaged import workflow_folder

    file, passed_on = split([*filter(None, [config]), *(options or [])], sys.argv)
    command = snakemake_command(workflow_folder(), file, passed_on)
    os.environ.update(cache_variables())
    sys.stdout.flush()
    # Snakemake replaces this process, so that signals and the exit status are its own.
    os.execv(command[0], command)


def split(arguments: Sequence[str], argv: Sequence[str]) -> tuple[Path | None, list[str]]:
    """The configuration file and the options of Snakemake; the parser of the command line has removed ``--``.

    Raises typer.BadParameter for anything else before ``--``, and FileNotFoundError for a file that is not there.

    >>> split(["contest"], ["uqdm", "run", "--", "contest"])
    (None, ['contest'])
    """
    n_options = len(argv) - argv.index("--") - 1 if "--" in argv else 0
    n_before = len(arguments) - n_options
    before, options = list(arguments[:n_before]), list(arguments[n_before:])
    if len(before) > 1 or not all(name.endswith(_CONFIG_FILES) for name in before):
        other = next((name for name in before if not name.endswith(_CONFIG_FILES)), before[-1] if before else "")
        raise typer.BadParameter(f"{other}: not a configuration file (.yaml); targets and options follow --")
    if before and not Path(before[0]).is_file():
        raise FileNotFoundError(f"{before[0]}: no such configuration file; uqdm init writes one to start from")
    return (Path(before[0]) if before else None), options


def snakemake_command(folder: Path, config: Path | None, options: Sequence[str]) -> list[str]:
    """The command line of Snakemake; all cores unless ``options`` say otherwise.

    >>> snakemake_command(Path("/site"), Path("mine.yaml"), ["report", "--config", "limit=8"])[3:]
    ['--snakefile', '/site/Snakefile', '--cores', 'all', 'report', '--configfile', 'mine.yaml', '--config', 'limit=8']
    """
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(folder / "Snakefile")]
    if not any(option.startswith((*_CORES, *_NEED_NO_CORES)) for option in options):
        command += ["--cores", "all"]
    first_flag = next((index for index, option in enumerate(options) if option.startswith("-")), len(options))
    command += options[:first_flag]  # targets, which an option that takes several values would swallow
    command += ["--configfile", str(config)] if config else []
    return [*command, *options[first_flag:]]


def cache_variables() -> dict[str, str]:
    """The variable of the folder that Snakemake keeps its cache in, where the home has none that can be written."""
    from uqdm.places import check_writable, private_temporary_folder

    if os.environ.get(_CACHE):
        return {}
    try:
        check_writable(Path.home() / ".cache", _CACHE)
    except (OSError, RuntimeError):
        return {_CACHE: str(private_temporary_folder())}
    return {}

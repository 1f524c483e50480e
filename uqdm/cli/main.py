"""The console script ``uqdm``: its subcommands, and how errors reach the user."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Annotated, Any, NoReturn, cast

import typer

from uqdm.cli.lazy import lazy_group
from uqdm.cli.terminal import show_any_text
from uqdm.cli.workflow import wants_traceback
from uqdm.errors import USER_ERRORS, message_of
from uqdm.interrupts import interrupts_raised, noted, raise_if_interrupted
from uqdm.text import printable

SUBCOMMANDS = {
    "init": "uqdm.cli.init:init",
    "run": "uqdm.cli.run:run",
    "encode": "uqdm.cli.encode:encode",
    "decode": "uqdm.cli.decode:decode",
    "info": "uqdm.cli.info:info",
    "sample": "uqdm.cli.sample:sample",
    "train": "uqdm.cli.train:train",
    "models": "uqdm.cli.models:app",
    "codecs": "uqdm.cli.codecs:app",
    "doctor": "uqdm.cli.doctor:doctor",
    "environments": "uqdm.cli.environments:app",
    "bench": "uqdm.cli.bench:app",
    "swirl": "uqdm.cli.swirl:app",
}

# ClickException, which typer does not export.
_ClickError: type[Exception] = cast(type[Exception], typer.BadParameter.__mro__[2])

# Subcommands inherit these.
_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}

app = typer.Typer(cls=lazy_group(SUBCOMMANDS), no_args_is_help=True, rich_markup_mode=None, context_settings=_CONTEXT)


def _show_version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata

        typer.echo(f"uqdm {importlib.metadata.version('uqdm')}")
        raise typer.Exit


@app.callback()
def root(
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show the traceback of an error (or set UQDM_TRACEBACK=1)")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version")
    ] = False,
) -> None:
    """Compresses images with diffusion models, and benchmarks codecs."""
    if traceback:
        os.environ["UQDM_TRACEBACK"] = "1"


def _show_usage(error: Any) -> NoReturn:
    """Prints an error of usage as typer does, but with escapes for control characters."""
    text = io.StringIO()
    error.show(file=text)
    for line in text.getvalue().removesuffix("\n").split("\n"):
        print(printable(line), file=sys.stderr)
    sys.exit(error.exit_code)


def main() -> None:
    """Runs the command line; exits 0, 1 on an error or failed check, 2 on wrong usage.

    After Ctrl-C it exits 130, after SIGTERM 143, and one line says what is kept and how to continue.
    """
    show_any_text()
    with interrupts_raised():
        try:
            _run()
        except BaseException:
            stopped = noted()  # a library may have replaced the exception
            if stopped is None:
                raise
            with contextlib.suppress(OSError):  # the terminal is gone
                print(stopped.line(), file=sys.stderr, flush=True)
            sys.exit(stopped.code)


def _run() -> NoReturn:
    try:
        code = app(prog_name="uqdm", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except _ClickError as error:
        _show_usage(error)
    except typer.Abort:
        raise_if_interrupted()
        print("Aborted!", file=sys.stderr)
        sys.exit(1)
    except USER_ERRORS as error:
        raise_if_interrupted()
        if wants_traceback():
            raise
        print(f"error: {message_of(error)}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()

"""Guards the help texts of all commands: plain text that fits 80 columns, with nothing cut, for --help and -h."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer
from typer.testing import CliRunner

from uqdm.cli.lazy import Group, _first_paragraph
from uqdm.cli.main import app

MARKUP = re.compile(r"`|\*\*|\*\w|:\w+:`|\[/?(?:dim|bold|red|green|yellow|cyan|required)\b|\x1b|^ *\.\. ", re.MULTILINE)


def commands() -> Iterator[tuple[str, ...]]:
    """The names of every command and group, from the program's own on."""
    root = typer.main.get_command(app)
    assert isinstance(root, Group)
    yield ()
    waiting = [((), root)]
    while waiting:
        names, group = waiting.pop()
        context = typer.Context(group)  # type: ignore[type-var]
        for name in group.list_commands(context):
            _, command, _ = group.resolve_command(context, [name])
            yield (*names, name)
            if isinstance(command, Group):
                waiting.append(((*names, name), command))


ALL = list(commands())


def shown(*arguments: str) -> str:
    """Output at 80 columns, the width of click's runner."""
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.stdout


def test_every_command_is_walked_through() -> None:
    assert {("bench", "run"), ("bench", "show"), ("models", "get"), ("swirl", "report"), ("encode",)} <= set(ALL)
    assert len(ALL) == len(set(ALL)) >= 27


@pytest.mark.parametrize("names", ALL, ids=" ".join)
def test_help_fits_80_columns_and_has_no_markup(names: tuple[str, ...]) -> None:
    text = shown(*names, "--help")
    assert text.startswith(f"Usage: {' '.join(['root', *names])} ")
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert MARKUP.findall(text.replace("[required]", "")) == []
    assert "…" not in text
    assert shown(*names, "-h") == text


@pytest.mark.parametrize("names", ALL, ids=" ".join)
def test_a_group_shows_the_whole_summary_of_each_command(names: tuple[str, ...]) -> None:
    """The first paragraph of the command's own help."""
    if not names:
        return
    own = shown(*names, "--help").partition("\n\n")[2]
    of_group = " ".join(shown(*names[:-1], "--help").split())
    summary = _first_paragraph(own)
    assert summary.endswith(".")
    assert f"{names[-1]} {summary}" in of_group


@pytest.mark.parametrize(("columns", "widest"), [("60", 60), ("80", 80), ("110", 110), ("300", 120)])
def test_help_is_as_wide_as_the_terminal_up_to_a_readable_width(columns: str, widest: int) -> None:
    command = [sys.executable, "-c", "from uqdm.cli.main import main; main()", "bench", "run", "--help"]
    text = subprocess.check_output(command, text=True, env={**os.environ, "COLUMNS": columns})
    assert widest - 12 < max(map(len, text.splitlines())) <= widest

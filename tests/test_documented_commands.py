"""The commands of the README and of docs/ have subcommands and options that exist."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from documented import ROOT, Command, commands, inline_commands, recipe_pages
from typer import Context, TyperException
from typer.core import TyperGroup
from typer.main import get_command

from uqdm.cli.main import app

TYPED = [*commands(), *commands(recipe_pages())]


def split_arguments(text: str) -> Iterator[list[str]]:
    """The arguments of each ``uqdm`` in a command of the shell."""
    words = shlex.split(text.replace("[", "").replace("]", ""))
    for _, part in itertools.groupby(words, key=lambda word: word in ("&&", "|", ">", "--")):
        arguments = list(part)
        if arguments[0] == "uqdm":
            yield arguments[1:]


OPTIONS_THAT_ACT = ("--install-completion", "--show-completion", "--version", "--help", "-h")
"""Options that do their work when they are read."""


def check_arguments(arguments: list[str]) -> None:
    """Parses the arguments as the command line does, and runs nothing; raises as it would."""
    command = get_command(app)
    while isinstance(command, TyperGroup) and arguments and not arguments[0].startswith("-"):
        _, command, arguments = command.resolve_command(Context(command), list(arguments))
    if not arguments and isinstance(command, TyperGroup):
        return  # it shows its subcommands
    if arguments and arguments[0] in OPTIONS_THAT_ACT:
        assert any(arguments[0] in parameter.opts for parameter in command.get_params(Context(command)))
    else:
        command.make_context("uqdm", list(arguments))


@pytest.fixture
def files_of_the_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and folders that the commands name; those that must exist are looked for when the arguments are read."""
    for name in ("photo.png", "photo.uqdm", "lock.txt"):
        (tmp_path / name).touch()
    for name in ("FOLDER", "MODEL", *(f"results/{run}" for run in ("demo", "mine", "before", "after", "one", "other"))):
        (tmp_path / name).mkdir(parents=True)
    for name in ("config", "recipes"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("files_of_the_pages")
@pytest.mark.parametrize("command", [one for one in TYPED if "uqdm " in one.text], ids=lambda one: one.text[:60])
def test_each_command_has_options_that_exist_and_lacks_none(command: Command) -> None:
    for arguments in split_arguments(command.text):
        check_arguments(arguments)


@pytest.mark.usefixtures("files_of_the_pages")
def test_options_of_commands_in_the_text_exist() -> None:
    checked = [command for command in inline_commands() if command.text.startswith("uqdm ")]
    assert checked
    for command in checked:
        for arguments in split_arguments(command.text):
            # The text may leave out what it does not speak of, and an option's value.
            problem = problem_of(arguments)
            assert problem is None or re.search("Missing|requires an argument", problem), f"{command}: {problem}"


def problem_of(arguments: list[str]) -> str | None:
    """What is wrong with the arguments of a command; None if nothing is."""
    try:
        check_arguments(arguments)
    except TyperException as error:
        return error.format_message()
    return None

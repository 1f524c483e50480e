"""Reference of the command line: a page for each command, from the help that the command itself shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from typer import Context
from typer.core import TyperGroup
from typer.main import get_command

from docs_tools.markdown import code, fence, prose, table
from docs_tools.pages import MadePage, Section


@dataclass(frozen=True)
class Described:
    """A command or a group of commands, with the words that it is called by."""

    words: tuple[str, ...]
    command: Any
    context: Any

    @property
    def name(self) -> str:
        """The words as they are typed."""
        return " ".join(self.words)

    @property
    def page(self) -> str:
        """File name of its page."""
        return "-".join(self.words) + ".md"

    @property
    def is_group(self) -> bool:
        """Whether it has subcommands."""
        return isinstance(self.command, TyperGroup)


def commands() -> Iterator[Described]:
    """Every command and group of ``uqdm``, each group before its commands."""
    from uqdm.cli.main import app

    yield from _below(("uqdm",), get_command(app), None)


def _below(words: tuple[str, ...], command: Any, parent: Any) -> Iterator[Described]:
    context = Context(command, parent=parent, info_name=words[-1], **command.context_settings)
    yield Described(words, command, context)
    if isinstance(command, TyperGroup):
        for name in command.list_commands(context):
            _, loaded, _ = command.resolve_command(context, [name])
            yield from _below((*words, name), loaded, context)


def command_page(one: Described) -> MadePage:
    """The page of a command: usage, description, subcommands, arguments and options."""
    parts = [f"# {one.name}\n", fence(_usage(one)), _description(one.command.help), _subcommands(one)]
    parts += [_records(one, "Arguments", "argument"), _records(one, "Options", "option")]
    return MadePage(f"reference/cli/{one.page}", one.name, "\n".join(filter(None, parts)))


def _usage(one: Described) -> str:
    return f"{one.name} {' '.join(one.command.collect_usage_pieces(one.context))}"


def _description(help_text: str | None) -> str:
    paragraphs = (help_text or "").replace("\f", "").split("\n\n")
    return "\n".join(f"{prose(' '.join(paragraph.split()))}\n" for paragraph in paragraphs)


def _subcommands(one: Described) -> str:
    if not one.is_group:
        return ""
    rows = []
    for name in one.command.list_commands(one.context):
        child = Described((*one.words, name), one.command.get_command(one.context, name), None)
        rows.append((f"[{child.name}]({child.page})", prose(_summary(child.command.help))))
    return f"## Commands\n\n{table(('command', 'what it does'), rows)}"


def _summary(help_text: str | None) -> str:
    return " ".join((help_text or "").partition("\n\n")[0].split())


def _records(one: Described, heading: str, kind: str) -> str:
    """A table of the parameters of a kind, as the help has them; empty if there is none."""
    wanted = [param for param in one.command.get_params(one.context) if param.param_type_name == kind]
    records = [record for param in wanted if (record := param.get_help_record(one.context)) is not None]
    rows = [(code(names.replace("\n", " ")), prose(about or "")) for names, about in records]
    return f"## {heading}\n\n{table((kind, 'meaning'), rows)}" if rows else ""


def section() -> Section:
    """The pages of all commands; in the navigation, those of a group stand below it."""
    found = list(commands())
    return Section(tuple(command_page(one) for one in found), entries=tuple(_entries(found, found[0])))


def _entries(found: list[Described], group: Described) -> list[Any]:
    """The entries of a group: its own page first, then its commands by their last word."""
    own = f"reference/cli/{group.page}"
    below = [one for one in found if one.words[:-1] == group.words]
    return [
        own,
        *({one.words[-1]: _entries(found, one) if one.is_group else f"reference/cli/{one.page}"} for one in below),
    ]

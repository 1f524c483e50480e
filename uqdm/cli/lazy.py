"""Command groups whose subcommands are imported only when they run, so that ``--help`` is fast.

Help texts are plain: no markup, and no summary is cut.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from uqdm.cli.user_path import with_user_paths


class Group(TyperGroup):
    """A group whose help has the whole summary of each command, on several lines if need be."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the names and summaries of the commands."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first_paragraph(one.help)) for name, one in commands if one is not None])


def _first_paragraph(text: str | None) -> str:
    return " ".join((text or "").partition("\n\n")[0].split())


def lazy_group(subcommands: Mapping[str, str]) -> type[TyperGroup]:
    """A group class for ``typer.Typer(cls=...)``; ``subcommands`` maps a name to ``"module:object"``.

    The object is a function (one command) or a ``typer.Typer`` (a group). The group's help takes its summary from the
    source without importing it: the docstring of the function, or of the group's callback.
    """

    class LazyGroup(Group):
        def __init__(self, **attributes: Any) -> None:
            outlines = {name: _outline(name, target) for name, target in subcommands.items()}
            super().__init__(**{**attributes, "commands": outlines})

        def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
            name, _, rest = super().resolve_command(ctx, args)
            return name, _load(str(name), subcommands[str(name)]), rest

    return LazyGroup


def _outline(name: str, target: str) -> TyperCommand:
    return TyperCommand(name=name, help=summary_of(target))


def _load(name: str, target: str) -> Any:
    module, attribute = target.split(":")
    loaded = getattr(importlib.import_module(module), attribute)
    if isinstance(loaded, typer.Typer):
        for inner in loaded.registered_commands:
            if inner.callback is not None:
                with_user_paths(inner.callback)
        command: Any = typer.main.get_group(loaded)
    else:
        app = typer.Typer(add_completion=False, rich_markup_mode=None)  # markup would swallow [defaults] in help texts
        app.command(name)(with_user_paths(loaded))
        command = typer.main.get_command(app)
    command.name = name
    return command


def summary_of(target: str) -> str:
    """First line of the docstring of ``"module:object"``, read without importing the module.

    For a ``typer.Typer`` it is the docstring of its callback, or else of the module.

    For a missing module the text says so, and the other subcommands still work.

    >>> summary_of("uqdm.cli.lazy:lazy_group")
    'A group class for ``typer.Typer(cls=...)``; ``subcommands`` maps a name to ``"module:object"``.'
    """
    module, attribute = target.split(":")
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return f"(not installed: {module})"
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and _is_of(node, attribute)]
    text = ast.get_docstring(functions[0] if functions else tree) or ""
    return inspect.cleandoc(text).partition("\n")[0]


def _is_of(function: ast.FunctionDef, attribute: str) -> bool:
    """Whether a function has that name, or is the callback of a group of that name."""
    return function.name == attribute or f"{attribute}.callback()" in map(ast.unparse, function.decorator_list)

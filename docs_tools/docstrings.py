"""Docstrings of this project as Markdown, for mkdocstrings: cross-references and examples.

The docstrings name objects by roles (:class:`Codec`) and have examples as prompts (``>>>``). Griffe loads
:class:`ProjectDocstrings` and passes it every object.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|meth|func|attr|mod|data|exc|obj):`(~?)([\w.]+)`")
_EXAMPLE = re.compile(r"^>>> .*?(?=^\s*$|\Z)", re.MULTILINE | re.DOTALL)
_DIRECTIVE = re.compile(r"\s*# doctest: .*$", re.MULTILINE)


def with_references(text: str, scope: tuple[str, ...]) -> str:
    """Replaces roles by references that stay text if their target is on no page of the site.

    ``scope`` are the names that a relative target may begin in, the innermost first; the last is the module.
    """

    def reference(match: re.Match[str]) -> str:
        hidden, target = match.groups()
        shown = target.rpartition(".")[2] if hidden else target
        full = target if target.startswith("uqdm.") else f"{_scope_of(target, scope)}.{target}"
        return f'<autoref identifier="{full}" optional><code>{shown}</code></autoref>'

    return _ROLE.sub(reference, text)


def _scope_of(target: str, scope: tuple[str, ...]) -> str:
    """The name before a relative target: its class for a lower-case name, else the module."""
    return scope[0] if target[0].islower() else scope[-1]


def with_examples(text: str) -> str:
    r"""Puts examples into blocks of code, without the instructions to doctest.

    >>> with_examples("Adds.\n\n>>> 1 + 1\n2")
    'Adds.\n\n```pycon\n>>> 1 + 1\n2\n```\n'
    """

    def block(match: re.Match[str]) -> str:
        return f"```pycon\n{_DIRECTIVE.sub('', match.group()).rstrip()}\n```\n"

    return _EXAMPLE.sub(block, text)


class ProjectDocstrings(griffe.Extension):
    """Rewrites every docstring that is loaded."""

    def on_object(self, *, obj: griffe.Object, **_kwargs: Any) -> None:
        """Rewrites the docstring of an object, if it has one."""
        if obj.docstring is not None:
            parent = obj.parent.path if obj.parent is not None else obj.path
            inner = obj.path if obj.is_class or obj.is_module else parent
            text = with_references(obj.docstring.value, (inner, obj.module.path))
            obj.docstring.value = with_examples(text)

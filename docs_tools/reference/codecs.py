"""Reference of the codecs of this project with their parameters, from their classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from docs_tools.markdown import code, table, text
from docs_tools.pages import MadePage
from uqdm.codec import CODECS, Codec, Parameter, codec_class, value_text


def own_codecs() -> list[type[Codec]]:
    """The codecs that this project registers, by name; those of other installed packages are left out."""
    names = [plugin.name for plugin in CODECS.loaded() if plugin.value.__module__.split(".")[0].startswith("uqdm")]
    return [codec_class(name) for name in sorted(names)]


def _row(parameter: Parameter) -> tuple[str, str, str, str]:
    default = "" if parameter.default is None else value_text(parameter.default)
    return code(parameter.name), text(parameter.help), text(parameter.allowed()), code(default)


def _setting(values: Mapping[str, Any]) -> str:
    return code(",".join(f"{name}={value_text(value)}" for name, value in values.items()) or "defaults")


def _codec(codec: type[Codec]) -> str:
    facts = [f"## {codec.name}\n", f"{text(codec.summary)}.\n"]
    if codec.ideal:
        facts.append("Ideal: it has rates and makes no files.\n")
    facts.append(
        table(("parameter", "meaning", "values", "default"), map(_row, codec.parameters)) or "No parameters.\n"
    )
    return "\n".join(
        [*facts, f"Settings of a benchmark by default: {', '.join(map(_setting, codec.sweep)) or 'none'}.\n"]
    )


def page() -> MadePage:
    """The page of all codecs."""
    codecs = own_codecs()
    rows = [(f"[{codec.name}](#{codec.name})", text(codec.summary)) for codec in codecs]
    about = (
        "The codecs of this project with all parameters. [Codecs](../codecs.md) explains them; "
        f"{code('uqdm doctor')} tells which work on a machine, and how to get the others.\n"
    )
    parts = ["# Codecs and their parameters\n", about, table(("codec", "what it is"), rows), *map(_codec, codecs)]
    return MadePage("reference/codecs.md", "Codecs", "\n".join(parts))

"""Reference of the workflow's configuration, from its schema and the shipped values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from docs_tools.markdown import code, table, text
from docs_tools.pages import ROOT, MadePage

SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
SHIPPED = (ROOT / "config" / "config.yaml", ROOT / "config" / "contest.yaml")
ABSENT: Any = object()
_NAME = "NAME"
"""What stands for a name that the user chooses."""
_SHORT = 60
"""Longest value that a table shows."""


@dataclass(frozen=True)
class Key:
    """A key of the configuration, its part of the schema, and its shipped value (``ABSENT`` if it has none)."""

    path: tuple[str, ...]
    schema: Mapping[str, Any]
    shipped: Any = ABSENT


def keys(schema: Mapping[str, Any], shipped: Any) -> Iterator[Key]:
    """Every key below the root of a schema, in its order; those of user-chosen names stand below ``NAME``."""
    yield from _below((), schema, shipped, schema)


def _below(path: tuple[str, ...], part: Mapping[str, Any], shipped: Any, root: Mapping[str, Any]) -> Iterator[Key]:
    for name, child in _children(part, root).items():
        value = shipped.get(name, ABSENT) if isinstance(shipped, dict) else ABSENT
        yield Key((*path, name), child, value)
        yield from _below((*path, name), child, value, root)


def _children(part: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
    """The schemas of the keys of a mapping, or of the mappings in a list."""
    part = _resolved(part.get("items", part) if isinstance(part.get("items", part), dict) else part, root)
    found = dict(part.get("properties", {}))
    others = part.get("additionalProperties")
    if isinstance(others, dict):
        found[_NAME] = others
    return {name: _resolved(child, root) for name, child in found.items()}


def _resolved(part: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with what its reference names; its own words win."""
    if "$ref" not in part:
        return dict(part)
    target: Any = root
    for name in part["$ref"].removeprefix("#/").split("/"):
        target = target[name]
    return {**_resolved(target, root), **{name: value for name, value in part.items() if name != "$ref"}}


def allowed(schema: Mapping[str, Any]) -> str:
    """Type and bounds in a few words.

    >>> allowed({"type": ["integer", "null"], "minimum": 1})
    'integer or null, at least 1'
    >>> allowed({"enum": ["a", "b"]})
    'a or b'
    """
    choices = schema.get("enum") or schema.get("type") or _alternatives(schema)
    words = " or ".join(str(one) for one in (choices if isinstance(choices, list) else [choices]))
    if isinstance(schema.get("items"), dict) and "type" in schema["items"]:
        words = words.replace("array", f"list of {schema['items']['type']}")
    bounds = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most"}
    return ", ".join([words, *(f"{bound} {schema[name]}" for name, bound in bounds.items() if name in schema)])


def _alternatives(schema: Mapping[str, Any]) -> list[str]:
    found = [one.get("type", "") for one in [*schema.get("oneOf", ()), *schema.get("anyOf", ())]]
    flat = [name for one in found for name in (one if isinstance(one, list) else [one])]
    return list(dict.fromkeys(filter(None, flat))) or ["any"]


def _value(key: Key) -> str:
    """The shipped value, or else the default of the schema; empty for a mapping and where there is neither."""
    value = key.schema.get("default", ABSENT) if key.shipped is ABSENT else key.shipped
    if isinstance(value, dict) or value is ABSENT:
        return ""
    shown = json.dumps(value, ensure_ascii=False)
    return code(shown.strip('"')) if len(shown) <= _SHORT else "see the file"


def _row(key: Key) -> tuple[str, str, str, str]:
    return (
        code(".".join(key.path)),
        text(str(key.schema.get("description", ""))),
        text(allowed(key.schema)),
        _value(key),
    )


def shipped_values(files: tuple[Path, ...] = SHIPPED) -> dict[str, Any]:
    """The shipped configuration, as one mapping."""
    merged: dict[str, Any] = {}
    for file in files:
        merged |= yaml.safe_load(file.read_text(encoding="utf-8"))
    return merged


def page() -> MadePage:
    """The page of all keys, a section for each key of the first level."""
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    found = list(keys(schema, shipped_values()))
    parts = [
        "# Configuration\n",
        "The keys of the configuration of the workflow, from the schema that it is checked against. The last column is "
        f"the shipped value. {code(_NAME)} is a name that you choose. "
        "The shipped file explains the keys: [config/config.yaml](../source/config/config.yaml.md).\n",
    ]
    for top in (key for key in found if len(key.path) == 1):
        rows = [_row(key) for key in found if key.path[0] == top.path[0]]
        parts.append(f"## {top.path[0]}\n\n{table(('key', 'meaning', 'values', 'shipped'), rows)}")
    return MadePage("reference/configuration.md", "Configuration", "\n".join(parts))

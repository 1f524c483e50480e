"""The provenance of results: versions of project and packages, git revision, machine, date; in every result file."""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from uqdm.machine import command_output, machine

METADATA_KEY = b"provenance"
"""Key of the provenance, as JSON, in the schema metadata of a Parquet file."""


def provenance() -> dict[str, Any]:
    """The provenance of results that are made now, here."""
    return {
        "project": f"uqdm {importlib.metadata.version('uqdm')}",
        "git_revision": git_revision(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "packages": package_versions(),
        "machine": machine(),
    }


def with_provenance(schema: pa.Schema, origin: Mapping[str, Any]) -> pa.Schema:
    """``schema`` with ``origin`` in its metadata."""
    return schema.with_metadata({**(schema.metadata or {}), METADATA_KEY: json.dumps(origin).encode()})


def read_provenance(schema: pa.Schema) -> dict[str, Any]:
    """The provenance in a schema's metadata; empty if there is none.

    >>> read_provenance(with_provenance(pa.schema([]), {"project": "uqdm 0"}))
    {'project': 'uqdm 0'}
    """
    return dict(json.loads((schema.metadata or {}).get(METADATA_KEY, b"{}")))


def package_versions() -> dict[str, str | None]:
    """Installed versions of required and optional packages, except those for tests; None where not installed."""
    required = [text for text in importlib.metadata.requires("uqdm") or () if 'extra == "test"' not in text]
    names = [re.split(r"[^\w.-]", text, maxsplit=1)[0] for text in required]
    return {name: _version(name) for name in sorted(set(names))}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache
def git_revision() -> str | None:
    """Commit of the git checkout that this code runs from, ``+dirty`` if tracked files changed; None outside one."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists() or shutil.which("git") is None:
        return None
    described = command_output(
        "git", "-C", str(root), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+dirty"
    )
    return described or None

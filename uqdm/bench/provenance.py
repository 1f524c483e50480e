"""Where results come from: project and package versions, git revision, machine, date. Kept in every result file."""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

METADATA_KEY = b"provenance"
"""Key of the provenance, as JSON, in the schema metadata of a Parquet file."""


def provenance() -> dict[str, Any]:
    """Everything about this project, environment and machine that a result should carry."""
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
    """Installed versions of what this project requires and can use (not to test it); None where not installed."""
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
    """Commit of the checkout that this code runs from, with ``+dirty`` if tracked files differ; None outside one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists() or shutil.which("git") is None:
        return None
    described = _output("git", "-C", str(root), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+dirty")
    return described or None


@functools.cache
def machine() -> dict[str, Any]:
    """Processor, cores, memory, GPUs, platform and Python of the machine that this process runs on."""
    return {
        "cpu": _cpu_model(),
        "cores": available_cores(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpus": _gpus(),
        "platform": platform.platform(),
        "python": platform.python_version(),
    }


def available_cores() -> int:
    """Cores that this process may use: those it is bound to, and no more than SLURM gave it where SLURM binds none."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    given = os.environ.get("SLURM_CPUS_ON_NODE", "")
    return min(bound, int(given)) if given.isdigit() and int(given) else bound


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _gpus() -> list[str]:
    if shutil.which("nvidia-smi") is None:
        return []
    return _output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader").splitlines()


def _output(*command: str) -> str:
    """Standard output of a command; empty if it fails, since provenance must not stop an evaluation."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()

"""Checks of the machine for ``uqdm doctor``: writable folders, shared memory, open files."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator

NEEDED = "ray-folder"
"""The check without which nothing can be evaluated."""
SHARED_MEMORY = "/dev/shm"
_LEAST_FILES = 256
_LEAST_SHARED_BYTES = 2**30


def machine_checks() -> Iterator[tuple[str, str | None]]:
    """Names of checks, each with the fault and the remedy; None if there is no fault."""
    yield NEEDED, _ray_folder()
    yield "cache-folder", _cache_folder()
    yield "workflow-cache", _workflow_cache()
    yield "shared-memory", _shared_memory()
    yield "open-files", _open_files()


def _ray_folder() -> str | None:
    from uqdm.bench.execute.private_folder import NoFolderError, private_folder

    try:
        with private_folder():
            return None
    except NoFolderError as error:
        return str(error)


def _cache_folder() -> str | None:
    from uqdm.places import writable_cache_folder

    try:
        writable_cache_folder("")
    except OSError as error:
        return f"{error}; without it, compiled code and measured tolerances are computed again in each process"
    return None


def _workflow_cache() -> str | None:
    """Snakemake does not start if it cannot write its cache, and does not name the remedy."""
    folder = os.path.join(os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache"), "snakemake")
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        reason = error.strerror or str(error)
        return f"{folder}: cannot be written ({reason}), so Snakemake does not start: set XDG_CACHE_HOME"


def _shared_memory() -> str | None:
    try:
        free = shutil.disk_usage(SHARED_MEMORY).free if os.access(SHARED_MEMORY, os.W_OK) else 0
    except OSError:
        free = 0
    if free >= _LEAST_SHARED_BYTES:
        return None
    return (
        f"{SHARED_MEMORY} has {free / 2**20:.0f} MiB: images for workers go to disk, which is slower; give the "
        "container more (docker run --shm-size=4g)"
    )


def _open_files() -> str | None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _LEAST_FILES:
        return None
    return f"only {soft} files may be open at once: raise it (ulimit -n 4096)"

"""Why a worker was lost, as text for rows and messages."""

from __future__ import annotations

import re

from ray.exceptions import OutOfMemoryError, RayActorError, RayError

from uqdm.text import error_line

_IN_USE = re.compile(r"([\d.]+)\s?GB used / ([\d.]+)\s?GB limit")


def why_lost(error: RayError) -> str:
    """The reason, with the remedy where memory ran out: Ray kills workers before the system does.

    >>> why_lost(OutOfMemoryError("killed due to the node running low on memory: 7.04GB used / 23.54GB limit (0.3)"))
    'killed since memory ran low (7.04 of 23.54 GB in use): use fewer workers (--cpus), or give more memory'
    >>> why_lost(RayActorError())
    'its process died'
    """
    text = " ".join(str(error).split())
    if isinstance(error, OutOfMemoryError) or "low on memory" in text:
        found = _IN_USE.search(text)
        used = f" ({found[1]} of {found[2]} GB in use)" if found else ""
        return f"killed since memory ran low{used}: use fewer workers (--cpus), or give more memory"
    return "its process died" if isinstance(error, RayActorError) else error_line(error)


def why_not_started(error: RayError) -> str:
    """The same for a worker that died before it was up, with another possible cause."""
    reason = why_lost(error)
    if reason.startswith("killed since"):
        return reason
    text = " ".join(str(error).split())[:500]
    return f"{text}. Is the same release of uqdm installed on every node (or shipped, see docs/clusters.md)?"

"""Memory that a worker uses."""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path

_PROC = Path("/proc/self")


def reset_peak() -> None:
    """Resets the high-water mark of :func:`peak_memory_bytes`, so that it excludes earlier work of this process.

    Only Linux can reset the mark of resident memory; elsewhere it stays that of the whole process.
    """
    with contextlib.suppress(OSError):
        (_PROC / "clear_refs").write_text("5")
    cuda = _cuda()
    if cuda is not None:
        cuda.reset_peak_memory_stats()


def peak_memory_bytes() -> int:
    """High-water mark of this process's own resident memory, plus that of the GPU memory that torch had allocated.

    Memory that is shared with other processes is excluded; it must not grow after :func:`reset_peak`.
    """
    cuda = _cuda()
    return _peak_resident_bytes() + (int(cuda.max_memory_allocated()) if cuda is not None else 0)


def _peak_resident_bytes() -> int:
    """The high-water mark minus shared memory: pages of Ray's object store stay resident once they were read."""
    with contextlib.suppress(OSError):
        status = (_PROC / "status").read_text()
        peak, shared = _kilobytes(status, "VmHWM"), _kilobytes(status, "RssShmem")
        if peak is not None:
            return 1024 * (peak - (shared or 0))
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else 1024 * peak)


def _kilobytes(status: str, name: str) -> int | None:
    found = re.search(rf"^{name}:\s*(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) if found else None


def _cuda():  # type: ignore[no-untyped-def]
    """``torch.cuda`` if it is initialized in this process, else None."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None

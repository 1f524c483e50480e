"""Exit of commands whose images all failed."""

from __future__ import annotations

from collections.abc import Iterable


def refuse_only_failures(n_ok: int, reasons: Iterable[str | None]) -> None:
    """Raises ValueError with the first reason where there are failures, and nothing is ok."""
    found = list(reasons)
    if found and not n_ok:
        raise ValueError(f"all images failed at all settings; the first: {found[0] or 'for no known reason'}")

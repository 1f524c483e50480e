"""Notes on stderr, in addition to a command's output."""

from __future__ import annotations

from pathlib import Path

from uqdm.cli.folding import show_text


def note_unfilled(*runs: Path) -> None:
    """Prints which metrics are null because the runs were scored without them, and the command that fills them."""
    from uqdm.bench.run.summary_reader import unfilled_metrics

    for run in dict.fromkeys(runs):
        by_remedy: dict[str, list[str]] = {}
        for name, remedy in unfilled_metrics(run).items():
            by_remedy.setdefault(remedy, []).append(name)
        for remedy, names in by_remedy.items():
            show_text(f"note: {', '.join(names)}: {remedy}", err=True)

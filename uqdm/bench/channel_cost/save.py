"""Measures and writes ``table.csv``, ``table.md``, ``cost.png`` and ``cost.svg``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from uqdm.bench.analysis.csv_cells import frame_for_people
from uqdm.bench.channel_cost.measure import Row, measure
from uqdm.bench.channel_cost.options import ChannelCostOptions
from uqdm.bench.plots import NO_METADATA
from uqdm.bench.plots._style import RC
from uqdm.files import replacing, write_bytes

FORMATS = ("png", "svg")


def save_channel_cost(
    folder: Path, options: ChannelCostOptions, report: Callable[[Row], None] = lambda row: None
) -> list[Path]:
    """Measures and writes table and figure into ``folder``; returns the files."""
    from matplotlib import rc_context

    from uqdm.bench.channel_cost.figure import draw
    from uqdm.bench.channel_cost.table import markdown

    table = measure(options, report)
    paths = [folder / "table.csv", folder / "table.md"]
    with replacing(paths[0]) as temporary:
        frame_for_people(table).to_csv(temporary, index=False)
    write_bytes(paths[1], markdown(table).encode())
    with rc_context(rc=RC):  # type: ignore[arg-type]  # its keys are plain text here
        figure = draw(table)
        for suffix in FORMATS:
            paths.append(folder / f"cost.{suffix}")
            with replacing(paths[-1]) as temporary:
                figure.savefig(temporary, format=suffix, metadata=NO_METADATA[suffix])
    return paths

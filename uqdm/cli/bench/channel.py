"""``uqdm bench channel``: what channel simulation costs, method by method."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uqdm.bench.channel_cost.options import ChannelCostOptions
from uqdm.cli.option_parameters import with_option_parameters

if TYPE_CHECKING:
    from uqdm.bench.channel_cost.measure import Row


@with_option_parameters
def channel(
    out: Annotated[Path, typer.Option(help="Folder for table.csv, table.md, cost.png and cost.svg", file_okay=False)],
    options: ChannelCostOptions,
) -> None:
    """Sends samples by universal quantization, PFR, MRC, ORC and GRC: code lengths and samples drawn, against KL."""
    from uqdm.bench.channel_cost.save import save_channel_cost

    for path in save_channel_cost(out, options, _print_row):
        typer.echo(path)


def _print_row(row: Row) -> None:
    known = "no mean" if row.stopped else f"{row.code_bits:.2f} bits, {row.draws:,.1f} draws"
    typer.echo(f"{row.method}, {row.kl_bits:g} bits: {known}; {row.n} messages, {row.stopped} stopped")

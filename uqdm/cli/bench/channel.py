"""``uqdm bench channel``: costs of channel simulation, by method."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from uqdm.bench.channel_cost.measure import Row


def channel(
    out: Annotated[Path, typer.Option(help="Folder for table.csv, table.md, cost.png and cost.svg", file_okay=False)],
    kl_bits: Annotated[
        list[float] | None, typer.Option(help="A divergence to measure at; may be repeated [0.5 to 10]")
    ] = None,
    repetitions: Annotated[int, typer.Option(help="Messages of each method at each divergence, at most")] = 1000,
    max_draws: Annotated[int, typer.Option(help="Candidates after which a search is stopped")] = 1 << 25,
    draws: Annotated[int, typer.Option(help="Candidates planned for each point, which limit its messages")] = 1 << 27,
    seed: Annotated[int, typer.Option(help="Seed of everything", min=0, max=(1 << 32) - 1)] = 0,
) -> None:
    """Sends samples by universal quantization, PFR, MRC, ORC and GRC: code lengths and samples drawn, against KL."""
    from uqdm.bench.channel_cost.measure import Plan
    from uqdm.bench.channel_cost.save import save_channel_cost

    chosen = {"kl_bits": tuple(kl_bits)} if kl_bits else {}
    plan = Plan(**chosen, repetitions=repetitions, max_draws=max_draws, draws=draws, seed=seed)
    for path in save_channel_cost(out, plan, _tell):
        typer.echo(path)


def _tell(row: Row) -> None:
    known = "no mean" if row.stopped else f"{row.code_bits:.2f} bits, {row.draws:,.1f} draws"
    typer.echo(f"{row.method}, {row.kl_bits:g} bits: {known}; {row.n} messages, {row.stopped} stopped")

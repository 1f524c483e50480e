"""``uqdm bench import``: curves of others, shown beside those of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uqdm.cli.bench._parameters import RunFolder
from uqdm.cli.folding import show_text
from uqdm.text import counted


def import_points(
    file: Annotated[Path, typer.Argument(help="CSV with named columns, or CompressAI's JSON", dir_okay=False)],
    run: RunFolder,
    name: Annotated[str | None, typer.Option(help="Name of the curve [as the file says]")] = None,
    protocol: Annotated[
        str | None, typer.Option(help="How the figures were made, in one line [as the file says]")
    ] = None,
    rate_kind: Annotated[
        str | None,
        typer.Option(help="What the rate is: file, bitstream, estimate, nominal or unstated [as the file says]"),
    ] = None,
    source: Annotated[str | None, typer.Option(help="Where the figures come from [as the file says]")] = None,
) -> None:
    """Stores rate-distortion points of others in a run; plots and report then show them as dashed curves.

    They are no part of tables, BD-rates and other statistics. The points must be means over the images of the run: that
    is not checked. CSV has the columns bpp and at least one metric (psnr_db, ms_ssim, ...), and may have curve,
    rate_kind, protocol and source. To take a curve away, remove its file.
    """
    from uqdm.bench.exchange.imported import About, import_points

    imported = import_points(run, file, About(name, protocol, rate_kind, source))
    for path, curve in imported.curves.items():
        show_text(f"{path}  {curve.name}: {counted(len(curve.points), 'point')}, {', '.join(curve.metrics)}")
    if imported.ignored:
        show_text(f"note: ignored: {', '.join(imported.ignored)}", err=True)
    show_text(f"draw it: uqdm bench plot --run {run}; uqdm bench report --run {run}", err=True)

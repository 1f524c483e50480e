"""Writes the comparison of a run with the paper: ``table.csv``, ``.md``, ``.tex``, ``costs.csv`` and the figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uqdm.bench.analysis.csv_cells import frame_for_people
from uqdm.bench.paper.judge import WORDS
from uqdm.bench.paper.protocol import Model, Weights
from uqdm.files import replacing, write_bytes


def table_path(run_dir: Path, suffix: str) -> Path:
    """The table of a run: ``.csv`` (all columns, unrounded), ``.md`` or ``.tex``."""
    return run_dir / f"table{suffix}"


def costs_path(run_dir: Path) -> Path:
    """The table of Appendix C: all columns, unrounded."""
    return run_dir / "costs.csv"


def save_paper(run_dir: Path, name: str, models: Sequence[Model], weights: Sequence[Weights] = ()) -> list[Path]:
    """Compares a summarized run with the published figures ``name``, writes tables and figures, and returns the files.

    Raises :class:`~uqdm.bench.run.errors.ResultsError` if the run is incomplete.
    """
    from uqdm.bench.paper.costs import cost_table
    from uqdm.bench.paper.figures import save_figures
    from uqdm.bench.paper.head import head
    from uqdm.bench.paper.latex import latex
    from uqdm.bench.paper.markdown import markdown
    from uqdm.bench.paper.measured import read_run
    from uqdm.bench.paper.rows import table
    from uqdm.bench.paper.strips import save_strips

    run = read_run(run_dir, name)
    rows = table(run, models, weights)
    above = head(run, rows, models, weights)
    with replacing(table_path(run_dir, ".csv")) as temporary:
        frame_for_people(rows).to_csv(temporary, index=False)
    costs = cost_table(run, models)
    with replacing(costs_path(run_dir)) as temporary:
        frame_for_people(costs).to_csv(temporary, index=False)
    write_bytes(table_path(run_dir, ".md"), markdown(above, rows, costs).encode())
    write_bytes(table_path(run_dir, ".tex"), latex(above, rows, costs).encode())
    tables = [*(table_path(run_dir, suffix) for suffix in (".csv", ".md", ".tex")), costs_path(run_dir)]
    return [*tables, *save_figures(run_dir, run, rows), *save_strips(run_dir, run, models)]


def closing_line(run_dir: Path) -> str:
    """A line with the numbers of figures by verdict and the path of the table; empty if there is none."""
    import pandas as pd

    path = table_path(run_dir, ".csv")
    if not path.is_file():
        return ""
    verdicts = [pd.read_csv(one).verdict for one in (path, costs_path(run_dir)) if one.is_file()]
    tally = pd.concat(verdicts).value_counts()
    counted = ", ".join(f"{int(tally.get(word, 0))} {word}" for word in WORDS)
    return f"{run_dir.name}: published figures and those measured here: {counted}; {table_path(run_dir, '.md')}\n"

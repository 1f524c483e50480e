"""``uqdm train``: trains a model from a configuration file."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uqdm.cli.file_arguments import shown
from uqdm.cli.model_options import Device

if TYPE_CHECKING:
    from uqdm.training.job import TrainingCallbacks
    from uqdm.training.kinds.contract import Measured
    from uqdm.training.trainer import TrainingProgress


def train(
    config: Annotated[Path, typer.Argument(help="YAML configuration, as in config/train/", exists=True)],
    out: Annotated[
        Path, typer.Option(help="Folder for the trained model, its checkpoint and its logs", file_okay=False)
    ],
    images: Annotated[
        str | None, typer.Option(help="A folder of photographs, or npz:PATH[#KEY]; overrides data.source")
    ] = None,
    iterations: Annotated[int | None, typer.Option(help="Override the configuration's n_iterations", min=1)] = None,
    device: Device = "cpu",
    workers: Annotated[
        int | None,
        typer.Option(
            help="Number of processes, by Ray: they share each batch, or train one step each if steps are "
            "trained separately [all cores]",
            min=1,
        ),
    ] = None,
) -> None:
    """Trains a model; run again, the same command resumes from the last checkpoint."""
    from uqdm.training.job import default_workers, prepare
    from uqdm.training.run import train as train_job
    from uqdm.training.stop import telling_what_is_kept

    job = prepare(config, images, out, n_iterations=iterations, device=device)
    display = _display(job.config.recipe.n_iterations, per_point=job.image_size == 1)
    with telling_what_is_kept(job), display as callbacks:
        train_job(job, callbacks, workers or default_workers(job))
    typer.echo(f"model written to {shown(out)}")


@contextmanager
def _display(total: int, *, per_point: bool) -> Iterator[TrainingCallbacks]:
    """A bar with the rate on a terminal's error stream, with lines above it; elsewhere only the lines."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from uqdm.training.job import TrainingCallbacks

    unit = "bits per point" if per_point else "bpp"
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        done: dict[int | None, TrainingProgress] = {}
        found: dict[int | None, int] = {}  # iterations of earlier runs
        began = time.monotonic()

        def progress(seen: TrainingProgress) -> None:
            done[seen.only_step] = seen
            rates = {name: rate for step in done.values() for name, rate in step.rates_bpp.items()}
            iterations = found | {name: step.iteration for name, step in done.items()}
            together = replace(seen, rates_bpp=rates, iteration=sum(iterations.values()))
            made = max(1, together.iteration - sum(found.values()))
            left = (time.monotonic() - began) / made * (total - together.iteration)
            bar.update(task, completed=together.iteration, description=f"{together.total_bpp:.3f} {unit}")
            console.print(f"{_line(together, total, unit)}  gradient {seen.grad_norm:.2g}  {left / 60:.1f} min left")

        def validated(iteration: int, result: Measured) -> None:
            real = "" if result.file_bpp is None else f", files {result.file_bpp:.3f}"
            console.print(f"{iteration}/{total}  validation: ideal {result.ideal_bpp:.3f} {unit}{real}")

        def resumed(iteration: int, only_step: int | None) -> None:
            found[only_step] = iteration
            of = "" if only_step is None else f" of step {only_step + 1}"
            console.print(f"resumed after iteration {iteration}{of}")

        yield TrainingCallbacks(progress, validated, resumed)


def _line(progress: TrainingProgress, total: int, unit: str) -> str:
    """How far it is, with the rate of each step if they are few; a dash for those not trained yet."""
    steps = " ".join("-" if math.isnan(bpp) else f"{bpp:.3f}" for bpp in progress.step_bpp)
    by_step = f" (by step: {steps})" if 0 < progress.n_steps <= 8 else ""
    return f"{progress.iteration}/{total}  {progress.total_bpp:.3f} {unit}{by_step}"

"""``uqdm train``: trains a model by a configuration file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from uqdm.training.run import Callbacks
    from uqdm.training.trainer import Progress
    from uqdm.training.validation import Validated


def train(
    config: Annotated[Path, typer.Argument(help="YAML configuration, as in config/train/", exists=True)],
    out: Annotated[Path, typer.Option(help="Folder for the trained model, its checkpoint and its logs")],
    images: Annotated[
        str | None, typer.Option(help="A folder of photographs, or npz:PATH[#KEY]; overrides data.source")
    ] = None,
    iterations: Annotated[int | None, typer.Option(help="Override the configuration's n_iterations", min=1)] = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda")] = "cpu",
    workers: Annotated[int, typer.Option(help="Processes that share each batch, by Ray", min=1)] = 1,
) -> None:
    """Trains a model; run again, the same command goes on from the last checkpoint."""
    from uqdm.training.run import prepare, train_from_config

    job = prepare(config, images, out, None, iterations, device)
    with _display(job.config.recipe.n_iterations, per_point=job.image_size == 1) as callbacks:
        folder = train_from_config(
            config, images, out, callbacks, n_iterations=iterations, device=device, n_workers=workers
        )
    typer.echo(f"model written to {folder}")


@contextmanager
def _display(total: int, *, per_point: bool) -> Iterator[Callbacks]:
    """A bar with the rate on a terminal's error stream, with lines above it; elsewhere only the lines."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from uqdm.training.run import Callbacks

    unit = "bits per point" if per_point else "bpp"
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)

        def progress(seen: Progress) -> None:
            left = seen.seconds / seen.iteration * (total - seen.iteration)
            bar.update(task, completed=seen.iteration, description=f"{seen.total_bpp:.3f} {unit}")
            steps = " ".join(f"{bpp:.3f}" for bpp in seen.step_bpp) if seen.schedule.n_steps <= 8 else ""
            by_step = f" (by step: {steps})" if steps else ""
            line = f"{seen.iteration}/{total}  {seen.total_bpp:.3f} {unit}{by_step}  gradient {seen.grad_norm:.2g}"
            console.print(f"{line}  {left / 60:.1f} min left")

        def validated(iteration: int, result: Validated) -> None:
            real = "" if result.file_bpp is None else f", files {result.file_bpp:.3f}"
            console.print(f"{iteration}/{total}  validation: ideal {result.ideal_bpp:.3f} {unit}{real}")

        def resumed(iteration: int) -> None:
            bar.update(task, completed=iteration)
            console.print(f"going on after iteration {iteration}")

        yield Callbacks(progress, validated, resumed)

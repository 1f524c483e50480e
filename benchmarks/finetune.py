"""Whether fine-tuning continues a published model's training: the validation rate must not jump.

    python benchmarks/finetune.py MODEL --images npz:imagenet64-sample.npz#train --eval npz:imagenet64-sample.npz#eval \
        [--iterations 200] [--n 16] [--every 50] [--config config/train/finetune.yaml]

MODEL is a folder in the published layout. Rates are ideal, in bits per pixel, with the last stage, on ``n`` images.
The row "as reloaded" is what the published loader starts from: raw weights, and the schedule at its initial slope.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from uqdm.model.checkpoint import load
from uqdm.training.config import Validation
from uqdm.training.config_file import read_config
from uqdm.training.job import TrainingCallbacks, TrainingJob, prepare
from uqdm.training.run import train
from uqdm.training.validation import ValidationResult, validate, validation_images


def finetune(
    model: str, images: str, wanted: Validation, config_file: str, iterations: int, out: Path
) -> list[tuple[int, ValidationResult]]:
    """Fine-tunes a model, and returns what was measured before, in between and after, with the iteration."""
    text = Path(config_file).read_text().replace(f"init: {read_config(config_file).init}", f"init: {model}")
    (out / "finetune.yaml").write_text(text)
    job: TrainingJob = prepare(out / "finetune.yaml", images, out / "model", n_iterations=iterations)
    job = dataclasses.replace(job, config=dataclasses.replace(job.config, validation=wanted))
    seen: list[tuple[int, ValidationResult]] = []
    train(job, TrainingCallbacks(validated=lambda iteration, result: seen.append((iteration, result))))
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--images", required=True)
    parser.add_argument("--eval", required=True)
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--n", type=int, default=16)
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--config", default="config/train/finetune.yaml")
    arguments = parser.parse_args()
    wanted = Validation(source=arguments.eval, n=arguments.n, coded=0, every=arguments.every)
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        seen = finetune(
            str(Path(arguments.model).absolute()),
            arguments.images,
            wanted,
            arguments.config,
            arguments.iterations,
            Path(folder),
        )
        slope = load(Path(folder) / "model").schedule.slope
    reloaded = load(arguments.model, "as-released")
    images_uint8: np.ndarray = validation_images(arguments.eval, arguments.n, reloaded.image_size)
    rows = [*((str(i), result) for i, result in seen), ("as reloaded", validate(reloaded, images_uint8, 0))]
    table = Table("iterations", "ideal, bpp", "change", "steps, bpp", "last stage, bpp")
    for name, result in rows:
        change = 100 * (result.ideal_bpp / seen[0][1].ideal_bpp - 1)
        steps = " ".join(f"{rate:.3f}" for rate in result.step_bpp)
        table.add_row(name, f"{result.ideal_bpp:.3f}", f"{change:+.2f} %", steps, f"{result.last_stage_bpp:.3f}")
    Console().print(table)
    print(f"slope {load(arguments.model).schedule.slope:.4f} -> {slope:.4f}; {time.process_time() - start:.0f} CPU s")


if __name__ == "__main__":
    main()

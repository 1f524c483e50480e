"""Logs of a training run: two CSV files, and TensorBoard's where that is installed. A resumed run continues them."""

from __future__ import annotations

import csv
import importlib.util
import math
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import numpy as np
from PIL import Image

from uqdm.training.trainer import Progress
from uqdm.training.validation import Validated

TRAINING_LOG, VALIDATION_LOG = "log.csv", "validation.csv"
PICTURES, TENSORBOARD = "pictures", "tensorboard"
RATES = ("prior", "last_stage", "picture")
MAX_STEPS = 32
"""Longer schedules have no column for each step."""


class Logs:
    """Writes what is reported below ``folder``. Rows after iteration ``since``, of a killed run, are dropped."""

    def __init__(self, folder: Path, n_steps: int, since: int, *, tensorboard: bool):
        self._steps = range(1, n_steps + 1) if n_steps <= MAX_STEPS else range(0)
        columns = ["iteration", "seconds", "total_bpp", *(f"step_{i}_bpp" for i in self._steps)]
        columns += [f"{name}_bpp" for name in RATES] + ["grad_norm", "learning_rate", "slope", "gamma_max"]
        self._training = _Table(folder / TRAINING_LOG, columns, since)
        columns = ["iteration", "ideal_bpp", *(f"step_{i}_bpp" for i in self._steps), "last_stage_bpp", "file_bpp"]
        columns += [f"step_{i}_psnr_db" for i in self._steps]
        self._validation = _Table(folder / VALIDATION_LOG, columns, since)
        self._pictures = folder / PICTURES
        self._board = _board(folder / TENSORBOARD, since) if tensorboard else None

    def progress(self, progress: Progress) -> None:
        """Adds a row to the training log."""
        values = {
            "iteration": progress.iteration,
            "seconds": progress.seconds,
            "total_bpp": progress.total_bpp,
            **{f"{name}_bpp": rate for name, rate in progress.rates_bpp.items()},
            "grad_norm": progress.grad_norm,
            "learning_rate": progress.learning_rate,
            "slope": progress.schedule.slope,
            "gamma_max": progress.schedule.gamma_max,
        }
        self._training.add(values)
        self._scalars("train", values, progress.iteration)

    def validated(self, iteration: int, result: Validated) -> None:
        """Adds a row to the validation log."""
        values = {
            "iteration": iteration,
            "ideal_bpp": result.ideal_bpp,
            "last_stage_bpp": result.last_stage_bpp,
            "file_bpp": result.file_bpp,
            **{f"step_{i}_bpp": rate for i, rate in enumerate(result.step_bpp, start=1)},
            **{f"step_{i}_psnr_db": psnr for i, psnr in enumerate(result.step_psnr_db, start=1)},
        }
        self._validation.add(values)
        self._scalars("validation", values, iteration)

    def picture(self, iteration: int, sheet_uint8: np.ndarray) -> None:
        """Writes a sheet of pictures [H, W, 3] as PNG."""
        self._pictures.mkdir(exist_ok=True)
        Image.fromarray(sheet_uint8).save(self._pictures / f"{iteration:08d}.png")
        if self._board is not None:
            self._board.add_image("pictures", sheet_uint8, iteration, dataformats="HWC")

    def _scalars(self, group: str, values: dict[str, Any], iteration: int) -> None:
        if self._board is not None:
            for name, value in values.items():
                if name != "iteration" and value is not None and math.isfinite(value):
                    self._board.add_scalar(f"{group}/{name}", value, iteration)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._training.close()
        self._validation.close()
        if self._board is not None:
            self._board.close()


def has_tensorboard() -> bool:
    """Whether TensorBoard's logs can be written."""
    return importlib.util.find_spec("tensorboard") is not None


def _board(folder: Path, since: int) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=since + 1)


class _Table:
    """A CSV file whose first column is the iteration."""

    def __init__(self, file: Path, columns: list[str], since: int):
        kept = _rows_until(file, columns, since)
        self._columns = columns
        self._file: TextIO = file.open("w", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerows([columns, *kept])
        self._file.flush()

    def add(self, values: dict[str, Any]) -> None:
        """Adds a row; columns without a value stay empty."""
        self._writer.writerow([_text(values.get(column)) for column in self._columns])
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _rows_until(file: Path, columns: list[str], since: int) -> list[list[str]]:
    if not file.is_file():
        return []
    with file.open(newline="") as opened:
        heading, *rows = list(csv.reader(opened)) or [[]]
    return [row for row in rows if heading == columns and len(row) == len(columns) and int(row[0]) <= since]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)

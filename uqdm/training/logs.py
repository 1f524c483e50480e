"""Logs of a training run: two CSV files, and a board (:mod:`uqdm.training.boards`). A resumed run continues them."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import numpy as np
from PIL import Image

from uqdm.training.boards import BoardRun, open_board
from uqdm.training.kinds.contract import LogColumns, Measured
from uqdm.training.trainer import TrainingProgress

TRAINING_LOG, VALIDATION_LOG = "log.csv", "validation.csv"
PICTURES = "pictures"
NOT_RATES = ("x_hat_error", "distortion", "flow_error", "mean_error")
"""Parts of losses that are no rates: their columns have the same name."""


class Logs:
    """Writes logs below the folder of ``run``. Rows after iteration ``since``, from a killed run, are removed.

    ``only_step`` is the step, where each is trained by itself: each then has files of its own.
    """

    def __init__(self, run: BoardRun, columns: LogColumns, since: int, *, only_step: int | None = None):
        folder = run.folder
        name = "" if only_step is None else f"step-{only_step + 1}-"
        training = ["iteration", "seconds", "total_bpp", *columns.training]
        self._training = _Table(folder / f"{name}{TRAINING_LOG}", training, since)
        self._validation = _Table(folder / f"{name}{VALIDATION_LOG}", ["iteration", *columns.validation], since)
        self._pictures = folder / PICTURES
        self._board = open_board(run, name, since)

    def progress(self, progress: TrainingProgress) -> None:
        """Adds a row to the training log."""
        values = {
            "iteration": progress.iteration,
            "seconds": progress.seconds,
            "total_bpp": progress.total_bpp,
            **{f"{name}_bpp": rate for name, rate in progress.rates_bpp.items()},
            **{name: value for name, value in progress.rates_bpp.items() if name in NOT_RATES},
            "grad_norm": progress.grad_norm,
            "learning_rate": progress.learning_rate,
            **progress.settings,
        }
        self._training.add(values)
        self._scalars("train", values, progress.iteration)

    def validated(self, iteration: int, result: Measured) -> None:
        """Adds a row to the validation log."""
        values = {"iteration": iteration, **result.columns()}
        self._validation.add(values)
        self._scalars("validation", values, iteration)

    def picture(self, iteration: int, sheet_uint8: np.ndarray) -> None:
        """Writes a sheet of pictures [H, W, 3] as PNG."""
        self._pictures.mkdir(exist_ok=True)
        Image.fromarray(sheet_uint8).save(self._pictures / f"{iteration:08d}.png")
        if self._board is not None:
            self._board.picture(sheet_uint8, iteration)

    def _scalars(self, group: str, values: dict[str, Any], iteration: int) -> None:
        if self._board is not None:
            finite = {name: value for name, value in values.items() if value is not None and math.isfinite(value)}
            shown = {f"{group}/{name}": value for name, value in finite.items() if name != "iteration"}
            self._board.scalars(shown, iteration)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._training.close()
        self._validation.close()
        if self._board is not None:
            self._board.close()


class _Table:
    """A CSV file whose first column is the iteration; created with its first row."""

    def __init__(self, file: Path, columns: list[str], since: int):
        self._file, self._columns = file, columns
        self._opened: TextIO | None = None
        if file.is_file():
            self._open(_rows_until(file, columns, since))

    def add(self, values: dict[str, Any]) -> None:
        """Adds a row; columns without a value stay empty."""
        opened = self._opened or self._open([])
        csv.writer(opened).writerow([_text(values.get(column)) for column in self._columns])
        opened.flush()

    def _open(self, rows: list[list[str]]) -> TextIO:
        self._opened = self._file.open("w", newline="")
        csv.writer(self._opened).writerows([self._columns, *rows])
        self._opened.flush()
        return self._opened

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()


def _rows_until(file: Path, columns: list[str], since: int) -> list[list[str]]:
    with file.open(newline="") as opened:
        heading, *rows = list(csv.reader(opened)) or [[]]
    return [row for row in rows if heading == columns and len(row) == len(columns) and int(row[0]) <= since]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)

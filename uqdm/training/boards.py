"""Loggers with pages of their own, beside the CSV files of a training run: TensorBoard, and Weights & Biases."""

from __future__ import annotations

import importlib.util
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

TENSORBOARD, WANDB, NONE = "tensorboard", "wandb", "none"
LOGGERS = (TENSORBOARD, WANDB, NONE)
PROJECT = "uqdm"
"""The project of Weights & Biases, unless WANDB_PROJECT names another."""
_ID = "wandb-id"


class Board(Protocol):
    """What a logger takes. Iterations of a resumed run may come again, since it continues from its checkpoint."""

    def scalars(self, values: dict[str, float], iteration: int) -> None:
        """Finite values by ``GROUP/NAME``."""

    def picture(self, sheet_uint8: np.ndarray, iteration: int) -> None:
        """A sheet of pictures [H, W, 3]."""

    def close(self) -> None:
        """Writes what is left."""


@dataclass(frozen=True)
class BoardRun:
    """The run that a board shows: the folder of the model, its name, and settings to show beside the curves."""

    logger: str
    folder: Path
    name: str
    settings: dict[str, Any]


def check_logger(logger: str) -> None:
    """Raises ValueError for an unknown logger, and for Weights & Biases where it is not installed."""
    if logger not in LOGGERS:
        raise ValueError(f"logger={logger!r}: choose one of {', '.join(LOGGERS)}")
    if logger == WANDB and importlib.util.find_spec("wandb") is None:
        raise ValueError("logger=wandb: wandb is not installed; `pip install wandb`, or choose tensorboard or none")


def open_board(run: BoardRun, part: str, since: int) -> Board | None:
    """The board of a run after iteration ``since``; None for no logger, or where TensorBoard is not installed.

    ``part`` names a step that is trained by itself, which has a board of its own; it is empty otherwise.
    """
    if run.logger == WANDB:
        return _WandbBoard(run, part)
    if run.logger == TENSORBOARD and has_tensorboard():
        return _TensorBoard(run.folder / TENSORBOARD / part, since)
    return None


def has_tensorboard() -> bool:
    """Whether TensorBoard logs can be written."""
    return importlib.util.find_spec("tensorboard") is not None


class _TensorBoard:
    """Event files in the folder ``tensorboard`` of the run; iterations after ``since`` are dropped."""

    def __init__(self, folder: Path, since: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder), purge_step=since + 1)

    def scalars(self, values: dict[str, float], iteration: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, iteration)

    def picture(self, sheet_uint8: np.ndarray, iteration: int) -> None:
        self._writer.add_image("pictures", sheet_uint8, iteration, dataformats="HWC")

    def close(self) -> None:
        self._writer.close()


class _WandbBoard:
    """A run of Weights & Biases; a training run that resumes continues it, by the id in the run's folder.

    Code, the state of git, the console and facts of the machine are not recorded. WANDB_MODE and other variables of the
    package hold.
    """

    def __init__(self, run: BoardRun, part: str) -> None:
        import wandb

        self._wandb: Any = wandb
        try:
            self._run: Any = _started(run, part.removesuffix("-"))
        except wandb.Error as error:
            remedy = "log in by `wandb login`, set WANDB_API_KEY, or set WANDB_MODE=offline"
            raise ValueError(f"logger=wandb: {' '.join(str(error).split())}; {remedy}") from error
        self._run.define_metric("iteration")
        self._run.define_metric("*", step_metric="iteration")

    def scalars(self, values: dict[str, float], iteration: int) -> None:
        self._run.log({"iteration": iteration, **values})

    def picture(self, sheet_uint8: np.ndarray, iteration: int) -> None:
        self._run.log({"iteration": iteration, "pictures": self._wandb.Image(sheet_uint8)})

    def close(self) -> None:
        self._run.finish()


def _started(run: BoardRun, part: str) -> Any:
    import wandb

    return wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        name=f"{run.name} {part}".strip(),
        group=run.name if part else None,
        id=_kept_id(run.folder, part),
        resume="allow",
        dir=str(run.folder),
        config=run.settings,
        settings=wandb.Settings(
            console="off", silent=True, disable_git=True, disable_code=True, save_code=False, x_disable_meta=True
        ),
    )


def _kept_id(folder: Path, part: str) -> str:
    """The id of the run of Weights & Biases that belongs to the folder, or to a step in it; made the first time."""
    file = folder / (f"{part}-{_ID}" if part else _ID)
    if not file.is_file():
        file.write_text(uuid.uuid4().hex[:16])
    return file.read_text().strip()

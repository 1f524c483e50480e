"""Measurements of a model during training: ideal rates, files, and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from PIL import Image

from uqdm.arithmetic import float32_arithmetic
from uqdm.bench.datasets import open_dataset
from uqdm.diffusion import gaussian, process
from uqdm.diffusion.images import to_uint8
from uqdm.diffusion.levels import IMAGE_LEVELS, Levels, levels_of
from uqdm.diffusion.process import NoiseSource, Transmission, last_stage_bits
from uqdm.model.checkpoint import Model
from uqdm.model.denoiser import Denoiser
from uqdm.model.schedule import Schedule
from uqdm.progressive import UQDM, tolerance
from uqdm.sampling.diffusion import DiffusionSampler
from uqdm.text import counted
from uqdm.training.data.swirl import swirl_points
from uqdm.training.structure import TrainingConfigError

POINTS_SEED = 2**31  # of validation points; beyond all seeds of recipes
BATCH = 4


class ValidationError(ValueError):
    """A model under training failed validation; the message says how."""


@dataclass(frozen=True)
class ValidationResult:
    """Means over the images. Rates are in bits per pixel, for points per point."""

    step_bpp: list[float]
    """Ideal rate of each step."""
    last_stage_bpp: float
    """Ideal rate of x given z_0, as in the paper."""
    step_psnr_db: list[float]
    """PSNR of the estimate of x at the beginning of each step; empty for points."""
    file_bpp: float | None
    """Mean rate of the lossless files; None if no image was coded."""

    @property
    def ideal_bpp(self) -> float:
        """Ideal rate of lossless coding."""
        return sum(self.step_bpp) + self.last_stage_bpp

    def columns(self) -> dict[str, float | None]:
        """Values of the validation log by column."""
        return {
            "ideal_bpp": self.ideal_bpp,
            "last_stage_bpp": self.last_stage_bpp,
            "file_bpp": self.file_bpp,
            **{f"step_{i}_bpp": rate for i, rate in enumerate(self.step_bpp, start=1)},
            **{f"step_{i}_psnr_db": psnr for i, psnr in enumerate(self.step_psnr_db, start=1)},
        }


@float32_arithmetic()
def validation_images(source: str, n: int, size: int) -> np.ndarray:
    """The first ``n`` images of a data set, uint8 [n, size, size, 3], or points of the ``swirl``, [n, 1, 1, 2].

    Larger images are cropped to their middle square and box-resized. Raises ValueError for fewer or smaller images.
    """
    if source == "swirl":
        return swirl_points(n, np.random.default_rng(POINTS_SEED))[:, None, None, :]
    dataset = open_dataset(source, limit=n)
    if len(dataset) < n:
        raise TrainingConfigError(f"validation: {source} has {counted(len(dataset), 'image')}, not {n}")
    return np.stack([_middle(dataset.load(index), size, f"{source}, image {index}") for index in range(n)])


def _middle(image_uint8: np.ndarray, size: int, name: str) -> np.ndarray:
    height, width = image_uint8.shape[:2]
    if (height, width) == (size, size):
        return image_uint8
    short = min(height, width)
    if short < size:
        raise TrainingConfigError(f"validation: {name} has a short side of {short} pixels, below the model's {size}")
    left, top = (width - short) // 2, (height - short) // 2
    box = (left, top, left + short, top + short)
    return np.asarray(Image.fromarray(image_uint8).resize((size, size), Image.Resampling.BOX, box=box))


def validate(
    model: Model, images_uint8: np.ndarray, n_coded: int, *, device: str = "cpu", seed: int = 0
) -> ValidationResult:
    """Measures a model on images [n, S, S, C]; the first ``n_coded`` are coded to files and decoded.

    Raises :class:`ValidationError` where a file does not decode to its image.
    """
    rows = evaluate(model.denoiser, model.schedule, images_uint8, seed, model=model, device=device)
    steps = rows[: model.schedule.n_steps]
    return ValidationResult(
        step_bpp=[row["rate_bpp"] for row in steps],
        last_stage_bpp=rows[-1]["last_stage_bpp"],
        step_psnr_db=[row["x_hat_psnr_db"] for row in steps] if model.image_size > 1 else [],
        file_bpp=file_bpp(model, images_uint8[:n_coded]) if n_coded and model.image_size > 1 else None,
    )


@float32_arithmetic()
def file_bpp(model: Model, images_uint8: np.ndarray) -> float:
    """Mean rate of whole lossless files; each is decoded, and raises :class:`ValidationError` if it differs."""
    codec = UQDM(with_tolerance(model))
    files = codec.compress(images_uint8)
    for index, (image, decoded) in enumerate(zip(images_uint8, codec.decompress(files), strict=True)):
        if not np.array_equal(image, decoded):
            raise ValidationError(f"validation image {index} was not decoded as it was encoded")
    return float(np.mean([8 * len(file) for file in files])) / model.image_size**2


def with_tolerance(model: Model) -> Model:
    """The model with measured tolerances in its configuration, so that validation caches none on disk."""
    config = {**model.config, "tolerance": tolerance.to_data(tolerance.measure(model))}
    return Model(model.name, model.denoiser, model.schedule, model.image_size, config, model.sha256)


@float32_arithmetic()
@torch.inference_mode()
def evaluate(
    denoiser: Denoiser,
    schedule: Schedule,
    images_uint8: np.ndarray,
    seed: int = 0,
    *,
    model: Model | None = None,
    device: str = "cpu",
) -> list[dict[str, float]]:
    """Ideal rate in bpp and PSNR in dB of x_hat at each step, means over images uint8 [N, H, W, C].

    The last row, after those of the T steps, has ``last_stage_bpp``. ``model`` gives process and levels where they are
    not those of images.
    """
    levels = IMAGE_LEVELS if model is None else levels_of(model.config)
    is_gaussian = model is not None and model.process == "gaussian"
    noise = _noise(torch.Generator().manual_seed(seed), device, is_gaussian=is_gaussian)
    transmit = partial(gaussian.transmit if is_gaussian else process.transmit, levels=levels)
    size = BATCH if images_uint8.shape[1] > 1 else len(images_uint8)
    means: list[dict[str, float]] = []
    for begin in range(0, len(images_uint8), size):
        part = images_uint8[begin : begin + size]
        x = levels.to_data(part).to(device)
        rows = _rows(transmit(denoiser, schedule, x, noise), x, levels)
        means = _added(means, rows, len(part) / len(images_uint8))
    return means


def _added(means: list[dict[str, float]], rows: list[dict[str, float]], share: float) -> list[dict[str, float]]:
    weighted = [{key: share * value for key, value in row.items()} for row in rows]
    if not means:
        return weighted
    return [{key: total[key] + row[key] for key in row} for total, row in zip(means, weighted, strict=True)]


def _noise(generator: torch.Generator, device: str, *, is_gaussian: bool) -> NoiseSource:
    def noise(index: int, shape: Iterable[int]) -> torch.Tensor:
        blank = torch.empty(list(shape))
        drawn = blank.normal_(generator=generator) if index == 0 or is_gaussian else blank.uniform_(generator=generator)
        return (drawn if index == 0 or is_gaussian else drawn - 0.5).to(device)

    return noise


def _rows(sent: Iterator[Transmission], x: torch.Tensor, levels: Levels) -> list[dict[str, float]]:
    n_pixels = x.numel() / x.shape[1]
    rows = []
    for step in sent:
        row = {"rate_bpp": float(step.bits.sum()) / n_pixels}
        if levels is IMAGE_LEVELS:
            row["x_hat_psnr_db"] = float(_psnr_db(step.x_hat, x).mean())
        rows.append(row)
    last = last_stage_bits(x.double(), step.z_s.double(), step.step, levels)
    return [*rows, {"last_stage_bpp": float(last.sum()) / n_pixels}]


def _psnr_db(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """PSNR of each image, peak 255."""
    mse = ((x_hat.clamp(-1, 1) - x) * 127.5).square().flatten(1).mean(1)
    return 10 * torch.log10(255**2 / mse.clamp(min=1e-9))


@float32_arithmetic()
@torch.inference_mode()
def pictures(model: Model, images_uint8: np.ndarray, *, device: str = "cpu", seed: int = 0) -> np.ndarray:
    """A sheet, uint8 [H, W, 3]: a row for each image with its estimate before each step, then itself; then samples.

    Samples are drawn by the reverse process from z_T ~ N(0, 1), one for each column.
    """
    is_gaussian = model.process == "gaussian"
    noise = _noise(torch.Generator().manual_seed(seed), device, is_gaussian=is_gaussian)
    x = IMAGE_LEVELS.to_data(images_uint8).to(device)
    transmit = gaussian.transmit if is_gaussian else process.transmit
    columns = [to_uint8(sent.x_hat) for sent in transmit(model.denoiser, model.schedule, x, noise)]
    rows = [np.concatenate(row, axis=1) for row in zip(*columns, images_uint8, strict=True)]
    drawn = DiffusionSampler(model, seed=seed, device=device).draw(len(columns) + 1)
    return np.concatenate([*rows, np.concatenate(list(drawn), axis=1)])

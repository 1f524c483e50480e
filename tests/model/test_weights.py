"""Weights with NaN or infinity, or of another network, are refused with the name of the tensor."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from uqdm.codec import get_codec
from uqdm.model import checkpoint
from uqdm.model.checkpoint import CheckpointError, load
from uqdm.model.unet import ScoreNetwork

SMALL = {
    "image_size": 8,
    "schedule": {"slope": 18.21, "gamma_max": 6.0, "n_steps": 2},
    "denoiser": {"kind": "stepwise", "widths": [4], "dilations": [[1]]},
}
NAME = "networks.0.conv_in.weight"
Tensors = dict[str, torch.Tensor]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    checkpoint.save(tmp_path / "small", SMALL, checkpoint.build(SMALL)[0])
    return tmp_path / "small"


def _with(value: float) -> Callable[[Tensors], object]:
    return lambda tensors: tensors[NAME].view(-1)[3:4].fill_(value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_with(math.nan), f"tensor '{NAME}' holds NaN or infinity \\(1 of 108 values\\)"),
        (_with(math.inf), f"tensor '{NAME}' holds NaN or infinity"),
        (_with(-math.inf), f"tensor '{NAME}' holds NaN or infinity"),
        (lambda tensors: tensors.pop(NAME), f"tensor '{NAME}' is missing"),
        (lambda tensors: tensors.update(more=torch.zeros(2)), "tensor 'more' is none of the network's"),
        (lambda tensors: tensors.update({NAME: tensors[NAME].mT[..., :2]}), f"tensor '{NAME}' has shape"),
        (lambda tensors: tensors.update({NAME: tensors[NAME].int()}), f"tensor '{NAME}' has type torch.int32"),
        (lambda tensors: tensors.update({NAME: tensors[NAME].bool()}), f"tensor '{NAME}' has type torch.bool"),
        (lambda tensors: tensors.update({NAME: tensors[NAME].double().fill_(1e300)}), f"tensor '{NAME}' holds NaN or"),
    ],
)
def test_foreign_tensors_are_refused(folder: Path, change: Callable[[Tensors], object], message: str) -> None:
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    change(tensors)
    safetensors.torch.save_file(
        {name: value.contiguous() for name, value in tensors.items()}, folder / "model.safetensors"
    )
    with pytest.raises(CheckpointError, match=message) as caught:
        load(folder)
    assert str(folder / "model.safetensors") in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_any_precision_are_accepted(folder: Path, dtype: torch.dtype) -> None:
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    tensors = {name: torch.zeros_like(value, dtype=dtype) for name, value in tensors.items()}
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    assert {value.dtype for value in load(folder).denoiser.state_dict().values()} == {torch.float32}


def test_weights_beyond_float16_are_refused_not_stored_as_infinity(tmp_path: Path) -> None:
    denoiser = checkpoint.build(SMALL)[0]
    denoiser.get_parameter(NAME).data.fill_(1e6)
    with pytest.raises(CheckpointError, match=f"tensor '{NAME}' holds NaN or infinity"):
        checkpoint.save(tmp_path / "half", SMALL, denoiser, half=True)
    assert not (tmp_path / "half" / "model.safetensors").exists()


def test_truncated_weights_are_refused_before_allocation(folder: Path) -> None:
    large = {**SMALL, "denoiser": {"kind": "stepwise", "widths": [4096], "dilations": [[1] * 6]}}
    checkpoint.write_config(folder, large)
    with pytest.raises(CheckpointError, match=r"describes at least 1812.* values, the file holds"):
        load(folder)


PUBLISHED = {
    "n_timesteps": 4, "prior_type": "logistic", "learned_prior_scale": True, "noise_schedule": "learned_linear",
    "fix_gamma_max": True, "gamma_min": -12.3, "gamma_max": 6.0, "attention_everywhere": False,
    "use_fourier_features": True, "n_attention_heads": 1, "n_channels": 3, "vocab_size": 256,
    "embedding_dim": 8, "n_blocks": 1, "norm_groups": 4, "dropout_prob": 0.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (2, torch.full((8, 39, 3, 3), math.nan), "tensor 'network.*' has shape|holds NaN"),
        (0, math.nan, "tensor 'network.embed_conditioning.0.weight' holds NaN or infinity"),
        (-1, torch.tensor(math.nan), "the average of the schedule's slope is nan"),
        (-1, torch.tensor(-math.inf), "the average of the schedule's slope is -inf"),
        (-1, torch.zeros(2), "the average of the schedule's slope is no single number"),
        (1, "text", "tensor 'network.*' is no tensor of numbers"),
        (1, torch.zeros(32, dtype=torch.int64), "tensor 'network.*' has type torch.int64"),
        (-1, torch.tensor(1e30), "slope: must be at most 100"),
    ],
)
def test_averages_of_a_published_checkpoint_are_checked(
    tmp_path: Path, place: int, value: object, message: str
) -> None:
    raw = ScoreNetwork(embedding_dim=8, n_blocks=1, norm_groups=4).state_dict()
    averages: list[object] = [*(tensor.clone() for tensor in raw.values()), torch.tensor(17.5)]
    averages[place] = torch.full_like(averages[place], value) if isinstance(value, float) else value  # type: ignore[call-overload]
    checkpoint.write_file(tmp_path / "config.json", checkpoint.json.dumps({"model": PUBLISHED}).encode())
    torch.save({"model": raw, "ema": {"shadow_params": averages}}, tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path)
    assert load(tmp_path, "as-released").schedule.slope == pytest.approx(18.3)


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("name", ["uqdm", "diffc", "vdm"])
def test_overflowing_weights_are_reported_by_every_codec(tmp_path: Path, name: str) -> None:
    denoiser = checkpoint.build(SMALL)[0]
    for value in denoiser.state_dict().values():
        value.fill_(1e38)
    checkpoint.save(tmp_path / "large", SMALL, denoiser)
    codec = get_codec(name, model=str(tmp_path / "large"))
    with pytest.raises(ValueError, match="model large: its outputs for an image are NaN or infinite"):
        codec.encode_detailed([np.zeros((8, 8, 3), np.uint8)])

"""Guards the block transform and its model folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from uqdm.coding.gaussian import CELL_BITS, MIN_OCTAVE, N_ROWS
from uqdm.model.files import CONFIG, WEIGHTS, CheckpointError
from uqdm.transform import folder
from uqdm.transform.blocks import BlockTransforms
from uqdm.transform.macs import decoder_macs
from uqdm.transform.model import ROUNDING, UNIVERSAL

TRANSFORM = {"architecture": "blocks", "width": 8, "hyper_width": 8, "side": 4, "refine": 4, "sections": [64, 128]}
LEVELS = [
    {"quantization": ROUNDING, "weight": 0.01, "step": 0.1},
    {"quantization": UNIVERSAL, "weight": 0.1, "step": 0.05},
]
CONFIGURATION = {"image_size": 32, "transform": TRANSFORM, "levels": LEVELS}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    transforms = folder.build(CONFIGURATION, "here")
    with torch.no_grad():
        for value in transforms.parameters():
            value += 0.05 * torch.randn_like(value)
    folder.save(tmp_path / "model", CONFIGURATION, transforms, half=False)
    return tmp_path / "model"


def test_before_training_all_coefficients_give_the_image_back() -> None:
    """With 192 of 192 functions of a block the transform is orthonormal and complete."""
    transforms = BlockTransforms([0.1], width=8, hyper_width=8, side=4, refine=4, sections=[64, 128])
    image = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    level = torch.tensor([0, 0])
    latents = transforms.analysis(image, level)
    assert latents.shape == (2, 192, 4, 6)
    assert float((latents * 0.1).square().sum()) == pytest.approx(float((image - 0.5).square().sum()), rel=1e-5)
    assert torch.allclose(transforms.synthesis(latents, level), image, atol=1e-5)  # float32


def test_a_level_has_factors_of_its_own() -> None:
    transforms = BlockTransforms([0.1, 0.05], width=8, hyper_width=8, side=4, refine=4)
    image = torch.rand(1, 3, 32, 32).expand(2, -1, -1, -1)
    first, second = transforms.analysis(image, torch.tensor([0, 1]))
    assert torch.allclose(2 * first, second, rtol=1e-5)


def test_sections_do_not_see_later_ones(saved: Path) -> None:
    transforms = folder.load(saved).transforms
    level = torch.tensor([0])
    features = transforms.features(torch.zeros(1, 4, 2, 2), level)
    means, deviations = transforms.section(1, features, torch.ones(1, 64, 4, 4), level)
    assert means.shape == deviations.shape == (1, 128, 4, 4)
    other, _ = transforms.section(1, features, 2 * torch.ones(1, 64, 4, 4), level)
    assert not torch.equal(means, other)
    with pytest.raises(RuntimeError):
        transforms.section(1, features, torch.ones(1, 192, 4, 4), level)


def test_a_folder_comes_back(saved: Path, tmp_path: Path) -> None:
    model = folder.load(saved)
    assert [level.weight for level in model.levels] == [0.01, 0.1]
    assert model.levels_for(UNIVERSAL) == [1]
    state = model.transforms.state_dict()
    exponents = state["side_log_deviation"].double() / torch.log(torch.tensor(2.0, dtype=torch.float64))
    rows = torch.from_numpy(model.prior.rows).double()
    middles = (rows + 0.5) / (1 << CELL_BITS) + MIN_OCTAVE
    assert float((middles - exponents).abs().max()) <= 0.5 / (1 << CELL_BITS) + 1e-9
    assert abs(model.prior.medians - state["side_mean"].numpy()).max() <= 0.5 / 256 + 1e-7
    folder.save(tmp_path / "again", CONFIGURATION, model.transforms, half=False)  # type: ignore[arg-type]
    assert folder.load(tmp_path / "again").sha256 == model.sha256
    folder.save(tmp_path / "half", CONFIGURATION, model.transforms, half=True)  # type: ignore[arg-type]
    assert folder.load(tmp_path / "half").sha256 != model.sha256


def test_densities_in_float64_are_those_of_the_networks(saved: Path) -> None:
    model, level = folder.load(saved), torch.tensor([0])
    side = torch.randn(1, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    features = model.transforms.features(side, level)
    exact = model.precise.features(side.double(), level)
    assert exact.dtype == torch.float64
    assert torch.allclose(features.double(), exact, atol=1e-5)
    assert model.precise.section(0, exact, torch.zeros(1, 0, 4, 4).double(), level)[0].dtype == torch.float64


def test_macs_grow_with_the_area(saved: Path) -> None:
    transforms = folder.load(saved).transforms
    assert decoder_macs(transforms, 32, 64) == 2 * decoder_macs(transforms, 32, 32)
    assert next(transforms.parameters()).device.type == "cpu"


def damaged(path: Path, **changes: object) -> Path:
    config = json.loads((path / CONFIG).read_text())
    (path / CONFIG).write_text(json.dumps({**config, **changes}))
    return path


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"format": "uqdm-model-1"}, "not a model of transform coding"),
        ({"transform": {**TRANSFORM, "width": 16}}, "it describes"),
        ({"transform": {**TRANSFORM, "width": 10**6}}, "must be at most 1024"),
        ({"levels": LEVELS[:1]}, "it describes"),
        ({"levels": "all"}, "levels"),
    ],
)
def test_wrong_configurations_are_refused(saved: Path, changes: dict[str, object], fault: str) -> None:
    with pytest.raises(CheckpointError, match=fault):
        folder.load(damaged(saved, **changes))


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        (folder.SIDE_ROWS, torch.full((2, 4), N_ROWS, dtype=torch.uint8), "rows are below"),
        (folder.SIDE_ROWS, torch.zeros(2, 3, dtype=torch.uint8), "must be uint8 of shape"),
        (folder.SIDE_MEDIANS, None, "must be int16"),
        ("hyper_in.bias", torch.full((8,), float("nan")), "NaN or infinity"),
    ],
)
def test_wrong_tensors_are_refused(saved: Path, name: str, value: torch.Tensor | None, fault: str) -> None:
    tensors = safetensors.torch.load_file(saved / WEIGHTS)
    del tensors[name]
    safetensors.torch.save_file(tensors | ({} if value is None else {name: value}), saved / WEIGHTS)
    with pytest.raises(CheckpointError, match=fault):
        folder.load(saved)


def test_a_file_that_is_no_model_is_refused(saved: Path, tmp_path: Path) -> None:
    (saved / WEIGHTS).write_bytes(b"no tensors")
    for path in (saved, tmp_path / "absent"):
        with pytest.raises(CheckpointError):
            folder.load(path)

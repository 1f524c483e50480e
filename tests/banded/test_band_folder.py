"""Model folders of a process in bands: they come back, and broken ones are refused with the file and the key."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from small_bands import NOISE, SMALL_BANDS, banded_config, banded_networks

import uqdm
from uqdm.banded import model as models
from uqdm.codec import get_codec
from uqdm.model.banded_identity import identify
from uqdm.model.files import BANDED_FORMAT, CONFIG, WEIGHTS, CheckpointError
from uqdm.model.zoo import load_named
from uqdm.progressive.banded.compressor import BandedUQDM


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("banded") / "model"
    models.save(folder, banded_config(), banded_networks(noise=NOISE), half=True)
    return folder


@pytest.fixture
def saved(kept: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in (CONFIG, WEIGHTS):
        (folder / name).write_bytes((kept / name).read_bytes())
    return folder


def test_a_folder_comes_back(saved: Path, tmp_path: Path) -> None:
    model = models.load(saved)
    assert model.schedule.sigmas == (100.0, 40.5, 13.0)
    assert (model.schedule.n_band_steps, model.schedule.n_steps, model.image_size) == (3, 4, 16)
    assert model.n_parameters == sum(value.numel() for value in safetensors.torch.load_file(saved / WEIGHTS).values())
    assert not any(value.requires_grad for value in model.networks.parameters())
    models.save(tmp_path / "again", model.config, model.networks, half=False)
    again = models.load(tmp_path / "again")
    assert again.sha256 == model.sha256  # as float32 or as float16: the values are the same
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.networks.parameters(), again.networks.parameters(), strict=True)
    )  # fmt: skip


def test_options_that_are_omitted_have_defaults(tmp_path: Path) -> None:
    config = {"image_size": 16, "banded": {"sigmas": [50], "pixel_width": 2}}
    models.save(tmp_path / "model", config, models.build(config, "here"), half=True)
    networks = models.load(tmp_path / "model").networks
    assert networks.bands.begin.out_channels == 96
    assert len(networks.bands.units) == 3


def test_the_identity_is_that_of_the_loaded_model(saved: Path) -> None:
    assert identify(saved) == models.load(saved).identity
    half = safetensors.torch.load_file(saved / WEIGHTS)
    safetensors.torch.save_file({name: value.float() for name, value in half.items()}, saved / WEIGHTS)
    assert identify(saved) == models.load(saved).identity
    assert str(saved.name) == identify(saved).name


def test_a_changed_weight_or_setting_changes_the_identity(saved: Path) -> None:
    before = identify(saved)
    rewrite(saved, banded_config(sigmas=[100, 40.5, 12]))
    changed = identify(saved)
    assert changed.sha256 != before.sha256
    tensors = safetensors.torch.load_file(saved / WEIGHTS)
    tensors["bands.mean"][0] += 1
    safetensors.torch.save_file(tensors, saved / WEIGHTS)
    assert identify(saved).sha256 not in (before.sha256, changed.sha256)
    rewrite(saved, {**banded_config(sigmas=[100, 40.5, 12]), "training": {"n_tiles": 3}})
    assert identify(saved) == models.load(saved).identity  # which training is only told


def test_identifying_imports_no_torch_and_loading_no_compiler(saved: Path) -> None:
    code = f"""
import sys
from uqdm.model.zoo import identify
print(identify({str(saved)!r}), "torch" in sys.modules)
from pathlib import Path
from uqdm.banded.model import load
print(load(Path({str(saved)!r})).identity, "torch._dynamo" in sys.modules or "sympy" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{identify(saved)} False\n" * 2


def rewrite(folder: Path, config: dict[str, Any]) -> None:
    (folder / CONFIG).write_text(json.dumps({"format": BANDED_FORMAT, **config}))


LATE = SMALL_BANDS["late"]
HUGE = {"width": 1024, "depth": 64, "hidden": 1024, "refine": 1024, "refine_depth": 64}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"sigmas": [40, 100]}, r"banded: sigmas \[40.0, 100.0\]: must fall by 0.1 % each, and be 0.5 to 2000 levels"),
        ({"sigmas": [40, 40]}, "must fall"),
        ({"sigmas": []}, "banded.sigmas: must have at least 1 entries, got 0"),
        ({"sigmas": [2**n for n in range(15, 0, -1)]}, "banded.sigmas"),
        ({"sigmas": [100, 0.1]}, r"banded.sigmas\[1\]: must be at least 0.5"),
        ({"sigmas": [3000]}, r"banded.sigmas\[0\]: must be at most 2000"),
        ({"sigmas": ["100"]}, r"banded.sigmas\[0\]: expected a finite number, got str '100'"),
        ({"sigmas": [10**400]}, "a whole number of"),
        ({"sigmas": 100}, "banded.sigmas: expected a list, got int 100"),
        ({"pixel_width": 1}, "banded.pixel_width: must be at least 2"),
        ({"pixel_width": 9.0}, "banded.pixel_width: expected a whole number, got float 9.0"),
        ({"pixel_width": 129}, "banded.pixel_width: must be at most 128"),
        ({"widths": 3}, "banded: unknown key 'widths'; known: bands, late, pixel_width, sigmas"),
        ({"bands": {"width": 8, "deep": 1}}, "banded.bands: unknown key 'deep'; known: depth, hidden"),
        ({"bands": {**SMALL_BANDS["bands"], "width": 16}}, r"it describes \d+ values, and model.safetensors holds \d+"),
        ({"bands": {**SMALL_BANDS["bands"], "width": 0}}, "banded.bands.width: must be at least 1"),
        ({"bands": {"width": 2**20}}, "banded.bands.width: must be at most 1024"),
        ({"bands": HUGE}, "it describes 1[0-9]{9} values"),
        ({"sigmas": [100, 50, 20, 10]}, "it describes"),
        ({"late": LATE[:1]}, "banded.late: must have at least 2 entries, got 1"),
        ({"late": [*LATE, {}]}, "banded.late: must have at most 2 entries, got 3"),
        ({"late": [{"dilations": []}, {}]}, r"banded.late\[0\].dilations: must have at least 1 entries"),
        ({"late": [{"dilations": [1000]}, {}]}, r"banded.late\[0\].dilations\[0\]: must be at most 32"),
        (
            {"late": [{"dilations": [1] * 64, "width": 1024, "hidden": 1024}] * 2},
            r"banded: describes \d{10} weights, more than 2147483648",
        ),
    ],
)
def test_wrong_configurations_are_refused(saved: Path, changes: dict[str, Any], fault: str) -> None:
    """With file and key, and before memory is allocated for sizes that the weights do not have."""
    rewrite(saved, banded_config(**changes))
    with pytest.raises(CheckpointError, match=fault) as caught:
        models.load(saved)
    assert str(saved / CONFIG) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (
            {"format": "uqdm-banded-9"},
            "format 'uqdm-banded-9' is not 'uqdm-banded-1': not a model of a process in bands",
        ),
        ({"format": None}, "format None is not"),
        ({"image_size": 24}, "image_size 24 is unknown; known: 16, 32, 64, 128, 256, 512"),
        ({"image_size": 16.0}, "image_size: expected a whole number, got float 16.0"),
        ({"banded": None}, "banded: expected keys and values, got null"),
        ({"banded": {"sigmas": [10]}}, "banded has no pixel_width"),
        ({"training": 3}, "training: expected keys and values or null"),
    ],
)
def test_wrong_keys_are_named(saved: Path, content: dict[str, Any], fault: str) -> None:
    rewrite(saved, {**banded_config(), **content})
    for read in (models.load, identify):
        with pytest.raises(CheckpointError, match=fault) as caught:
            read(saved)
        assert str(saved / CONFIG) in str(caught.value)


@pytest.mark.parametrize("key", ["image_size", "banded"])
def test_missing_keys_are_named(saved: Path, key: str) -> None:
    rewrite(saved, {name: value for name, value in banded_config().items() if name != key})
    with pytest.raises(CheckpointError, match=f"config.json has no {key}"):
        models.load(saved)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b'{"a": NaN}', b'{"a": 1, "a": 2}'])
def test_files_that_are_not_configurations_are_refused(saved: Path, content: bytes) -> None:
    (saved / CONFIG).write_bytes(content)
    for read in (models.load, identify):
        with pytest.raises(CheckpointError, match=r"config\.json"):
            read(saved)


def transposed(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    name = "bands.begin.weight"
    return {**tensors, name: tensors[name].transpose(0, 1).contiguous()}


def holding(value: float) -> Any:
    return lambda tensors: {**tensors, "bands.mean": torch.full((3,), value)}


def renamed(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {("bands.means" if name == "bands.mean" else name): value for name, value in tensors.items()}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (transposed, r"tensor 'bands.begin.weight' has shape \[384, 8, 1, 1\], not \[8, 384, 1, 1\]"),
        (renamed, "tensor 'bands.mean' is missing"),
        (lambda tensors: {}, r"it describes \d+ values, and model.safetensors holds 0"),
        (lambda tensors: {**tensors, "more": torch.zeros(1)}, "it describes"),
        (lambda tensors: {**tensors, "bands.mean": torch.zeros(3, dtype=torch.int32)}, "has type torch.int32"),
        (holding(float("nan")), r"tensor 'bands.mean' holds NaN or infinity \(3 of 3 values\)"),
        (holding(float("inf")), "holds NaN or infinity"),
    ],
)
def test_wrong_weights_are_refused(saved: Path, change: Any, fault: str) -> None:
    safetensors.torch.save_file(change(safetensors.torch.load_file(saved / WEIGHTS)), saved / WEIGHTS)
    with pytest.raises(CheckpointError, match=fault) as caught:
        models.load(saved)
    assert str(saved) in str(caught.value)


def test_a_file_that_holds_no_weights_is_refused(saved: Path) -> None:
    (saved / WEIGHTS).write_bytes(b"no weights")
    for read in (models.load, identify):
        with pytest.raises(CheckpointError, match=r"model\.safetensors: not a safetensors file"):
            read(saved)
    (saved / WEIGHTS).unlink()
    for read in (models.load, identify):
        with pytest.raises(CheckpointError, match=r"model\.safetensors"):
            read(saved)
    (saved / CONFIG).unlink()
    with pytest.raises(CheckpointError, match=r"config\.json: cannot be read \(No such file"):
        models.load(saved)


# ---- each model with its codec --------------------------------------------------------------------------------------


def test_a_folder_is_loaded_by_path(saved: Path) -> None:
    model = uqdm.load_model(saved)
    assert isinstance(model, BandedUQDM)
    assert re.match(r"UQDM\(model, 4 steps, [\d,]+ parameters, cpu, weights sha256:", repr(model))


@pytest.mark.parametrize("codec", ["vdm", "diffc"])
def test_codecs_of_gaussian_twins_say_what_the_model_is_for(saved: Path, codec: str) -> None:
    with pytest.raises(ValueError, match="is a model of a process in bands: use it as uqdm:model="):
        get_codec(codec, model=str(saved)).encode([np.zeros((16, 16, 3), np.uint8)])


def test_codecs_of_transforms_say_what_the_model_is_for(saved: Path) -> None:
    with pytest.raises(ValueError, match=f"is no model of transform coding; if it is one of UQDM: uqdm:model={saved}"):
        get_codec("hyperprior", model=str(saved))


def test_uqdm_says_what_a_model_of_transform_coding_is_for() -> None:
    with pytest.raises(ValueError, match="is a model of transform coding: use it as hyperprior:model=ntc-demo"):
        get_codec("uqdm", model="ntc-demo")


def test_the_papers_models_are_no_models_in_bands(saved: Path) -> None:
    with pytest.raises(CheckpointError, match="use it as uqdm:model="):
        load_named(saved)

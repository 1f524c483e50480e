"""The identity of a model folder is that of the loaded model, and is found without torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from uqdm.banded import model as banded
from uqdm.model import checkpoint
from uqdm.model.files import BANDED_FORMAT, CONFIG, WEIGHTS, CheckpointError
from uqdm.model.identity import own_identity
from uqdm.model.zoo import SHIPPED, format_named, identify, load_named, shipped_names

GOLDEN_MODEL = Path(__file__).parents[1] / "progressive" / "golden-v1-model"


@pytest.mark.parametrize("name", [*shipped_names(), str(GOLDEN_MODEL)])
def test_identity_is_that_of_the_loaded_model(name: str) -> None:
    is_banded = format_named(name) == BANDED_FORMAT
    assert identify(name) == (banded.load(SHIPPED / name) if is_banded else load_named(name)).identity


@pytest.mark.parametrize("kind", [torch.float16, torch.float32, torch.float64, torch.bfloat16])
def test_identity_does_not_depend_on_the_type_of_stored_weights(tmp_path: Path, kind: torch.dtype) -> None:
    folder = shutil.copytree(SHIPPED / "uqdm-pixel", tmp_path / "model")
    tensors = safetensors.torch.load_file(folder / WEIGHTS)
    safetensors.torch.save_file({name: value.to(kind) for name, value in tensors.items()}, folder / WEIGHTS)
    assert identify(folder) == checkpoint.load(folder).identity


def test_a_changed_weight_or_setting_changes_the_identity(tmp_path: Path) -> None:
    folder = shutil.copytree(SHIPPED / "uqdm-pixel", tmp_path / "model")
    before = identify(folder)
    config = json.loads((folder / CONFIG).read_text())
    config["schedule"]["gamma_max"] += 0.5
    (folder / CONFIG).write_text(json.dumps(config))
    changed = identify(folder)
    assert changed.sha256 != before.sha256
    tensors = safetensors.torch.load_file(folder / WEIGHTS)
    next(iter(tensors.values())).flatten()[0] += 1
    safetensors.torch.save_file(tensors, folder / WEIGHTS)
    assert identify(folder).sha256 not in (before.sha256, changed.sha256)


def test_a_damaged_folder_is_reported(tmp_path: Path) -> None:
    folder = shutil.copytree(SHIPPED / "uqdm-pixel", tmp_path / "model")
    (folder / WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        identify(folder)
    (folder / CONFIG).write_text('{"format": "uqdm-model-9"}')
    with pytest.raises(CheckpointError, match="format 'uqdm-model-9'"):
        identify(folder)


def test_a_folder_of_another_layout_has_no_identity_without_torch(tmp_path: Path) -> None:
    assert own_identity(tmp_path) is None


def test_identity_needs_no_torch() -> None:
    code = "import sys; from uqdm.model.zoo import identify; identify('uqdm-pixel'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"

"""Tolerances are measured once, cached, and cover the differences between batch sizes."""

import json

import pytest
import torch

from uqdm.model import checkpoint
from uqdm.model.checkpoint import build, load, save
from uqdm.progressive import tolerance


@pytest.fixture
def folder(tmp_path):
    config = {
        "image_size": 16,
        "schedule": {"slope": 18.21, "gamma_max": 6.0, "n_steps": 4},
        "denoiser": {"kind": "unet", "embedding_dim": 8, "n_blocks": 1, "norm_groups": 4},
    }
    torch.manual_seed(0)
    checkpoint.save(tmp_path / "small", config, checkpoint.build(config)[0])
    return tmp_path / "small"


def test_measured_tolerances_are_kept_on_disk(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("UQDM_CACHE", str(tmp_path / "cache"))
    model = load(folder)
    first = tolerance.of_model(model)
    (kept,) = (tmp_path / "cache" / "tolerance").iterdir()
    monkeypatch.setattr(tolerance, "measure", lambda model: pytest.fail("measured again"))
    assert tolerance.of_model(model) == first
    monkeypatch.undo()
    monkeypatch.setenv("UQDM_CACHE", str(tmp_path / "cache"))
    kept.write_text("[{]")
    assert len(tolerance.of_model(model)) == 4  # a damaged file is measured anew, and replaced
    assert len(json.loads(kept.read_text())) == 4


def test_an_unwritable_cache_folder_is_ignored(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("UQDM_CACHE", str(tmp_path / "file"))
    assert len(tolerance.of_model(load(folder))) == 4


@pytest.mark.parametrize("channels", [1, 4])
def test_recording_a_tolerance_needs_a_model_that_codes_images(tmp_path, channels):
    config = {
        "image_size": 8,
        "schedule": {"slope": 18.0, "gamma_max": 6.0, "n_steps": 2},
        "denoiser": {"kind": "stepwise", "widths": [4], "dilations": [[1]], "channels": channels},
    }
    save(tmp_path, config, build(config)[0])
    with pytest.raises(ValueError, match=f"its images have {channels} channels, not 3"):
        tolerance.record(tmp_path)


def test_recorded_tolerances_are_part_of_the_model_but_not_of_its_digest(folder):
    before = load(folder)
    tolerance.record(folder)
    after = load(folder)
    assert after.sha256 == before.sha256
    assert tolerance.of_model(after) == tolerance.measure(after)

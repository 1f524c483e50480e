"""Loading of models: correct weights, and no unrestricted unpickling."""

import json
import os
import pickle

import pytest
import torch

from uqdm.model import checkpoint
from uqdm.model.checkpoint import CheckpointError, load
from uqdm.model.unet import ScoreNetwork

SMALL = {
    "image_size": 8,
    "schedule": {"slope": 18.21, "gamma_max": 6.0, "n_steps": 4},
    "denoiser": {"kind": "stepwise", "widths": [4, 4, 4], "dilations": [[1], [1], [1]]},
}


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    checkpoint.save(tmp_path / "small", SMALL, checkpoint.build(SMALL)[0])
    return tmp_path / "small"


def test_model_folders_round_trip(folder):
    first, second = load(folder), load(folder)
    assert first.sha256 == second.sha256
    assert first.schedule.slope == 18.21
    assert not first.denoiser.training


def test_the_digest_depends_on_weights_and_schedule(folder):
    before = load(folder).sha256
    config = {**SMALL, "schedule": {**SMALL["schedule"], "slope": 18.22}}
    checkpoint.save(folder, config, load(folder).denoiser)
    assert load(folder).sha256 != before


def test_folder_that_is_not_a_model_is_refused(tmp_path, folder):
    with pytest.raises(CheckpointError, match=r"no config.json"):
        load(tmp_path)
    (folder / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(CheckpointError, match=r"model.safetensors: not a safetensors file"):
        load(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="neither"):
        load(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="not valid JSON"):
        load(folder)


def test_weights_of_another_configuration_are_refused(folder):
    wider = {**SMALL, "denoiser": {**SMALL["denoiser"], "widths": [8, 4, 4]}}
    (folder / "config.json").write_text(json.dumps({"format": checkpoint.FORMAT, **wider}))
    with pytest.raises(CheckpointError, match="do not fit"):
        load(folder)


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("was_unpickled",)


def published(tmp_path, entries):
    config = {
        "model": {
            "n_timesteps": 4, "prior_type": "logistic", "learned_prior_scale": True, "noise_schedule": "learned_linear",
            "fix_gamma_max": True, "gamma_min": -12.3, "gamma_max": 6.0, "attention_everywhere": False,
            "use_fourier_features": True, "n_attention_heads": 1, "n_channels": 3, "vocab_size": 256,
            "embedding_dim": 8, "n_blocks": 1, "norm_groups": 4, "dropout_prob": 0.0,
        }
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    torch.save(entries, tmp_path / "checkpoint.pt")
    return tmp_path


def test_published_checkpoint_loads_averaged_weights_and_learned_slope(tmp_path):
    raw = ScoreNetwork(embedding_dim=8, n_blocks=1, norm_groups=4).state_dict()
    averaged = [torch.full_like(value, 0.5) for value in raw.values()] + [torch.tensor(-17.5)]
    folder = published(tmp_path, {"model": raw, "ema": {"shadow_params": averaged}, "step": 1})
    ema, released = load(folder), load(folder, "as-released")
    assert ema.schedule.slope == 17.5
    assert all((value == 0.5).all() for value in ema.denoiser.state_dict().values())
    assert released.schedule.slope == pytest.approx(18.3, rel=1e-7)  # float32
    assert all((a == b).all() for a, b in zip(released.denoiser.state_dict().values(), raw.values(), strict=True))


def test_malicious_pickle_is_refused_without_running(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = published(tmp_path, {"model": Malicious(), "ema": {}})
    with pytest.raises(CheckpointError, match=r"checkpoint.pt"):
        load(folder)
    (folder / "checkpoint.pt").write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(CheckpointError, match=r"checkpoint.pt"):
        load(folder)
    assert not (tmp_path / "was_unpickled").exists()


def test_published_tiny_network_has_its_published_size(shared):
    model = load(shared / "checkpoints" / "uqdm-tiny")
    assert sum(value.numel() for value in model.denoiser.state_dict().values()) == 167_494  # without the slope
    assert model.schedule.slope == 17.9658203125  # entry 65 of the checkpoint's averages

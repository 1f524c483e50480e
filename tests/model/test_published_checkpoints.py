"""The published layout: exports round-trip, and have the keys of the published checkpoint."""

import json

import pytest
import torch

from uqdm.model import checkpoint, published
from uqdm.model.checkpoint import CheckpointError, export, load

SMALL = {
    "image_size": 64,
    "schedule": {"slope": 17.5, "gamma_max": 6.0, "n_steps": 4},
    "denoiser": {"kind": "unet", "embedding_dim": 8, "n_blocks": 1, "norm_groups": 4},
}


def own_folder(tmp_path, **changes):
    config = {**SMALL, **changes}
    torch.manual_seed(0)
    checkpoint.save(tmp_path / "own", config, checkpoint.build(config)[0])
    return tmp_path / "own"


def changed(**options):
    return {**SMALL["denoiser"], **options}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"density": "gaussian"},
        {"denoiser": changed(learned_scale=False, forward_kernel_scale=False, attention_everywhere=True)},
        {"denoiser": changed(dropout=0.1, fourier_features=False, gamma_min=-13.0)},
        {"schedule": {"slope": 18.0, "gamma_max": 5.5, "n_steps": 3}},  # gamma_max is not the network's constant
    ],
)
def test_exported_model_round_trips(tmp_path, changes):
    first = load(own_folder(tmp_path, **changes))
    export(first, tmp_path / "theirs", "published")
    second = load(tmp_path / "theirs")
    assert second.schedule == first.schedule
    assert second.denoiser.density == first.denoiser.density
    assert second.denoiser.forward_kernel_scale == first.denoiser.forward_kernel_scale
    weights = second.denoiser.state_dict()
    assert all((weights[key] == value).all() for key, value in first.denoiser.state_dict().items())
    export(second, tmp_path / "again", "own")
    assert load(tmp_path / "again").sha256 == second.sha256


def test_export_holds_the_optimizer_of_the_published_loader(tmp_path):
    export(load(own_folder(tmp_path)), tmp_path / "theirs", "published")
    stored = torch.load(tmp_path / "theirs" / "checkpoint.pt", weights_only=True)
    model = load(tmp_path / "theirs").denoiser.network
    # As the published code makes it: the network's parameters, then the schedule's slope.
    parameters = [*model.requires_grad_(True).parameters(), torch.nn.Parameter(torch.tensor(18.3))]
    optimizer = torch.optim.Adam(parameters, lr=1.0)
    optimizer.load_state_dict(stored["optimizer"])
    assert optimizer.param_groups[0]["lr"] == 2e-4
    model.load_state_dict(stored["model"], strict=True)
    assert stored["ema"]["shadow_params"][-1].shape == ()


def test_unsupported_models_are_not_exported(tmp_path):
    small = {**SMALL, "denoiser": {"kind": "stepwise", "widths": [4, 4, 4], "dilations": [[1], [1], [1]]}}
    checkpoint.save(tmp_path / "stepwise", small, checkpoint.build(small)[0])
    with pytest.raises(CheckpointError, match="holds only the published kind of network"):
        export(load(tmp_path / "stepwise"), tmp_path / "out", "published")
    gaussian = load(own_folder(tmp_path, process="gaussian"))
    with pytest.raises(CheckpointError, match="holds only"):
        export(gaussian, tmp_path / "out", "published")
    with pytest.raises(CheckpointError, match="holds a model already"):
        export(gaussian, tmp_path / "stepwise", "own")


def theirs(tmp_path, model, shadow, **entries):
    export(load(own_folder(tmp_path)), tmp_path / "theirs", "published")
    config = json.loads((tmp_path / "theirs" / "config.json").read_text())
    config["model"] |= model
    (tmp_path / "theirs" / "config.json").write_text(json.dumps(config))
    stored = torch.load(tmp_path / "theirs" / "checkpoint.pt", weights_only=True)
    network = stored["ema"]["shadow_params"][:-1]
    stored["ema"]["shadow_params"] = [*network, *(torch.tensor(value) for value in shadow)]
    torch.save(stored, tmp_path / "theirs" / "checkpoint.pt")
    return tmp_path / "theirs"


def test_every_published_schedule_kind_is_read(tmp_path):
    fixed = load(theirs(tmp_path, {"noise_schedule": "fixed_linear"}, []))
    assert fixed.schedule.slope == pytest.approx(18.3, rel=1e-7)  # float32
    free = load(theirs(tmp_path / "2", {"fix_gamma_max": False}, [-11.5, -17.0]))
    assert (free.schedule.slope, free.schedule.gamma_max) == (17.0, 5.5)
    released = load(tmp_path / "2" / "theirs", "as-released")
    assert released.schedule.gamma_max == 6.0


def test_averages_without_a_schedule_are_refused(tmp_path):
    folder = theirs(tmp_path, {}, [])  # as the public trainer writes them
    with pytest.raises(CheckpointError, match=r"weights='as-released' does without"):
        load(folder)
    assert load(folder, "as-released").schedule.slope == pytest.approx(18.3, rel=1e-7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prior_type": "laplace"}, "prior_type='laplace' is not supported"),
        ({"noise_schedule": "cosine"}, "noise_schedule='cosine' is not supported"),
        ({"vocab_size": 4}, "vocab_size=4 is not supported"),
    ],
)
def test_unsupported_options_are_refused(tmp_path, change, message):
    with pytest.raises(CheckpointError, match=message):
        load(theirs(tmp_path, change, [17.5]))


def test_incomplete_configuration_is_refused(tmp_path):
    folder = theirs(tmp_path, {}, [17.5])
    config = json.loads((folder / "config.json").read_text())
    del config["model"]["n_blocks"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="model has no n_blocks"):
        load(folder)


@pytest.mark.shared
def test_export_has_the_keys_of_the_published_checkpoint(shared, tmp_path):
    folder = shared / "checkpoints" / "uqdm-tiny"
    first = load(folder)
    export(first, tmp_path / "uqdm-tiny", "published")
    assert load(tmp_path / "uqdm-tiny").sha256 == first.sha256
    mine, their = (published._read_tensors(path / "checkpoint.pt") for path in (tmp_path / "uqdm-tiny", folder))
    assert mine.keys() == their.keys()
    assert list(mine["model"]) == list(their["model"])  # in order
    for key, value in their["model"].items():
        assert (mine["model"][key].shape, mine["model"][key].dtype) == (value.shape, value.dtype)
    assert mine["ema"].keys() == their["ema"].keys()
    averages = zip(mine["ema"]["shadow_params"], their["ema"]["shadow_params"], strict=True)
    assert all(torch.equal(a, b) for a, b in averages)
    groups = [stored["optimizer"]["param_groups"][0] for stored in (mine, their)]
    assert groups[0]["params"] == groups[1]["params"]
    assert {key: float(groups[0][key]) for key in ("lr", "eps")} == {
        key: float(groups[1][key]) for key in ("lr", "eps")
    }
    ours, config = (json.loads((path / "config.json").read_text()) for path in (tmp_path / "uqdm-tiny", folder))
    assert ours["model"] == config["model"]
    assert {key: ours[key].keys() for key in config if key != "restore_ckpt"} == {
        key: config[key].keys() for key in config if key != "restore_ckpt"
    }

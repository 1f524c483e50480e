"""Whole runs: from a configuration to a model that codes, killed and resumed, in one process and in two."""

import csv
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from small_training import MODEL, RECIPE, train_by_file
from typer.testing import CliRunner

from uqdm.cli.main import app
from uqdm.model import checkpoint
from uqdm.progressive import load_model
from uqdm.training import state
from uqdm.training.boards import has_tensorboard
from uqdm.training.job import TrainingCallbacks, prepare
from uqdm.training.loop import CHECKPOINT
from uqdm.training.remote import cause
from uqdm.training.run import train
from uqdm.training.structure import TrainingConfigError
from uqdm.training.trainer import TrainingError

BOUND = {
    "n_iterations": 12,
    "objective": "nelbo",
    "batch_size": 2,
    "crop_size": 16,
    "learned_schedule": ["slope"],
    "bfloat16": False,
}
SEPARATE = {
    "iterations": [3, 4, 5, 6],
    "batch_sizes": [[[0, 2]]] * 4,
    "x_hat_weights": [[[0, 0.5]]] * 4,
    "crop_sizes": [16] * 4,
    "cool_down": [1] * 4,
    "bfloat16": False,
}
SWIRL = {
    "process": "gaussian",
    "levels": {"mean": [115.6, 135.3], "deviation": [47.2, 41.6]},
    "schedule": {"slope": 14.0, "gamma_max": 5.0, "n_steps": 6},
    "denoiser": {"kind": "points", "width": 16, "learned_scale": False},
}


@pytest.fixture
def write(tmp_path, photographs_uint8):
    np.savez(tmp_path / "tiles.npz", np.stack(photographs_uint8)[:, :32, :32])

    def write(**changes):
        config = {
            "name": "small",
            "image_size": 32,
            "data": {"source": f"npz:{tmp_path}/tiles.npz"},
            "model": MODEL,
            "recipe": {**RECIPE, "n_iterations": 12},
            "output": {"report_every": 4, "checkpoint_every": 5, "pictures_every": 6},
        }
        file = tmp_path / "small.yaml"
        file.write_text(yaml.safe_dump({k: v for k, v in {**config, **changes}.items() if v is not None}))
        return file

    return write


def weights(folder):
    return (folder / checkpoint.WEIGHTS).read_bytes()


def rows_of(file):
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def test_foreign_config_json_is_not_overwritten(write, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.json").write_text('{"name": "a web page"}')
    with pytest.raises(TrainingError, match=r"config\.json: it exists already"):
        prepare(write(), None, tmp_path / "out")


def test_training_writes_a_model_that_codes(write, tmp_path, photographs_uint8):
    out, seen = tmp_path / "out", []
    validation = {"source": "demo", "n": 3, "coded": 1, "every": 6}
    train(
        prepare(write(validation=validation), None, out), TrainingCallbacks(validated=lambda *told: seen.append(told))
    )
    rows = rows_of(out / "log.csv")
    assert [row["iteration"] for row in rows] == ["4", "8", "12"]
    assert all(float(row["grad_norm"]) > 0 for row in rows)
    validated = rows_of(out / "validation.csv")
    assert [row["iteration"] for row in validated] == ["0", "6", "12"] == [str(iteration) for iteration, _ in seen]
    for row in validated:
        steps = sum(float(row[f"step_{i}_bpp"]) for i in range(1, 5))
        assert float(row["ideal_bpp"]) == pytest.approx(steps + float(row["last_stage_bpp"]), rel=1e-4)
        # One image's file against the mean of three; the free last stage is not in it.
        assert float(row["file_bpp"]) == pytest.approx(steps, rel=0.2)
        assert float(row["step_4_psnr_db"]) > float(row["step_1_psnr_db"])
    assert [file.name for file in sorted((out / "pictures").iterdir())] == ["00000006.png", "00000012.png"]
    with Image.open(out / "pictures" / "00000012.png") as sheet:
        assert sheet.size == (5 * 32, 4 * 32)  # four estimates and the image of three images, and a row of samples
    if has_tensorboard():
        assert list((out / "tensorboard").iterdir())
    model = load_model(out)
    image = photographs_uint8[0][:40, :50]
    assert (model.decompress(model.compress([image]))[0] == image).all()
    assert model.model.config["training"]["n_tiles"] == 8
    with pytest.raises(TrainingError, match="holds a model already"):
        train_by_file(write(), out)


@pytest.mark.parametrize(
    "recipe", [{**RECIPE, "n_iterations": 12}, BOUND, SEPARATE], ids=["steps", "nelbo", "separate"]
)
def test_stopped_run_resumes_to_the_same_weights(write, tmp_path, recipe):
    file = write(recipe=recipe)
    train_by_file(file, tmp_path / "whole")

    class StopError(Exception):
        pass

    def stop(progress):
        if progress.iteration == 4 and (progress.only_step is None or progress.only_step == 2):
            raise StopError

    file = write(recipe=recipe, output={"report_every": 2, "checkpoint_every": 3})
    with pytest.raises(StopError):
        train_by_file(file, tmp_path / "stopped", progress=stop)
    assert not (tmp_path / "stopped" / checkpoint.WEIGHTS).exists()
    resumed = []
    job = prepare(file, None, tmp_path / "stopped")
    train(job, TrainingCallbacks(resumed=lambda iteration, only_step: resumed.append((iteration, only_step))))
    assert resumed == [(6, 3), (3, 2)] if recipe is SEPARATE else [(3, None)]
    assert weights(tmp_path / "stopped") == weights(tmp_path / "whole")
    both = [checkpoint.load(tmp_path / name) for name in ("stopped", "whole")]
    assert both[0].sha256 == both[1].sha256
    if recipe is BOUND:
        assert both[0].schedule.slope != MODEL["schedule"]["slope"]


@pytest.mark.proof
@pytest.mark.slow
def test_killed_command_resumes_to_the_same_weights(write, tmp_path):
    n, environment = 400, {**os.environ, "OMP_NUM_THREADS": "1"}
    file = write(recipe={**RECIPE, "n_iterations": n}, output={"report_every": 50, "checkpoint_every": 10})

    def command(out):
        return [sys.executable, "-m", "uqdm.cli.main", "train", str(file), "--out", str(tmp_path / out)]

    killed = subprocess.Popen(command("killed"), env=environment, stderr=subprocess.DEVNULL)
    state_file = tmp_path / "killed" / CHECKPOINT
    while not state_file.exists():
        assert killed.poll() is None, "it ended before its first checkpoint"
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert 10 <= state.read_state(state_file)["iteration"] < n
    subprocess.run(command("killed"), env=environment, check=True, capture_output=True)
    train_by_file(file, tmp_path / "whole")
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    iterations = [int(row["iteration"]) for row in rows_of(tmp_path / "killed" / "log.csv")]
    assert iterations == list(range(50, n + 1, 50))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.proof)])
def test_a_signal_keeps_every_iteration_and_says_how_to_go_on(write, tmp_path, number):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    n = 400
    file = write(recipe={**RECIPE, "n_iterations": n}, output={"report_every": 10, "checkpoint_every": 1000})
    out = tmp_path / "stopped"
    command = [sys.executable, "-m", "uqdm.cli.main", "train", str(file), "--out", str(out), "--workers=1"]
    stopped = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    while not stopped.stderr.readline().startswith("10/"):
        assert stopped.poll() is None, "it ended too early"
    stopped.send_signal(number)
    said = stopped.communicate(timeout=60)[1].splitlines()
    assert stopped.returncode == 128 + number
    done = state.read_state(out / CHECKPOINT)["iteration"]
    assert 10 <= done < n
    by = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
    kept = f"{done} of {n} iterations are kept in {out}; run the same command again to continue"
    assert said[-1] == f"stopped by {by}: {kept}"
    assert not any("Traceback" in line for line in said)
    subprocess.run(command, env=environment, check=True, capture_output=True)
    train_by_file(file, tmp_path / "whole")
    assert weights(out) == weights(tmp_path / "whole")


def test_checkpoint_of_another_configuration_is_refused(write, tmp_path):
    out = tmp_path / "out"
    train_by_file(write(), out)
    (out / checkpoint.WEIGHTS).unlink()
    with pytest.raises(TrainingError, match=r"another configuration \(recipe changed\)"):
        train_by_file(write(recipe={**RECIPE, "n_iterations": 13}), out)
    (out / CHECKPOINT).write_bytes(b"junk")
    with pytest.raises(TrainingError, match="not a checkpoint"):
        train_by_file(write(), out)


def test_training_starts_from_another_model(write, tmp_path):
    train_by_file(write(recipe=BOUND), tmp_path / "first")
    recipe = {**BOUND, "n_iterations": 1, "learning_rate": 1e-9}
    file = write(
        model=None, image_size=None, init=str(tmp_path / "first"), recipe=recipe, output={"weights": "float32"}
    )
    train_by_file(file, tmp_path / "second")
    first, second = (checkpoint.load(tmp_path / name) for name in ("first", "second"))
    assert second.schedule.slope == pytest.approx(first.schedule.slope, rel=1e-8)
    for key, value in first.denoiser.state_dict().items():
        assert torch.allclose(second.denoiser.state_dict()[key], value, atol=1e-6)


def test_points_are_trained_and_validated_in_a_gaussian_process(write, tmp_path):
    recipe = {**BOUND, "objective": "random_step", "crop_size": 1, "batch_size": 64, "learning_rate": 0.01}
    validation = {"source": "swirl", "n": 100, "coded": 0, "every": 12}
    file = write(model=SWIRL, image_size=1, data={"source": "swirl"}, recipe=recipe, validation=validation)
    train_by_file(file, tmp_path / "swirl")
    rows = rows_of(tmp_path / "swirl" / "validation.csv")
    assert float(rows[-1]["ideal_bpp"]) < float(rows[0]["ideal_bpp"])
    model = checkpoint.load(tmp_path / "swirl")
    assert model.process == "gaussian"
    assert model.image_size == 1


def test_divergence_ends_the_command_with_a_reason(write, tmp_path):
    file = write(recipe={**RECIPE, "learning_rate": 1000.0})
    done = CliRunner().invoke(app, ["train", str(file), "--out", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert str(done.exception).startswith("iteration ")
    assert "lower the learning rate" in str(done.exception)


def test_too_few_validation_images_are_refused_before_training(write, tmp_path):
    file = write(validation={"source": f"npz:{tmp_path}/tiles.npz", "n": 9, "coded": 0})
    with pytest.raises(TrainingConfigError, match="8 images, not 9"):
        train_by_file(file, tmp_path / "out")


@pytest.mark.cluster
@pytest.mark.proof
def test_two_workers_give_the_loss_curve_of_one(write, tmp_path):
    """Steps that are trained separately have the same weights for any number of processes."""
    from uqdm.bench.execute.ray_session import ray_session

    def curve(job, n_workers):
        seen = []
        train(job, TrainingCallbacks(progress=seen.append), n_workers)
        return [(progress.iteration, progress.total_bpp, progress.grad_norm) for progress in seen]

    with ray_session(2):
        file = write()
        one, two = (curve(prepare(file, None, tmp_path / f"by{n}"), n) for n in (1, 2))
        assert len(one) == 3
        # The same samples and noise: only the order of sums differs.
        assert np.array(two) == pytest.approx(np.array(one), rel=1e-3)
        with pytest.raises(TrainingError, match="3 workers cannot share batches of 4"):
            train(prepare(file, None, tmp_path / "by3"), TrainingCallbacks(), 3)
        file = write(recipe=SEPARATE)
        for n in (1, 2):
            curve(prepare(file, None, tmp_path / f"apart{n}"), n)
        assert weights(tmp_path / "apart1") == weights(tmp_path / "apart2")


def test_cause_unwraps_errors_of_ray():
    from ray.exceptions import RayTaskError
    from ray.train import WorkerGroupError

    reason = TrainingError("iteration 3: the rate is nan")
    of_a_task = RayTaskError("train_step", "traceback", reason).as_instanceof_cause()
    assert cause(of_a_task) is reason
    assert cause(WorkerGroupError("workers failed", {0: reason})) is reason
    assert cause(reason) is reason

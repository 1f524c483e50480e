"""Faults on a real cluster of several nodes: after each, the rows are those of an undisturbed run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from drivers import Driver, NodesOfThisMachine, assert_same, rows, stored, workers
from PIL import Image
from toy_codecs import BROKEN, CRASH, HANG, RAISE

from uqdm.bench.datasets import open_dataset

pytestmark = pytest.mark.cluster

CODECS = ("toy-slow", "jpeg:quality=90")
N_SHARDS = 2 * 8


@pytest.fixture(scope="module")
def cluster(toys: Path) -> Iterator[object]:
    """A head without cores and two nodes of one each; tests add others."""
    noticed_soon = {
        "health_check_period_ms": 1000,
        "health_check_failure_threshold": 3,
    }  # detects a lost node; the default takes half a minute
    made = NodesOfThisMachine(initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": noticed_soon})
    try:
        for _ in range(2):
            made.add_node(num_cpus=1)
        yield made
    finally:
        made.shutdown()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 32 photographs."""
    folder = tmp_path_factory.mktemp("photographs")
    dataset = open_dataset("demo", limit=32)
    for index in range(len(dataset)):
        Image.fromarray(dataset.load(index)).save(folder / f"{index:03}.png")
    return folder


@pytest.fixture(scope="module")
def undisturbed(cluster: object, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that all other runs must equal."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    driver = drive(cluster, folder, images)
    assert "0 failed" in driver.finish()
    assert len(stored(folder)) == N_SHARDS
    return folder


def drive(cluster: object, run_dir: Path, images: Path, *options: str, codecs: tuple[str, ...] = CODECS) -> Driver:
    return Driver(run_dir, codecs, f"folder:{images}", cluster.address, options)


def assert_undisturbed(run_dir: Path, undisturbed: Path) -> None:
    for codec in ("toy-slow", "jpeg"):
        assert_same(run_dir, undisturbed, codec)


def test_a_killed_worker_does_not_change_the_rows(
    cluster: object, images: Path, undisturbed: Path, tmp_path: Path
) -> None:
    driver = drive(cluster, tmp_path, images)
    driver.wait_for_shards(2)
    victim = workers()[0]
    victim.kill()
    printed = driver.finish()
    assert "WORKER LOST" in printed
    assert driver.process.returncode == 0
    assert_undisturbed(tmp_path, undisturbed)


def test_a_lost_node_does_not_change_the_rows(cluster: object, images: Path, undisturbed: Path, tmp_path: Path) -> None:
    lost = cluster.add_node(num_cpus=1)
    driver = drive(cluster, tmp_path, images)
    driver.wait_until(lambda: len(workers()) == 3)
    driver.wait_for_shards(2)
    cluster.remove_node(lost, allow_graceful=False)
    printed = driver.finish()
    assert "WORKER LOST" in printed
    assert driver.process.returncode == 0
    assert_undisturbed(tmp_path, undisturbed)


@pytest.mark.proof
def test_after_a_killed_driver_the_same_command_measures_the_missing_shards(
    cluster: object, images: Path, undisturbed: Path, tmp_path: Path
) -> None:
    driver = drive(cluster, tmp_path, images)
    driver.wait_for_shards(5)
    driver.kill()
    kept = stored(tmp_path)
    assert 5 <= len(kept) < N_SHARDS
    again = drive(cluster, tmp_path, images)
    printed = again.finish()
    assert f"{4 * len(kept)} of 64 images x settings are done already" in printed
    assert {name: time for name, time in stored(tmp_path).items() if name in kept} == kept
    assert_undisturbed(tmp_path, undisturbed)


def test_a_codec_that_does_not_load_on_one_node_is_measured_on_the_others(
    cluster: object, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv(BROKEN, "1")
        broken = cluster.add_node(num_cpus=1)
    try:
        driver = drive(cluster, tmp_path, images, codecs=("toy-picky",))
        printed = driver.finish()
    finally:
        cluster.remove_node(broken)
    assert "NOT LOADED" in printed
    assert "the model does not load here" in printed
    assert "toy-picky: 32 ok, 0 failed" in printed


@pytest.mark.proof
def test_a_codec_that_loads_on_no_node_fails_without_affecting_others(
    images: Path, tmp_path: Path, toys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv(BROKEN, "1")
        cluster = NodesOfThisMachine(initialize_head=True, head_node_args={"num_cpus": 2})
    try:
        printed = drive(cluster, tmp_path, images, codecs=("toy-picky", "png")).finish()
    finally:
        cluster.shutdown()
    assert "toy-picky: 0 ok, 32 FAILED" in printed
    assert "png: 32 ok, 0 failed" in printed
    assert printed.count("NOT LOADED") <= 12  # three tries of the jobs in two workers, and no further tries
    assert set(rows(tmp_path, "toy-picky")["error"]) == {"RuntimeError: the model does not load here"}


@pytest.mark.proof
def test_an_image_that_hangs_crashes_or_raises_affects_no_other(cluster: object, images: Path, tmp_path: Path) -> None:
    dataset = open_dataset(f"folder:{images}", limit=12)
    pixels = np.stack([dataset.load(index) for index in range(12)])
    pixels[:, 0, 0, 0] = 0
    for index, mark in {1: HANG, 5: CRASH, 10: RAISE}.items():
        pixels[index, 0, 0, 0] = mark
    np.savez(tmp_path / "marked.npz", images=pixels)
    run_dir, plain_dir = tmp_path / "run", tmp_path / "plain"
    options = ("--time-limit=4", "--metric=psnr_db")  # a busy machine takes seconds for all metrics of a first image
    driver = Driver(run_dir, ["toy-perilous"], f"npz:{tmp_path / 'marked.npz'}", cluster.address, options)
    printed = driver.finish()
    assert "toy-perilous: 9 ok, 3 FAILED" in printed
    assert "TIME LIMIT" in printed
    found = rows(run_dir, "toy-perilous").set_index("image_index")
    errors = found["error"].dropna()
    assert errors.index.tolist() == [1, 5, 10]
    assert "took more than the time limit of 4 s" in errors[1]
    assert "worker lost 3 times on this image" in errors[5]
    assert errors[10] == "encode: RuntimeError: cannot encode this"
    # The nine other images have the rows of a run without faults.
    Driver(plain_dir, ["toy-raw:drop=0"], f"npz:{tmp_path / 'marked.npz'}", cluster.address).finish()
    plain = rows(plain_dir, "toy-raw").set_index("image_index").drop(index=errors.index)
    found = found.astype({"file_bits": float})  # a column with nulls has floats
    plain = plain.astype({"file_bits": float})
    alike = ["image_id", "file_bits", "bpp", "picture_sha256", "status", "height", "width"]
    assert found.drop(index=errors.index)[alike].equals(plain[alike])
    assert not workers()  # the process that hung was killed


@pytest.mark.proof
def test_an_image_that_becomes_unreadable_is_a_failed_row(
    cluster: object, images: Path, undisturbed: Path, tmp_path: Path
) -> None:
    photographs = tmp_path / "photographs"
    shutil.copytree(images, photographs)
    small = "--shard-size=2"  # so that the last images are not read ahead at once
    driver = drive(cluster, tmp_path / "run", photographs, small)
    driver.wait_for_shards(1)
    (photographs / "029.png").write_bytes(b"no longer an image")
    printed = driver.finish()
    assert "toy-slow: 31 ok, 1 FAILED" in printed
    found = rows(tmp_path / "run", "toy-slow").set_index("image_id")
    assert found["status"].value_counts().to_dict() == {"ok": 31, "failed": 1}
    assert found.loc["029.png", "error"].startswith("cannot be read: DataSetError: 029.png: ")
    shutil.copy(images / "029.png", photographs)
    assert "0 failed" in drive(cluster, tmp_path / "run", photographs, small, "--retry-failed").finish()
    for codec in ("toy-slow", "jpeg"):
        expected = rows(undisturbed, codec).assign(dataset="photographs")
        again = rows(tmp_path / "run", codec).assign(dataset="photographs")
        assert again.equals(expected)


def test_a_full_disk_stops_the_run_with_a_clear_message_and_keeps_finished_shards(
    cluster: object, images: Path, undisturbed: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount(disk, "-t", "tmpfs", "-o", "size=192k", "none")
    try:
        driver = drive(cluster, disk / "run", images)
        printed = driver.finish()
        assert driver.process.returncode == 1
        message = printed.splitlines()[-1]
        assert "No space left on device" in message
        assert str(disk / "run") in message
        assert "run again" in message
        kept = stored(disk / "run")
        assert 0 < len(kept) < N_SHARDS
        mount(disk, "-o", "remount,size=64m", "none")
        drive(cluster, disk / "run", images).finish()
        assert {name: time for name, time in stored(disk / "run").items() if name in kept} == kept
        assert_undisturbed(disk / "run", undisturbed)
    finally:
        subprocess.run(["umount", disk], check=True)


def mount(folder: Path, *options: str) -> None:
    made = subprocess.run(["mount", *options, folder], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"needs permission to mount a small disk: {made.stderr.strip()}")


@pytest.mark.proof
def test_classic_codecs_never_hold_a_gpu_and_models_share_one(images: Path, tmp_path: Path, toys: Path) -> None:
    # The GPU exists only in Ray's bookkeeping: the test checks which workers get a part of it.
    cluster = NodesOfThisMachine(initialize_head=True, head_node_args={"num_cpus": 3, "num_gpus": 1})
    try:
        driver = drive(cluster, tmp_path, images, "--gpus-per-actor=0.5", codecs=("toy-on-gpu", "toy-beside-gpu"))
        driver.wait_until(lambda: len(workers()) == 2)
        printed = driver.finish()
    finally:
        cluster.shutdown()
    assert driver.process.returncode == 0, printed
    assert set(rows(tmp_path, "toy-on-gpu")["device"]) == {"cuda:0"}
    assert set(rows(tmp_path, "toy-beside-gpu")["device"]) == {"cpu"}


@pytest.mark.proof
def test_a_terminated_driver_leaves_finished_shards_and_no_process(images: Path, tmp_path: Path, toys: Path) -> None:
    driver = Driver(tmp_path, CODECS, f"folder:{images}", None, ("--cpus=2",))
    driver.wait_for_shards(2)
    os.kill(driver.process.pid, signal.SIGTERM)
    driver.finish(30)
    assert driver.process.returncode != 0
    assert not workers()
    assert stored(tmp_path)
    assert not (tmp_path / "evaluation.json").exists()

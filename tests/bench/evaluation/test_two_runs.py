"""Guards a run's folder against two writers: real processes, started by hand and by Snakemake."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml

from uqdm.bench.progress.lock import holder
from uqdm.bench.progress.status import run_status

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[3]
N_IMAGES = 40  # of 0.1 s each, on one core


@pytest.fixture
def environment(toys: Path) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}


def evaluate_command(run_dir: Path, *options: str) -> list[str]:
    command = [
        sys.executable,
        "-m",
        "uqdm.cli.main",
        "bench",
        "evaluate",
        "--out",
        str(run_dir),
        "--dataset",
        "demo",
        "--no-score",
    ]
    return [*command, f"--limit={N_IMAGES}", "--shard-size=2", "--cpus=1", "--codec=toy-slow", *options]


def until(condition: Callable[[], object], process: subprocess.Popen[str], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def shards(run_dir: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (run_dir / "shards").rglob("[!.]*.parquet")}


def check_rows(run_dir: Path) -> None:
    rows = pd.read_parquet(run_dir / "per_image")
    assert (rows["status"] == "ok").all()
    assert sorted(rows["image_index"]) == list(range(N_IMAGES))


@pytest.fixture
def first(tmp_path: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A running evaluation into ``tmp_path/run``."""
    log = tmp_path / "run.log"
    process = subprocess.Popen(
        evaluate_command(tmp_path / "run", f"--log={log}"), stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        until(lambda: shards(tmp_path / "run"), process)
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_second_run_in_the_same_folder_is_refused_or_waits(
    first: subprocess.Popen[str], tmp_path: Path, environment: dict[str, str]
) -> None:
    run_dir = tmp_path / "run"
    waiting = subprocess.Popen(evaluate_command(run_dir, "--wait"), stderr=subprocess.PIPE, text=True, env=environment)
    refused = subprocess.run(
        evaluate_command(run_dir, f"--log={tmp_path / 'run.log'}"), capture_output=True, text=True, env=environment
    )
    assert first.poll() is None, "the first run ended before the second started"
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert line.startswith(f"error: {run_dir}: in use by process {first.pid} on ")
    assert "(evaluate demo)" in line
    told = first.communicate(timeout=120)[1]
    assert first.returncode == 0
    assert (tmp_path / "run.log").read_text() == told  # the second run did not change the log of the first
    done = shards(run_dir)
    _, told = waiting.communicate(timeout=120)
    assert waiting.returncode == 0
    assert told.count(f"waiting for process {first.pid}") == 1
    assert f"{N_IMAGES} of {N_IMAGES} images x settings are done already" in told
    assert shards(run_dir) == done
    check_rows(run_dir)
    seen = run_status(run_dir)
    assert (seen.state, seen.content["pid"], seen.content["found"]) == ("finished", waiting.pid, N_IMAGES)
    assert seen.content["messages"][-1].startswith(f"evaluated: {N_IMAGES} images x settings ok, 0 failed")


@pytest.mark.proof
@pytest.mark.workflow
def test_snakemake_waits_for_the_evaluation_that_a_killed_snakemake_left_behind(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    run = {"dataset": "demo", "limit": N_IMAGES, "codecs": {"toy-slow": None}}
    config = {"evaluate": {"shard_size": 2}, "runs": {"small": run}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    run_dir = tmp_path / "results" / "small"
    command = [sys.executable, "-m", "snakemake", "results/small/evaluation.json", "--cores", "1"]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(tmp_path)]
    command += ["--configfile", str(tmp_path / "config.yaml")]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True, env=environment)
    try:
        until(lambda: shards(run_dir), killed)
    finally:
        killed.kill()
        killed.wait()
    orphan = holder(run_dir)
    assert orphan is not None
    before = shards(run_dir)
    assert len(before) < N_IMAGES // 2
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert f"waiting for process {orphan.pid}" in done.stderr
    assert before.items() <= shards(run_dir).items()
    assert f"{N_IMAGES} of {N_IMAGES} images x settings are done already" in done.stderr
    check_rows(run_dir)

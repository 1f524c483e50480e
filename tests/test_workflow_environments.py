"""Guards the workflow with codecs in environments of their own: these are made once, before codecs start."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from test_workflow import snakemake

from uqdm.environments import MadeEnvironment, environment
from uqdm.environments.storage import VARIABLE

pytestmark = pytest.mark.workflow

HOST = """
import zlib
import numpy as np
from uqdm_codec_host import serve

def encode(image):
    return np.array(image.shape[:2], "<u4").tobytes() + zlib.compress(image.tobytes())

def decode(stream):
    height, width = np.frombuffer(stream[:8], "<u4")
    return np.frombuffer(zlib.decompress(stream[8:]), np.uint8).reshape(height, width, 3)

serve(encode, decode, name="zlib", version="1", packages=["numpy"])
"""
EVALUATION = "results/small/evaluation.json"


def configure(folder: Path, codec: dict[str, Any]) -> None:
    """Two runs with one codec in an environment."""
    run = {"dataset": "demo", "limit": 1, "codecs": {"png": None, "remote": {"command": "python ./host.py", **codec}}}
    config = {"score": {"metrics": ["psnr_db"]}, "runs": {"small": run, "more": {**run, "limit": 2}}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "host.py").write_text(HOST)


def planned(folder: Path, *targets: str) -> str:
    done = snakemake(folder, *targets, "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def printed(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def made(lock: Path) -> MadeEnvironment:
    found = environment(str(lock))
    assert isinstance(found, MadeEnvironment)
    return found


@pytest.fixture(autouse=True)
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stored"))
    monkeypatch.setenv("UQDM_CACHE", str(tmp_path / "cache"))


def test_an_environment_is_made_and_evaluation_waits_for_it(wheels: Path, tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(f"--find-links {wheels}\nnumpy=={np.__version__}\n")
    configure(tmp_path, {"environment": "lock.txt"})
    codec = made(lock)
    name = codec.short_name
    said = printed(snakemake(tmp_path, EVALUATION))
    assert said.count(f"rule make_environment: {name} (log: results/environments/logs/{name}.log)") == 1
    rows = pd.read_parquet(tmp_path / "results" / "small" / "per_image" / "remote.parquet")
    assert rows.status.tolist() == ["ok"]
    assert rows.codec_version.str.contains(codec.identity, regex=False).all()
    (noted,) = json.loads((tmp_path / "results" / "environments" / f"{name}.json").read_text())["environments"]
    assert noted["folder"] == str(codec.folder)
    assert f"numpy=={np.__version__}" in noted["packages"]
    assert (tmp_path / "results" / "environments" / "benchmarks" / f"{name}.tsv").is_file()
    assert "Nothing to be done" in planned(tmp_path, EVALUATION)
    lock.write_text(lock.read_text() + "idna==3.7\n")
    changed = planned(tmp_path, EVALUATION)
    assert [changed.count(f"rule {rule}:") for rule in ("make_environment", "evaluate")] == [1, 1]
    assert f"results/environments/{made(lock).short_name}.json" in changed


@pytest.mark.proof
def test_changes_are_followed_once_and_then_nothing_is_left_to_do(wheels: Path, tmp_path: Path) -> None:
    """Of the script, of the lock, and an environment that is removed."""
    lock = tmp_path / "lock.txt"
    lock.write_text(f"--find-links {wheels}\nnumpy=={np.__version__}\n")
    configure(tmp_path, {"environment": "lock.txt"})
    printed(snakemake(tmp_path, EVALUATION))
    before = made(lock).identity

    (tmp_path / "host.py").write_text(HOST.replace('version="1"', 'version="2"'))
    said = planned(tmp_path, EVALUATION)
    assert "rule evaluate:" in said
    assert "make_environment" not in said
    (tmp_path / "host.py").write_text(HOST)

    lock.write_text(lock.read_text() + "idna==3.7\n")
    said = printed(snakemake(tmp_path, EVALUATION))
    assert "1 of 2 images x settings are done already" in said
    rows = pd.read_parquet(tmp_path / "results" / "small" / "per_image" / "remote.parquet")
    assert rows.codec_version.str.contains(made(lock).identity, regex=False).all()
    assert not rows.codec_version.str.contains(before, regex=False).any()
    assert "Nothing to be done" in planned(tmp_path, EVALUATION)

    shutil.rmtree(made(lock).folder)
    said = printed(snakemake(tmp_path, EVALUATION))
    assert "rule make_environment: " in said
    assert "Nothing to be done" in planned(tmp_path, EVALUATION)


def test_every_rule_that_starts_codecs_waits_for_their_environments(tmp_path: Path) -> None:
    """In the plan of all products, of damaged files and of pictures at equal rates. It is made once for two runs."""
    (tmp_path / "lock.txt").write_text("numpy\n")
    configure(tmp_path, {"environment": "lock.txt"})
    note = f"results/environments/{made(tmp_path / 'lock.txt').short_name}.json"
    said = planned(tmp_path, "all", "robustness", "grid", "environments")
    inputs: dict[str, list[str]] = {}
    for block in said.split("\nrule ")[1:]:
        name, _, rest = block.partition(":")
        inputs.setdefault(name, []).append(rest.partition("input:")[2].partition("\n")[0])
    starting = {"evaluate", "score", "report", "measure_robustness", "pictures_at_equal_rates"}
    assert starting <= set(inputs)
    assert {name for name, found in inputs.items() if all(note in one for one in found)} == starting | {"environments"}
    assert len(inputs["make_environment"]) == 1


def test_commands_need_no_environment_made(tmp_path: Path) -> None:
    configure(tmp_path, {"environment": ["env A=1", ""]})
    said = planned(tmp_path, EVALUATION, "environments")
    assert "rule evaluate:" in said
    assert "make_environment" not in said


@pytest.mark.proof
def test_an_index_that_is_not_reached_is_told_with_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    lock = tmp_path / "lock.txt"
    lock.write_text("--index-url http://127.0.0.1:9/simple/\nidna==3.7\n")
    configure(tmp_path, {"environment": "lock.txt"})
    done = snakemake(tmp_path, EVALUATION)
    assert done.returncode == 1
    (failed,) = [line for line in done.stderr.splitlines() if "FAILED rule" in line]
    assert "FAILED rule make_environment: error: environment lock.txt: pip failed with status 1: ERROR: " in failed
    assert f"log: {tmp_path}/stored/{made(lock).folder.name}.log" in failed
    assert not (tmp_path / "results" / "small").exists()
    logged = (tmp_path / "results" / "environments" / "logs" / f"{made(lock).short_name}.log").read_text()
    assert "no index of packages was reached: check the network, the proxy and PIP_INDEX_URL" in logged


def test_a_lock_that_is_absent_is_reported_before_work_starts(tmp_path: Path) -> None:
    configure(tmp_path, {"environment": "lokc.txt"})
    done = snakemake(tmp_path, EVALUATION, "--dry-run")
    assert done.returncode == 1
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: configuration: runs: ")]
    assert f"environment {tmp_path}/lokc.txt: No such file or directory" in error

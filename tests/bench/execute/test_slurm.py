"""Guards Ray under SLURM: nodes found, started and ended. Replaced SLURM commands start real Ray nodes here."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
from deadline import no_hang
from small_run import evaluate_here

from uqdm.bench.datasets import open_dataset
from uqdm.bench.execute import slurm

SRUN = """#!/bin/sh
while :; do
  case $1 in
    --nodelist=*) SLURMD_NODENAME=${1#*=} ;;
    --*) ;;
    *) break ;;
  esac
  shift
done
export SLURMD_NODENAME SLURM_CPUS_ON_NODE=1
exec "$@"
"""
SCONTROL = """#!/bin/sh
case "$*" in
  "show hostnames toy[1-2]") echo toy1; echo toy2 ;;
  "show job 7 --oneliner") echo "JobId=7 JobName=toy MinCPUsNode=1 MinMemoryNode=1G Features=(null)" ;;
  *) exit 1 ;;
esac
"""
COMMANDS = {
    "squeue": "#!/bin/sh\necho 'toy[1-2]'\n",
    "scontrol": SCONTROL,
    "srun": SRUN,
}
# As SLURM sets it for a batch script on two nodes; the step options are those that must not reach the nodes' steps.
JOB = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "toy1", "SLURMD_NODENAME": "toy1", "SLURM_CPUS_ON_NODE": "1"}
EVALUATE = """
import io, json, os, sys
import ray
from pathlib import Path
from uqdm.bench.datasets import open_dataset
from uqdm.bench.evaluation.evaluate import evaluate
from uqdm.bench.evaluation.options import EvaluationOptions
from uqdm.bench.progress.progress import RunProgress
from uqdm.bench.execute.ray_session import ray_session
from uqdm.bench.run.codec_settings import parse_request, resolve

@ray.remote(num_cpus=1, scheduling_strategy="SPREAD")
def place(_):
    import time
    time.sleep(0.2)
    return os.environ["SLURMD_NODENAME"]

with ray_session() as resources:
    places = ray.get([place.remote(n) for n in range(8)])
    codecs = resolve([parse_request("jpeg:quality=50"), parse_request("png")])
    options = EvaluationOptions(shard_size=1, score=False)
    evaluate(open_dataset("demo", 6), codecs, Path(sys.argv[1]), options, RunProgress(io.StringIO()))
    stores = [int(node["Resources"]["object_store_memory"]) for node in ray.nodes()]
found = {"nodes": resources.nodes, "cpus": resources.cpus, "store": resources.object_store_bytes, "stores": stores}
print(json.dumps({**found, "places": sorted(set(places))}))
"""
HOLD = """
import time
from uqdm.bench.execute.ray_session import ray_session
with ray_session():
    print("ready", flush=True)
    time.sleep(120)
"""


def install(folder: Path, **scripts: str) -> dict[str, str]:
    """Writes replacements for commands into a folder; returns the environment of a batch script that finds them."""
    for name, script in (COMMANDS | scripts).items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    mine = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "SLURM"))}
    return {**mine, **JOB, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


def left_over(environment: dict[str, str], node: str = "") -> list[str]:
    """Commands of the processes with the token of ``environment``: those of its run, on one node or all."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            own = (process / "environ").read_bytes()
            if environment["RAY_AUTH_TOKEN"].encode() in own and f"SLURMD_NODENAME={node}".encode() in own:
                found.append((process / "cmdline").read_text()[:200])
        except OSError:  # it has ended
            continue
    return found


def wait_until_none_is_left(environment: dict[str, str], node: str = "") -> None:
    deadline = time.monotonic() + 30
    while left_over(environment, node) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left_over(environment, node) == []


@pytest.mark.proof
@pytest.mark.cluster
def test_an_evaluation_on_two_nodes_gives_the_rows_of_a_local_one(tmp_path: Path) -> None:
    environment = install(tmp_path)
    command = [sys.executable, "-c", EVALUATE, str(tmp_path / "run")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    store = int(0.3 * 2**30)  # a share of the job's memory, not of the machine's
    expected = {"nodes": 2, "cpus": 2, "places": ["toy1", "toy2"], "store": store, "stores": [store, store]}
    assert json.loads(done.stdout.splitlines()[-1]) == expected
    wait_until_none_is_left(environment)
    evaluate_here(tmp_path / "local", open_dataset("demo", 6), "jpeg:quality=50", "png")
    measured = ["encode_ms", "decode_ms", "peak_memory_bytes", "threads"]
    for codec in ("jpeg", "png"):
        here, there = (pd.read_parquet(tmp_path / run / "per_image" / f"{codec}.parquet") for run in ("local", "run"))
        assert len(there) == 6
        pd.testing.assert_frame_equal(there.drop(columns=measured), here.drop(columns=measured))


@pytest.mark.proof
@pytest.mark.cluster
def test_a_killed_command_leaves_no_process(tmp_path: Path) -> None:
    terminated, killed = install(tmp_path), install(tmp_path)  # with a token each
    commands = []
    for environment in (terminated, killed):
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        commands.append(subprocess.Popen([sys.executable, "-c", HOLD], env=environment, **streams))  # type: ignore
    for command, environment in zip(commands, (terminated, killed), strict=True):
        assert command.stdout.readline() == b"ready\n"
        assert sum("slurm_node" in found for found in left_over(environment, "toy2")) == 1
    for command, how in zip(commands, (signal.SIGTERM, signal.SIGKILL), strict=True):
        command.send_signal(how)
        command.wait()
        command.stdout.close()
    wait_until_none_is_left(terminated)
    wait_until_none_is_left(killed, "toy2")  # two agents of a head that was killed stay for a minute


@pytest.mark.cluster
def test_a_node_that_does_not_start_is_named_with_its_output(tmp_path: Path) -> None:
    environment = install(tmp_path, srun="#!/bin/sh\necho 'no such interpreter there' >&2\nexit 127\n")
    command = [sys.executable, "-c", HOLD]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "SLURM job 7: 1 of 1 Ray nodes ended: toy2: no such interpreter there" in done.stderr
    assert "UQDM_SLURM=off" in done.stderr
    wait_until_none_is_left(environment)


@pytest.mark.usefixtures("ray_on_two_cores")
def test_a_node_that_does_not_come_up_in_time_is_named_and_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", install(tmp_path, srun="#!/bin/sh\nexec cat\n")["PATH"])  # cat ends with its input
    allocation = slurm.Allocation("7", ("toy1", "toy2", "toy3"), "toy1")
    with (
        no_hang(),
        pytest.raises(ConnectionError, match=r"2 of 2 Ray nodes did not come up within 0.5 s: toy2: .*; toy3: "),
        slurm.joined(allocation, "127.0.0.1:1", limit_seconds=0.5),
    ):
        pass
    assert "cat" not in [process.name() for process in psutil.Process().children(recursive=True)]


def test_nodes_of_a_job_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in install(tmp_path).items():
        monkeypatch.setenv(name, value)
    assert slurm.find_allocation() == slurm.Allocation("7", ("toy1", "toy2"), "toy1")
    monkeypatch.delenv("SLURMD_NODENAME")  # a login node, in salloc: it is none of the nodes
    found = slurm.find_allocation()
    assert found is not None
    assert found.others == ("toy1", "toy2")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    with pytest.raises(ValueError, match="runs this command 2 times at once; run it once"):
        slurm.find_allocation()
    monkeypatch.setenv("UQDM_SLURM", "off")
    assert slurm.find_allocation() is None
    monkeypatch.setenv("UQDM_SLURM", "no")
    with pytest.raises(ValueError, match="UQDM_SLURM=no: set it to off"):
        slurm.find_allocation()


def test_a_job_of_one_node_and_no_job_stay_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = {"squeue": "#!/bin/sh\necho toy1\n", "scontrol": "#!/bin/sh\necho toy1\n"}
    for name, value in install(tmp_path, **one).items():
        monkeypatch.setenv(name, value)
    assert slurm.find_allocation() is None
    monkeypatch.delenv("SLURM_JOB_ID")
    assert slurm.find_allocation() is None


def test_cores_are_limited_to_those_that_slurm_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    from uqdm.machine import available_cores

    monkeypatch.delenv("SLURM_CPUS_ON_NODE", raising=False)
    bound = available_cores()
    for given, expected in (("1", 1), (str(bound + 1), bound), ("", bound)):
        monkeypatch.setenv("SLURM_CPUS_ON_NODE", given)
        assert available_cores() == expected

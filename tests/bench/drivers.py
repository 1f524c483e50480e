"""Evaluations in separate processes on a real cluster of several nodes, for tests that kill processes."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import psutil
from ray.cluster_utils import Cluster

from uqdm.bench.schema import MEASURED


class NodesOfThisMachine(Cluster):
    """A cluster at this machine's address, also if this process has its own Ray, which is at 127.0.0.1."""

    def add_node(self, wait: bool = True, **node_args: object) -> object:
        """Adds a node; the first is the head."""
        return super().add_node(wait, node_ip_address=_own_address(), **node_args)


@functools.cache
def _own_address() -> str:
    """The address of this machine that a process without Ray finds, as the evaluations do."""
    command = [sys.executable, "-c", "import ray; print(ray.util.get_node_ip_address())"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@dataclass
class Driver:
    """A `uqdm bench evaluate` in its own process group."""

    run_dir: Path
    codecs: Sequence[str]
    dataset: str
    address: str | None = None
    options: Sequence[str] = ()
    process: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        command = [sys.executable, "-m", "uqdm.cli.main", "bench", "evaluate", f"--out={self.run_dir}", "--no-score"]
        command += [f"--dataset={self.dataset}", "--shard-size=4", *self.options]
        command += [f"--codec={codec}" for codec in self.codecs]
        environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
        if self.address is not None:
            environment["RAY_ADDRESS"] = self.address
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self.process = subprocess.Popen(command, text=True, env=environment, start_new_session=True, **streams)

    def finish(self, timeout_s: float = 120) -> str:
        """Waits for the end, and returns the output."""
        try:
            return self.process.communicate(timeout=timeout_s)[0]
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """SIGKILL to the whole group: the driver, and a Ray that it started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def wait_for_shards(self, count: int) -> None:
        """Waits until ``count`` shards are stored; the evaluation must still run then."""
        self.wait_until(lambda: len(stored(self.run_dir)) >= count)

    def wait_until(self, holds: Callable[[], bool], timeout_s: float = 60) -> None:
        """Waits until ``holds`` returns True; fails if the evaluation ends first."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert self.process.poll() is None, f"the evaluation ended too early: {self.process.communicate()[0]}"
            assert time.monotonic() < deadline, "the condition was not met in time"
            time.sleep(0.05)


def stored(run_dir: Path) -> dict[str, int]:
    """Finished shards by name, with the time of writing of each."""
    return {path.name: path.stat().st_mtime_ns for path in (run_dir / "shards").glob("*/[!.]*.parquet")}


def workers() -> list[psutil.Process]:
    """The actors that run jobs now, of every Ray that this process or its drivers started."""
    return [process for process in psutil.Process().children(recursive=True) if _does_a_job(process)]


def _does_a_job(process: psutil.Process) -> bool:
    try:
        return process.cmdline()[:1] != [] and process.cmdline()[0].startswith("ray::ActorProcess.run")
    except psutil.Error:  # it has ended
        return False


def rows(run_dir: Path, codec: str) -> pd.DataFrame:
    """A codec's rows without measured times and memory."""
    return pd.read_parquet(run_dir / "per_image" / f"{codec}.parquet").drop(columns=[*MEASURED])


def streams(run_dir: Path, codec: str) -> dict[str, bytes]:
    """A codec's coded files, as they are stored, by setting and name of the image."""
    table = pd.concat(pd.read_parquet(path) for path in (run_dir / "streams" / codec).glob("*.parquet"))
    names = table["setting"] + " " + table["image_id"]
    assert not names.duplicated().any()
    return dict(zip(names, table["stream"], strict=True))


def assert_same(run_dir: Path, undisturbed: Path, codec: str) -> None:
    """Checks that rows and coded files are those of the other run, each once, and that no temporary files remain."""
    pd.testing.assert_frame_equal(rows(run_dir, codec), rows(undisturbed, codec))
    assert streams(run_dir, codec) == streams(undisturbed, codec)
    assert not [path for path in run_dir.rglob(".*") if path.name.startswith(".writing-")]

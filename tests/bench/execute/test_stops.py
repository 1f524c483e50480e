"""Guards Ctrl-C and SIGTERM of real evaluations: one line, the exit status, the state of the run, no process left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from drivers import Driver, stored

from uqdm.bench.progress.status import run_status

pytestmark = pytest.mark.cluster

SLOW = ("--cpus=1", "--shard-size=1", "--limit=48")
NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


@pytest.fixture(autouse=True)
def _interrupts_are_not_ignored() -> None:
    """A background job of a shell ignores SIGINT, and so would the processes that it starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def starts_ray(driver: Driver) -> bool:
    with contextlib.suppress(psutil.Error):
        return any("uqdm.bench.execute.ray_sentinel" in one.cmdline() for one in _tree(driver))
    return False


def _tree(driver: Driver) -> list[psutil.Process]:
    return psutil.Process(driver.process.pid).children(recursive=True)


@pytest.mark.parametrize(
    ("number", "after_s"),
    [
        (signal.SIGINT, 0.3),
        pytest.param(signal.SIGINT, 2.5, marks=pytest.mark.proof),
        (signal.SIGTERM, 1.0),
        pytest.param(signal.SIGTERM, 4.0, marks=pytest.mark.proof),
    ],
)
def test_a_signal_while_ray_starts_ends_the_run_with_one_line(
    number: signal.Signals, after_s: float, tmp_path: Path
) -> None:
    driver = Driver(tmp_path, ["png"], "demo", options=SLOW)
    driver.wait_until(lambda: starts_ray(driver))
    time.sleep(after_s)
    check_stop(driver, number)


@pytest.mark.parametrize("number", NAMES)
@pytest.mark.usefixtures("toys")
def test_a_signal_while_workers_run_keeps_finished_shards(number: signal.Signals, tmp_path: Path) -> None:
    driver = Driver(tmp_path, ["toy-slow"], "demo", options=SLOW)
    driver.wait_for_shards(2)
    check_stop(driver, number)
    status = run_status(tmp_path)
    assert status.content["done"] == len(stored(tmp_path)) >= 2


def test_rays_core_sets_no_signal_handler() -> None:
    """Its handler would print C++ stacks; it would be in place from Ray's connection on, until ours are set again."""
    code = """
import os, signal, time
from uqdm.bench.execute import ray_session
from uqdm.interrupts import interrupts_raised
ray_session.renew = lambda: None
with interrupts_raised(), ray_session.ray_session(1):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
"""
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGTERM, "")


def check_stop(driver: Driver, number: signal.Signals) -> None:
    """Sends a signal, and checks what the evaluation prints, its exit status, its state, and what is left of it."""
    tree = _tree(driver)
    driver.process.send_signal(number)
    printed = driver.finish(60).splitlines()
    assert driver.process.returncode == 128 + number, printed
    status = run_status(driver.run_dir)
    done = status.content["done"]
    kept = f"{done} of 48 images x settings are done and kept; run the same command again to continue"
    assert printed[-1] == f"stopped by {NAMES[number]}: {kept}"
    assert all(line.startswith("evaluate demo") for line in printed[:-1]), printed
    assert status.state == "stopped"
    assert status.reason == ("interrupted (Ctrl-C)" if number == signal.SIGINT else "ended by SIGTERM")
    assert not psutil.wait_procs(tree, timeout=10)[1]

"""Codecs in environments of their own on Ray: a host for each worker, a killed run, and the same rows again."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest
from drivers import Driver, assert_same, stored

pytestmark = pytest.mark.cluster

HOST = """
import time
import numpy as np
from uqdm_codec_host import Stream, serve

def encode(image):
    time.sleep(0.1)
    height, width, _ = image.shape
    return Stream(np.array([height, width], "<u4").tobytes() + (image >> 4).tobytes(), 12.0 * height * width)

def decode(stream):
    height, width = np.frombuffer(stream[:8], "<u4")
    return (np.frombuffer(stream[8:], np.uint8).reshape(height, width, 3) << 4) + 8

serve(encode, decode, name="four bits", version="1", batch_size=2)
"""


def hosts(script: Path) -> list[psutil.Process]:
    """The running processes that a script's command started."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(script) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_a_killed_run_leaves_no_host_and_gives_the_same_rows_again(tmp_path: Path) -> None:
    script = tmp_path / "host.py"
    script.write_text(HOST)
    codecs = [f"remote:command={sys.executable} {script}"]
    undisturbed = Driver(tmp_path / "undisturbed", codecs, "demo", options=["--limit=24", "--cpus=2"])
    seen: set[int] = set()

    def both_work() -> bool:
        seen.update(process.pid for process in hosts(script))
        return len(stored(undisturbed.run_dir)) >= 2

    undisturbed.wait_until(both_work, timeout_s=120)
    undisturbed.finish()
    assert undisturbed.process.returncode == 0
    assert len(seen) >= 2  # one in each worker, kept for all of its images

    run = Driver(tmp_path / "killed", codecs, "demo", options=["--limit=24", "--cpus=2"])
    run.wait_for_shards(1)
    run.kill()
    assert len(stored(run.run_dir)) < 6
    gone, alive = psutil.wait_procs(hosts(script), timeout=30)
    assert alive == [], gone
    again = Driver(run.run_dir, codecs, "demo", options=["--limit=24", "--cpus=2"])
    again.finish()
    assert again.process.returncode == 0
    assert_same(run.run_dir, undisturbed.run_dir, "remote")

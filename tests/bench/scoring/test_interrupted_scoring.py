"""Guards that a scoring that is killed, or stopped by Ctrl-C, keeps the features that it has computed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small_run import evaluate_here, score_here

from uqdm.bench.datasets import open_dataset
from uqdm.bench.scoring.extraction import PASSES_AT_ONCE
from uqdm.bench.scoring.options import ScoringOptions

pytestmark = pytest.mark.cluster

SCRIPT = """
import sys, time
from pathlib import Path
import numpy as np

class SlowMeans:
    sha256, resize, n_features, caution = "7" * 64, "none", 2048, None

    def __init__(self, log):
        self.log = log

    def features(self, images, batch):
        time.sleep(0.1 * len(images))
        found = np.zeros((len(images), 2048), np.float32)
        found[:, :3] = [image.mean((0, 1)) for image in images]
        with Path(self.log).open("a") as file:
            file.write(f"{len(images)}\\n")
        return found

if __name__ == "__main__":
    from uqdm.bench.scoring.feature_source import FeatureSource
    from uqdm.bench.scoring.options import ScoringOptions
    from uqdm.bench.scoring.run import score_run
    from uqdm.bench.scoring.selection import SetMetricBounds
    run_dir, log = sys.argv[1:]
    options = ScoringOptions(("mse", "psnr_db", "patch_fid"), cpus=1, set_metrics=SetMetricBounds(patches=None))
    score_run(Path(run_dir), options, features=FeatureSource(lambda name, weights: SlowMeans(log)))
"""
N_PASSES = 3 * (8 * 8 + 7 * 7)  # of a photo of 512x512 and two JPEGs of it


def photo() -> np.ndarray:
    demo = open_dataset("demo", limit=64)
    return np.vstack([np.hstack([demo.load(8 * row + column) for column in range(8)]) for row in range(8)])


def start(folder: Path, log: str) -> subprocess.Popen[str]:
    """Scores the run in ``folder`` in a process group of its own."""
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    command = [sys.executable, str(folder / "script.py"), str(folder / "run"), str(folder / log)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, text=True, env=environment, start_new_session=True, **streams)


def stored(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("features/*/*/[!.]*.npz")}


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(signal.SIGKILL, id="killed", marks=pytest.mark.proof),
        pytest.param(signal.SIGINT, id="interrupted", marks=pytest.mark.proof),
    ],
)
def test_a_stopped_scoring_keeps_its_features_and_the_next_computes_the_others(
    how: signal.Signals, tmp_path: Path
) -> None:
    np.savez(tmp_path / "photo.npz", photo()[None])
    dataset = open_dataset(f"npz:{tmp_path / 'photo.npz'}")
    evaluate_here(tmp_path / "run", dataset, "jpeg:quality=30", "jpeg:quality=80")
    score_here(tmp_path / "run", dataset, ScoringOptions(("mse", "psnr_db")))
    (tmp_path / "script.py").write_text(SCRIPT)
    process = start(tmp_path, "first")
    try:
        deadline = time.monotonic() + 240
        while len(stored(tmp_path)) < PASSES_AT_ONCE and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, how)
        process.communicate()
    before = stored(tmp_path)
    assert PASSES_AT_ONCE <= len(before) < N_PASSES, "the scoring was over before it was stopped"
    again = start(tmp_path, "second")
    said, _ = again.communicate()
    assert again.returncode == 0, said
    assert f"/{N_PASSES - len(before)} network passes" in said
    computed = sum(map(int, (tmp_path / "second").read_text().split()))
    assert computed == N_PASSES - len(before)
    sets = json.loads((tmp_path / "run" / "scores.json").read_text())["sets"]
    assert [row["patch_fid_n"] for row in sets if row["codec"] == "jpeg"] == [113, 113]

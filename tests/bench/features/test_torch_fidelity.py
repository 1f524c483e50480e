"""Guards FID and KID against torch-fidelity's own command, on two folders of PNG files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uqdm.bench.metrics.fid import fid
from uqdm.bench.metrics.kid import kid


def _folder(folder: Path, images: list[np.ndarray]) -> str:
    folder.mkdir()
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index:04d}.png")
    return str(folder)


@pytest.mark.proof
def test_the_command_gives_our_fid_and_kid(
    tmp_path: Path,
    torch_fidelity_weights: Path,
    originals_uint8: list[np.ndarray],
    jpegs_uint8: list[np.ndarray],
    originals_features: np.ndarray,
    jpegs_features: np.ndarray,
) -> None:
    folders = [_folder(tmp_path / "a", originals_uint8), _folder(tmp_path / "b", jpegs_uint8)]
    weights = ["--feature-extractor-weights-path", str(torch_fidelity_weights)]
    protocol = ["--cpu", "--fid", "--kid", "--kid-subset-size", str(len(originals_uint8) // 2), "--json", "--no-cache"]
    inputs = ["--input1", folders[0], "--input2", folders[1]]
    command = [sys.executable, "-m", "torch_fidelity.fidelity", *protocol, *weights, *inputs]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    theirs = json.loads(done.stdout)
    ours = {**fid(originals_features, jpegs_features), **kid(originals_features, jpegs_features)}
    assert ours["fid"] == pytest.approx(theirs["frechet_inception_distance"], abs=1e-3)
    assert ours["fid"] > 1  # so that the tolerance means something
    # its features and kernels are float32: 1e-6 of kernels of some 2
    assert ours["kid"] == pytest.approx(theirs["kernel_inception_distance_mean"], abs=5e-6)
    assert ours["kid_sd"] == pytest.approx(theirs["kernel_inception_distance_std"], abs=5e-6)

"""Whether bytes and pictures of CompressAI's networks depend on the other images of a batch.

    python benchmarks/compressai_batches.py [--images 64] [--batch 16] [MODEL ...]

Compresses tiles of the demo one by one and in batches, with random weights, and decodes the strings in both ways.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "recipes" / "compressai"
MODELS = ("bmshj2018-factorized", "bmshj2018-hyperprior", "mbt2018-mean")


def compare(path: str, model: str, batch: int) -> str:
    """A row of the table; runs in CompressAI's environment."""
    sys.path.insert(0, str(RECIPE))
    import host
    import torch

    host.use_exact_arithmetic(1)
    net, _ = host.load(host.read_options(["--model", model, "--random-weights", "1"]))
    images = torch.cat([host.pictures.to_tensor(image) for image in np.load(path)])
    with torch.inference_mode():
        alone = [net.compress(image[None]) for image in images]
        together = [net.compress(part) for part in images.split(batch)]
        one_by_one = [[string for (string,) in found["strings"]] for found in alone]
        in_batches = [list(strings) for found in together for strings in zip(*found["strings"], strict=True)]
        shape = alone[0]["shape"]
        pictures = torch.cat(
            [net.decompress([[string] for string in strings], shape)["x_hat"] for strings in one_by_one]
        )
        parts = [one_by_one[begin : begin + batch] for begin in range(0, len(images), batch)]
        other = torch.cat(
            [net.decompress([list(s) for s in zip(*part, strict=True)], shape)["x_hat"] for part in parts]
        )
    files = sum(one != two for one, two in zip(one_by_one, in_batches, strict=True))
    differ = pictures.mul(255).round() != other.mul(255).round()
    return f"| {model} | {files} of {len(images)} | {int(differ.flatten(1).any(1).sum())} of {len(images)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        for model in arguments.models:
            print(compare(arguments.inside, model, arguments.batch), flush=True)
        return
    from uqdm.bench.datasets import open_dataset
    from uqdm.environments import environment
    from uqdm_baselines.remote.session import HOST_FILE

    found = environment(str(RECIPE / "lock.txt"))
    found.make(print)
    dataset = open_dataset("demo", limit=arguments.images)
    print("| model | files that differ | pictures that differ |\n| --- | ---: | ---: |", flush=True)
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file.name, np.stack([dataset.load(index) for index in range(len(dataset))]))
        options = ["--inside", file.name, "--batch", str(arguments.batch)]
        command = found.command(["python", __file__, *arguments.models, *options])
        variables = {**found.variables(), "PYTHONPATH": str(HOST_FILE.parent)}
        subprocess.run(command, env=variables, check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()

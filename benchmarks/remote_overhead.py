"""What a call of the codec `remote` costs beside the time of the codec in its host.

    python benchmarks/remote_overhead.py [--rounds 20] [--batch 16] [--environment LOCK] [HOST OPTION ...]

By default mean-scale hyperpriors of CompressAI with random weights, 16 images of 64x64 a call. The host notes its own
time in each call (timed_host.py), so the overhead is a difference within one call, whatever else the machine does. In
turn with these calls, a second process of the same environment codes the same images without `remote`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from uqdm.bench.datasets import open_dataset
from uqdm.environments import environment
from uqdm_baselines.remote import Remote
from uqdm_baselines.remote.session import HOST_FILE

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "recipes" / "compressai" / "lock.txt"
HOST = (str(ROOT / "recipes" / "compressai" / "host.py"), "--model", "mbt2018-mean", "--random-weights", "1")
TIMED = str(ROOT / "benchmarks" / "timed_host.py")
LIMIT = 0.1  # overhead over the codec's own time


class BareProcess:
    """A process of the environment that codes images without `remote`."""

    def __init__(self, lock: str, images: Path, host: list[str]):
        found = environment(lock)
        variables = {**found.variables(), "PYTHONPATH": str(HOST_FILE.parent)}
        command = found.command([python_of(lock), TIMED, "bare", str(images), *host])
        self._process = subprocess.Popen(
            command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def seconds(self) -> list[float]:
        """Seconds to encode and to decode all images once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        found: list[float] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        """Ends it."""
        self._process.communicate()


def python_of(lock: str) -> str:
    """The Python of an environment; without one, the Python that runs."""
    return "python" if lock else sys.executable


def timed(call: Callable[..., Any], items: list[Any], noted: Path) -> tuple[Any, float, float]:
    """The result of a call of `remote`, its seconds, and those that the codec in the host took for it."""
    noted.write_text("")
    begun = time.perf_counter()
    found = call(items)
    seconds = time.perf_counter() - begun
    return found, seconds, sum(map(float, noted.read_text().split()))


def measure(lock: str, host: list[str], images: np.ndarray, rounds: int) -> dict[str, np.ndarray]:
    """Seconds [rounds, 3] by direction: of a call, of the codec in it, and of the codec without `remote`."""
    with tempfile.TemporaryDirectory() as folder:
        noted, stored = Path(folder) / "times", Path(folder) / "images.npy"
        np.save(stored, images)
        noted.touch()
        codec = Remote(command=" ".join([python_of(lock), TIMED, "serve", str(noted), *host]), environment=lock)
        bare = BareProcess(lock, stored, host)
        found: dict[str, list[tuple[float, float, float]]] = {"encode": [], "decode": []}
        for number in range(rounds + 1):
            streams, *encode_s = timed(codec.encode, list(images), noted)
            _, *decode_s = timed(codec.decode, streams, noted)
            bare_s = bare.seconds()
            if number:  # the first round loads and warms up
                found["encode"].append((encode_s[0], encode_s[1], bare_s[0]))
                found["decode"].append((decode_s[0], decode_s[1], bare_s[1]))
        bare.close()
        codec.session.close()
    return {direction: np.array(rows) for direction, rows in found.items()}


def row(direction: str, seconds: np.ndarray, batch: int) -> str:
    """A row of the table: medians over the rounds."""
    call, codec, bare = seconds.T
    share = (call - codec) / codec
    low, middle, high = np.percentile(share, [10, 50, 90])
    cells = [
        direction,
        f"{1e3 * np.median(codec) / batch:.1f}",
        f"{1e3 * np.median(call - codec):.2f}",
        f"{middle:.2%} ({low:.2%} to {high:.2%})",
        f"{np.median(call / bare):.3f}",
        "kept" if middle <= LIMIT else "NOT KEPT",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("host", nargs="*", help="script of a host and its options, after --")
    parser.add_argument("--environment", default=str(LOCK))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--batch", type=int, default=16)
    arguments = parser.parse_args()
    environment(arguments.environment).make(print)
    dataset = open_dataset("demo", limit=arguments.batch)
    images = np.stack([dataset.load(index) for index in range(len(dataset))])
    found = measure(arguments.environment, arguments.host or list(HOST), images, arguments.rounds)
    print("| | codec, ms an image | overhead, ms a call | overhead (10 % to 90 % of calls) | call over bare | limit |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for direction, seconds in found.items():
        print(row(direction, seconds, len(images)))
    sys.exit(0 if all(np.median(one[:, 0] / one[:, 1]) <= 1 + LIMIT for one in found.values()) else 1)


if __name__ == "__main__":
    main()

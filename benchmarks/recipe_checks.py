"""A recipe's host through the codec `remote`: bytes, times, and what it makes of files with a flipped bit.

    python benchmarks/recipe_checks.py --environment recipes/compressai/lock.txt \
        "python recipes/compressai/host.py --model mbt2018-mean --random-weights 1" [--images 64] [--flips 200]

Prints a row of a table for each command; all of one call run in turn, image by image, so that a busy machine treats
them alike.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uqdm.bench.datasets import open_dataset
from uqdm.codec import StreamError
from uqdm_baselines.remote import Remote


@dataclass
class Found:
    """Of one command: bytes and milliseconds of each image, and files with a flipped bit that were decoded."""

    n_bytes: list[int]
    encode_ms: list[float]
    decode_ms: list[float]
    decoded: int = 0

    def row(self, name: str, flips: int) -> str:
        """A row of the table."""
        encode, decode = np.median(self.encode_ms), np.median(self.decode_ms)
        return f"| {name} | {np.mean(self.n_bytes):.0f} | {encode:.1f} | {decode:.1f} | {self.decoded} of {flips} |"


def measure(codecs: Sequence[Remote], images: Sequence[np.ndarray], flips: int) -> list[Found]:
    """Codes every image by every codec, and decodes files of the first image with one bit flipped."""
    found = [Found([], [], []) for _ in codecs]
    for image in images:
        for codec, one in zip(codecs, found, strict=True):
            times = [time.perf_counter()]
            (stream,) = codec.encode([image])
            times.append(time.perf_counter())
            (decoded,) = codec.decode([stream])
            times.append(time.perf_counter())
            assert decoded.shape == image.shape
            encode_ms, decode_ms = 1e3 * np.diff(times)
            one.n_bytes.append(len(stream))
            one.encode_ms.append(encode_ms)
            one.decode_ms.append(decode_ms)
    for codec, one in zip(codecs, found, strict=True):
        one.decoded = sum(decodes(codec, stream) for stream in flipped(codec.encode(images[:1])[0], flips))
    return found


def flipped(stream: bytes, count: int) -> list[bytes]:
    """Copies of a stream, each with another bit flipped; the same ones in every run."""
    generator = np.random.default_rng(0)
    copies = []
    for bit in generator.choice(8 * len(stream), size=min(count, 8 * len(stream)), replace=False).tolist():
        copy = bytearray(stream)
        copy[bit // 8] ^= 1 << bit % 8
        copies.append(bytes(copy))
    return copies


def decodes(codec: Remote, stream: bytes) -> bool:
    try:
        codec.decode([stream])
    except StreamError:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("command", nargs="+", help="of a host, as the parameter of the codec")
    parser.add_argument("--environment", default="", help="as the parameter of the codec")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--flips", type=int, default=200)
    parser.add_argument("--timeout-s", type=float, default=60.0, help="limit of a call, seconds an image")
    arguments = parser.parse_args()
    dataset = open_dataset("demo", limit=arguments.images)
    images = [dataset.load(index) for index in range(len(dataset))]
    codecs = [
        Remote(command=command, environment=arguments.environment, timeout_s=arguments.timeout_s)
        for command in arguments.command
    ]
    for codec in codecs:
        print(codec.version)
    print("| host | bytes | encode, ms | decode, ms | flips decoded |\n| --- | ---: | ---: | ---: | ---: |")
    for codec, found in zip(codecs, measure(codecs, images, arguments.flips), strict=True):
        print(found.row(codec.values["command"].partition("host.py")[2].strip(), arguments.flips))


if __name__ == "__main__":
    main()

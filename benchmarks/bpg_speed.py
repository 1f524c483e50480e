"""Time of the built-in implementation of BPG for a picture of 64x64, at each setting of its sweep.

    python benchmarks/bpg_speed.py [--images 64]

Prints means over tiles of the data set demo, and exits 1 if one is over its limit. Run it on a machine at rest.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
from rich.console import Console
from rich.table import Table

from uqdm.bench.datasets import open_dataset
from uqdm.codec import Codec, codec_class, get_codec

ENCODE_LIMIT_MS, DECODE_LIMIT_MS = 30.0, 3.0


def mean_times_ms(codec: Codec, images: list[np.ndarray]) -> tuple[float, float]:
    """Milliseconds that ``codec`` takes to encode, and to decode, one of ``images``; the first is for warming up."""
    codec.decode(codec.encode(images[:1]))
    started = time.perf_counter()
    streams = codec.encode(images)
    between = time.perf_counter()
    codec.decode(streams)
    return 1e3 * (between - started) / len(images), 1e3 * (time.perf_counter() - between) / len(images)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=64)
    dataset = open_dataset("demo", limit=parser.parse_args().images)
    images = [dataset.load(index)[:64, :64] for index in range(len(dataset))]
    table = Table(
        "setting", "encode_ms", "decode_ms", title=f"{get_codec('bpg').version}; {len(images)} images of 64x64"
    )
    over = False
    for setting in codec_class("bpg").sweep:
        codec = get_codec("bpg", **setting)
        encode_ms, decode_ms = mean_times_ms(codec, images)
        over |= encode_ms > ENCODE_LIMIT_MS or decode_ms > DECODE_LIMIT_MS
        table.add_row(codec.setting, f"{encode_ms:.1f}", f"{decode_ms:.2f}")
    Console(width=130).print(table)
    print(f"limits: encode {ENCODE_LIMIT_MS} ms, decode {DECODE_LIMIT_MS} ms: {'EXCEEDED' if over else 'kept'}")
    return int(over)


if __name__ == "__main__":
    sys.exit(main())

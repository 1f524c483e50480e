"""The same images measured in other ways: rows and files must not differ. A part of scaling.py."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from many_images import tile_data_set
from survival import rows, streams

CODECS = {"jpeg:quality=75": 1000, "bpg:quality=30": 1000, "uqdm": 64}
"""What is measured, on how many images."""

WAYS = {
    "1 worker, shards of 500": ("--cpus=1", "--shard-size=500"),
    "8 workers, shards of 16": ("--cpus=8", "--shard-size=16"),
    "2 nodes, shards of 50": ("--shard-size=50",),
}
"""How, by options of `uqdm bench evaluate`; nodes are those of a Ray cluster on this machine."""


def measure_independence(folder: Path, source: str, codecs: dict[str, int] | None = None) -> list[dict[str, Any]]:
    """Rows and files of each codec, and how many of them differ between the first way and the others."""
    from ray.cluster_utils import Cluster

    codecs = codecs or CODECS
    dataset = tile_data_set(source, max(codecs.values()), folder / "independence.npz")
    found = []
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        for codec, count in codecs.items():
            name = codec.partition(":")[0]
            for way, options in WAYS.items():
                address = cluster.address if "nodes" in way else None
                evaluate(folder / way / name, dataset, count, codec, options, address)
            found.append({"codec": codec, "images": count, **differences([folder / way / name for way in WAYS], name)})
    finally:
        cluster.shutdown()
    return found


def evaluate(run_dir: Path, dataset: str, count: int, codec: str, options: Sequence[str], address: str | None) -> None:
    """One evaluation: on the cluster at ``address``, or here."""
    command = [sys.executable, "-m", "uqdm.cli.main", "bench", "evaluate", f"--out={run_dir}", f"--limit={count}"]
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    environment |= {} if address is None else {"RAY_ADDRESS": address}
    command += [f"--dataset={dataset}", f"--codec={codec}", *options]
    subprocess.run(command, check=True, env=environment, stderr=subprocess.DEVNULL)


def differences(run_dirs: Sequence[Path], codec: str) -> dict[str, int]:
    """Rows and files of the first run, and how many of them another run lacks or has with another content."""
    first, *others = run_dirs
    table, files = rows(first, codec), streams(first, codec)
    differing_rows = sum(_unequal(table, rows(other, codec)) for other in others)
    differing_files = sum(_unequal(files, streams(other, codec)) for other in others)
    counts = {"rows": len(table), "files": len(files)}
    return {**counts, "differing_rows": differing_rows, "differing_files": differing_files}


def _unequal(one: pd.DataFrame, other: pd.DataFrame) -> int:
    if one.shape != other.shape or [*one.columns] != [*other.columns]:
        return max(len(one), len(other))
    return int(((one != other) & ~(one.isna() & other.isna())).any(axis=1).sum())

"""Guards that rows and files depend only on images and codecs: not on workers, shards, or the nodes of Ray."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from uqdm.bench.datasets import open_dataset
from uqdm.bench.run.codec_settings import parse_request, resolve
from uqdm.bench.run.shards import split
from uqdm.bench.run.stage_options import KeepOptions

pytestmark = pytest.mark.cluster

N_IMAGES = 18  # more than a batch of the model, so that shards split batches, and the last one is partial
CODECS = ("jpeg:quality=50", "bpg:quality=30", "uqdm:reconstruct=denoise")

HOW_IT_WENT = ["encode_ms", "decode_ms", "peak_memory_bytes", "threads", "device"]

RUN = """
import io, os, sys
from pathlib import Path
from uqdm.bench.datasets import open_dataset
from uqdm.bench.evaluation.evaluate import evaluate
from uqdm.bench.evaluation.options import EvaluationOptions
from uqdm.bench.progress.progress import RunProgress
from uqdm.bench.run.codec_settings import parse_request, resolve

folder, limit, shard_size, cpus, nodes, *codecs = sys.argv[1:]
cluster = None
if int(nodes) > 1:
    from ray.cluster_utils import Cluster
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": int(cpus)})
    for _ in range(int(nodes) - 1):
        cluster.add_node(num_cpus=int(cpus))
    cluster.wait_for_nodes()
    os.environ["RAY_ADDRESS"] = cluster.address
options = EvaluationOptions(cpus=int(cpus), shard_size=int(shard_size), score=False)
wanted = resolve([parse_request(codec) for codec in codecs])
evaluate(open_dataset("demo", int(limit)), wanted, Path(folder), options, RunProgress(sys.stderr))
if cluster is not None:
    cluster.shutdown()
"""


def measured(folder: Path, *, shard_size: int, cpus: int, nodes: int = 1) -> Path:
    """A run in a separate process with its own Ray; ``cpus`` is the number per node."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    arguments = [str(folder), *map(str, (N_IMAGES, shard_size, cpus, nodes)), *CODECS]
    done = subprocess.run([sys.executable, "-c", RUN, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def rows_of(run_dir: Path) -> pd.DataFrame:
    rows = pd.concat([pd.read_parquet(path) for path in sorted((run_dir / "per_image").glob("*.parquet"))])
    assert (rows["status"] == "ok").all(), rows["error"].dropna().tolist()
    return rows.drop(columns=HOW_IT_WENT).reset_index(drop=True)


def files_of(run_dir: Path) -> dict[tuple[str, str, int], bytes]:
    streams = pd.concat([pd.read_parquet(path) for path in sorted((run_dir / "streams").rglob("*.parquet"))])
    key = zip(streams["codec"], streams["setting"], streams["image_index"], strict=True)
    return dict(zip(key, streams["stream"], strict=True))


@pytest.fixture(scope="module")
def one_worker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return measured(tmp_path_factory.mktemp("one") / "run", shard_size=500, cpus=1)


@pytest.mark.parametrize(
    ("shard_size", "cpus", "nodes"),
    [
        pytest.param(16, 3, 1, id="3 workers, shards of 16", marks=pytest.mark.proof),
        pytest.param(7, 1, 2, id="2 nodes, shards of 7", marks=pytest.mark.proof),
    ],
)
def test_rows_and_files_are_those_of_one_worker_with_everything_in_a_shard(
    shard_size: int, cpus: int, nodes: int, one_worker: Path, tmp_path: Path
) -> None:
    other = measured(tmp_path, shard_size=shard_size, cpus=cpus, nodes=nodes)
    expected, found = files_of(one_worker), files_of(other)
    assert len(expected) == N_IMAGES * len(CODECS)
    assert [key for key in expected if expected[key] != found.get(key)] == []
    assert len(found) == len(expected)
    pd.testing.assert_frame_equal(rows_of(other), rows_of(one_worker), check_exact=True)
    named = {path.stem for path in (other / "shards").rglob("*.parquet")}
    assert named == shard_names(shard_size)


def shard_names(shard_size: int) -> set[str]:
    """The names of all shards, computed in this process."""
    dataset = open_dataset("demo", N_IMAGES)
    codec_settings = [one for found in resolve([parse_request(codec) for codec in CODECS]).values() for one in found]
    return {shard.key for one in codec_settings for shard in split(dataset, one, shard_size, KeepOptions())}

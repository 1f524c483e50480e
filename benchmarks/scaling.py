"""How an evaluation scales: with workers, with the size of the data set, and, by a fitted model, beyond this machine.

    python benchmarks/scaling.py [--source SPEC] [--seconds 60] [--sizes 1000 10000 100000] [--json FILE]

Four parts, each of real `uqdm bench evaluate` commands on images repeated by flips and shifts (see many_images.py):

workers  images/s with 1 and with 2 workers, in turn, on as many images as 2 workers code in ``--seconds``; also with 1
         and 2 plain processes that only code, which shows what the machine itself loses with both cores busy.
         Work phase (wall x cores) against the codecs' own time; the fixed cost separately.
memory   high-water marks of the command and of its workers, for data sets of ``--sizes`` images.
same     rows and coded files of 1 or 8 workers, 2 nodes, shards of 16 to 500: how many differ, times and memory aside.
model    CPU time of the command for shards and images, fitted over runs with small and large shards; from it, at which
         rate of images the command is the limit, and what 64 GPUs and 1,281,167 images would need.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from independence import WAYS, measure_independence
from many_images import tile_data_set
from overhead import codec_seconds
from rich.console import Console
from rich.table import Table

from uqdm.bench.datasets import open_dataset
from uqdm.codec import get_codec

PARTS = ["workers", "memory", "same", "model"]
EFFICIENCY_LIMIT = 0.9  # of two workers, against what the machine gives two processes that only code
WORK_LIMIT = 1.15  # work phase (wall x cores) over the codecs' own time
GROWTH_LIMIT = 1.1  # of memory over the last tenfold growth of the data set; buffers of fixed size fill before
IMAGENET_IMAGES = 1_281_167  # training images of ILSVRC 2012 (https://www.image-net.org/challenges/LSVRC/2012/)


@dataclass(frozen=True)
class Measured:
    """One evaluation: seconds of its phases and of its command's CPU time, its shards, and peak memory in MiB."""

    workers: int
    images: int
    shards: int
    codec_s: float
    plan_s: float
    ray_s: float
    work_s: float
    command_cpu_s: float
    command_mib: float
    worker_mib: float
    store_mib: float

    @property
    def images_per_s(self) -> float:
        """Of the work phase."""
        return self.images / self.work_s

    @property
    def work_over_codec(self) -> float:
        """Work phase (wall x cores) over the codecs' own time."""
        return self.work_s * self.workers / self.codec_s


# Runs the command, and writes CPU time and peak memory of its process, without those of Ray's processes. Shared memory
# (images in Ray's object store) is separate. Sampled ten times a second, since Linux keeps no peaks of these kinds.
_MEASURING = """
import json, re, resource, threading
from uqdm.cli.main import main
peak = {"own": 0, "shared": 0}
over = threading.Event()
def sample():
    while not over.wait(0.1):
        kib = dict(re.findall(r"(Rss\\w+):\\s*(\\d+) kB", open("/proc/self/status").read()))
        peak["own"] = max(peak["own"], int(kib["RssAnon"]) + int(kib["RssFile"]))
        peak["shared"] = max(peak["shared"], int(kib["RssShmem"]))
threading.Thread(target=sample, daemon=True).start()
try:
    main()
finally:
    over.set()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = {"cpu_s": usage.ru_utime + usage.ru_stime, "mib": peak["own"] / 1024, "store_mib": peak["shared"] / 1024}
    open(%r, "w").write(json.dumps(used))
"""


def evaluate(folder: Path, dataset: str, images: int, codec: str, workers: int, shard_size: int) -> Measured:
    """One evaluation in a new folder."""
    run_dir = Path(tempfile.mkdtemp(dir=folder))
    used_path = run_dir.with_suffix(".json")
    command = [sys.executable, "-c", _MEASURING % str(used_path), "bench", "evaluate", f"--out={run_dir}"]
    command += [f"--dataset={dataset}", f"--limit={images}", f"--codec={codec}", f"--cpus={workers}"]
    subprocess.run([*command, f"--shard-size={shard_size}"], check=True, stderr=subprocess.DEVNULL)
    phases = json.loads((run_dir / "evaluation.json").read_text())["seconds"]
    rows = pd.read_parquet(run_dir / "per_image")
    if set(rows["status"]) != {"ok"}:
        raise SystemExit(f"not every row is ok: {rows['error'].dropna().unique().tolist()}")
    own = json.loads(used_path.read_text())
    return Measured(
        workers,
        images,
        len(list((run_dir / "shards").rglob("*.parquet"))),
        codec_seconds(rows),
        phases["plan"],
        phases["ray_start"] + phases["ray_stop"],
        phases["work"],
        own["cpu_s"],
        own["mib"],
        float(rows["peak_memory_bytes"].max()) / 2**20,
        own["store_mib"],
    )


# ---- workers --------------------------------------------------------------------------------------------------


def plain_rate(dataset: str, codec: str, processes: int, images: int) -> float:
    """Images/s of processes that only code: no Ray, no rows, nothing stored."""
    name, _, text = codec.partition(":")
    parameters = dict(part.split("=") for part in text.split(",")) if text else {}
    with ProcessPoolExecutor(processes) as pool:
        list(pool.map(_code, [(dataset, name, parameters, 10)] * processes))  # imports
        began = time.perf_counter()
        list(pool.map(_code, [(dataset, name, parameters, images // processes)] * processes))
        return images / (time.perf_counter() - began)


def _code(task: tuple[str, str, dict[str, str], int]) -> None:
    dataset, name, parameters, count = task
    codec = get_codec(name, **{key: int(value) for key, value in parameters.items()})
    images = open_dataset(dataset, limit=count)
    for index in range(count):
        codec.decode(codec.encode([images.load(index)]))


def measure_workers(folder: Path, source: str, codec: str, seconds: float, rounds: int) -> dict[str, Any]:
    """Evaluations with one and two workers in turn, and plain processes between them."""
    pilot = tile_data_set(source, 1000, folder / "pilot.npz")
    rate = evaluate(folder, pilot, 1000, codec, 2, 50).images_per_s
    images = max(1000, int(rate * seconds))
    dataset = tile_data_set(source, images, folder / "workers.npz")
    found: dict[int, list[Measured]] = {1: [], 2: []}
    plain: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for workers in (1, 2):
            plain[workers].append(plain_rate(dataset, codec, workers, min(images, 4000)))
            found[workers].append(evaluate(folder, dataset, images, codec, workers, 50))
    best = {workers: max(many, key=lambda one: one.images_per_s) for workers, many in found.items()}
    machine = max(plain[2]) / (2 * max(plain[1]))
    efficiency = best[2].images_per_s / (2 * best[1].images_per_s)
    return {
        "images": images,
        "runs": [asdict(one) for many in found.values() for one in many],
        "images_per_s": {workers: round(one.images_per_s, 1) for workers, one in best.items()},
        "efficiency": efficiency,
        "machine": machine,
        "efficiency_of_machine": efficiency / machine,
        "work_over_codec": best[2].work_over_codec,
        "fixed_s": {"plan": best[2].plan_s, "Ray, start and stop": best[2].ray_s},
    }


# ---- memory ---------------------------------------------------------------------------------------------------


def measure_memory(folder: Path, source: str, sizes: Sequence[int]) -> list[Measured]:
    """Evaluations of data sets of growing size by a fast codec."""
    dataset = tile_data_set(source, max(sizes), folder / "memory.npz")
    return [evaluate(folder, dataset, size, "jpeg:quality=75", 2, 50) for size in sizes]


# ---- model ----------------------------------------------------------------------------------------------------


def fit(measured: Sequence[Measured]) -> dict[str, float]:
    """CPU seconds of the command, ``fixed + per_shard x shards + per_image x images``: least squares, none below 0."""
    from scipy.optimize import nnls

    design = np.array([[1.0, one.shards, one.images] for one in measured])
    taken = np.array([one.command_cpu_s for one in measured])
    (fixed, per_shard, per_image), _ = nnls(design / taken[:, None], np.ones(len(taken)))  # relative errors count
    return {"fixed_s": float(fixed), "per_shard_s": float(per_shard), "per_image_s": float(per_image)}


def measure_model(folder: Path, source: str) -> tuple[list[Measured], dict[str, float]]:
    """Runs with shards of 10 to 500 images, and the model that they give."""
    dataset = tile_data_set(source, 12_000, folder / "model.npz")
    plan = [(1000, 500), (12_000, 500), (2000, 10), (6000, 10), (6000, 50), (12_000, 50)]
    measured = [evaluate(folder, dataset, images, "jpeg:quality=75", 2, size) for images, size in plan]
    return measured, fit(measured)


def extrapolate(model: dict[str, float], shard_size: int, gpus: int, rate_per_gpu: float) -> dict[str, float]:
    """What ImageNet's training images, at one setting, need of the command if a GPU codes so many images/s."""
    per_image = model["per_shard_s"] / shard_size + model["per_image_s"]
    asked = gpus * rate_per_gpu
    rate = min(asked, 1 / per_image)
    return {
        "rate_per_gpu": rate_per_gpu,
        "command_limit_per_s": 1 / per_image,
        "command_busy": rate * per_image,
        "images_per_s": rate,
        "hours": (IMAGENET_IMAGES / rate + model["fixed_s"]) / 3600,
        "efficiency": rate / asked,
    }


# ---- what is printed ------------------------------------------------------------------------------------------


def show(result: dict[str, Any]) -> bool:
    """Prints the tables; True if all limits are kept."""
    console, verdicts = Console(), []

    def limit(kept: bool, text: str) -> str:
        verdicts.append(kept)
        return f"{'kept' if kept else 'NOT KEPT'}: limit {text}"

    if "workers" in result:
        found = result["workers"]
        table = Table("workers", "figure", "", title=f"{found['images']:,} images")
        for count, rate in found["images_per_s"].items():
            table.add_row(f"images/s, {count}", f"{rate:,.1f}")
        table.add_row("efficiency at 2", f"{found['efficiency']:.3f}", "")
        table.add_row("plain processes' own", f"{found['machine']:.3f}", "")
        share = found["efficiency_of_machine"]
        table.add_row(
            "the first by the second", f"{share:.3f}", limit(share >= EFFICIENCY_LIMIT, str(EFFICIENCY_LIMIT))
        )
        ratio = found["work_over_codec"]
        table.add_row("work over codec time", f"{ratio:.3f}", limit(ratio <= WORK_LIMIT, str(WORK_LIMIT)))
        for name, seconds in found["fixed_s"].items():
            table.add_row(f"fixed: {name}", f"{seconds:.1f} s")
        console.print(table)
    if "memory" in result:
        table = Table("images", "command, MiB", "worker, MiB", "object store, MiB (256 and what is in use at most)")
        for one in result["memory"]:
            cells = [f"{one[key]:.0f}" for key in ("command_mib", "worker_mib", "store_mib")]
            table.add_row(f"{one['images']:,}", *cells)
        first, last = result["memory"][-2:]
        growth = max(last[key] / first[key] for key in ("command_mib", "worker_mib"))
        table.add_row("growth at the last step", f"{growth:.3f}", limit(growth <= GROWTH_LIMIT, str(GROWTH_LIMIT)))
        console.print(table)
    if "same" in result:
        table = Table("codec", "images", "rows", "files", "differing rows, files", title=", ".join(WAYS))
        for one in result["same"]:
            differing = one["differing_rows"], one["differing_files"]
            text = f"{differing[0]}, {differing[1]} ({limit(not any(differing), '0')})"
            table.add_row(one["codec"], *(f"{one[key]:,}" for key in ("images", "rows", "files")), text)
        console.print(table)
    if "model" in result:
        model = result["model"]
        console.print(
            f"command's CPU time: {model['fixed_s']:.2f} s + {1e3 * model['per_shard_s']:.2f} ms x shards + "
            f"{1e6 * model['per_image_s']:.1f} us x images"
        )
        table = Table(
            "shard", "images/s a GPU", "command's limit, images/s", "64 GPUs, images/s", "hours", "efficiency"
        )
        for one in result["extrapolated"]:
            cells = [f"{one['shard_size']}", f"{one['rate_per_gpu']:g}", f"{one['command_limit_per_s']:,.0f}"]
            cells += [f"{one['images_per_s']:,.0f}", f"{one['hours']:.2f}", f"{one['efficiency']:.2f}"]
            table.add_row(*cells)
        console.print(table)
    return all(verdicts)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--source", default="demo", help="data set whose images are repeated; all of one size")
    parser.add_argument("--codec", default="avif:quality=70", help="what workers code with in the first part")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"load average of the last minute before the run: {load:.1f} on {os.cpu_count()} cores", flush=True)
    result: dict[str, Any] = {"load_before": load, "cores": os.cpu_count()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "workers" in arguments.parts:
            result["workers"] = measure_workers(
                folder, arguments.source, arguments.codec, arguments.seconds, arguments.rounds
            )
        if "memory" in arguments.parts:
            result["memory"] = [asdict(one) for one in measure_memory(folder, arguments.source, arguments.sizes)]
        if "same" in arguments.parts:
            result["same"] = measure_independence(folder, arguments.source)
        if "model" in arguments.parts:
            measured, result["model"] = measure_model(folder, arguments.source)
            result["model_runs"] = [asdict(one) for one in measured]
            result["extrapolated"] = [
                {"shard_size": size, **extrapolate(result["model"], size, 64, rate)}
                for size in (50, 500)
                for rate in (10, 100, 1000)
            ]
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    sys.exit(0 if show(result) else 1)


if __name__ == "__main__":
    main()

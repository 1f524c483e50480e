"""The cost of Snakemake and Ray in addition to the codecs: 1,000 images, three codecs, the real workflow.

    python benchmarks/overhead.py [--images 1000] [--cores 2]

Prints the work phase (wall x cores, against the time that the codecs themselves took) and the fixed cost (planning,
and starting and stopping Ray) apart, and exits 1 if either is over its limit. Run it on a machine at rest.
"""

from __future__ import annotations

import argparse
import importlib.resources
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from PIL import Image
from rich.console import Console
from rich.table import Table

from uqdm.bench.datasets.demo import PHOTOGRAPHS
from uqdm.images import read_image

ROOT = Path(__file__).resolve().parents[1]
CODECS = ("jpeg", "jpeg2000", "avif")
TILE = 64  # pixels
WORK_LIMIT = 1.3  # work phase (wall x cores) over the codecs' own time
FIXED_LIMIT_S = 8.0


@dataclass(frozen=True)
class Costs:
    """Seconds of one run of the workflow."""

    wall: float
    evaluate_job: float
    phases: dict[str, float]
    product_jobs: float
    codec: float
    measurements: int

    @property
    def fixed(self) -> float:
        """Everything that is neither measuring nor making tables, plots and the report."""
        return self.wall - self.phases["work"] - self.product_jobs


def photograph_crops(count: int) -> np.ndarray:
    """``count`` crops of 64x64 from the photographs of the data set demo, reduced by 2; uint8 [N, 64, 64, 3]."""
    generator = np.random.default_rng(0)
    photographs = []
    for photograph in PHOTOGRAPHS:
        data = (importlib.resources.files(photograph.package) / photograph.path).read_bytes()
        photographs.append(np.asarray(Image.fromarray(read_image(data)).reduce(2)))
    crops = []
    for index in range(count):
        image = photographs[index % len(photographs)]
        top, left = (int(generator.integers(0, size - TILE + 1)) for size in image.shape[:2])
        crops.append(image[top : top + TILE, left : left + TILE])
    return np.stack(crops)


def run_workflow(folder: Path, images: int, cores: int) -> float:
    """Runs the workflow on crops below ``folder``; returns its wall time in seconds."""
    np.savez(folder / "crops.npz", images=photograph_crops(images))
    run = {"dataset": f"npz:{folder / 'crops.npz'}", "codecs": dict.fromkeys(CODECS)}
    (folder / "config.yaml").write_text(yaml.safe_dump({"runs": {"overhead": run}}))
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--no-hooks", "--configfile", str(folder / "config.yaml")]  # as `make run`
    started = time.perf_counter()
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return time.perf_counter() - started


def codec_seconds(rows: pd.DataFrame) -> float:
    """Time spent inside the codecs: each stream encoded once, and decoded once up to its last picture."""
    streams = rows.groupby(["codec", "setting", "image_index"])
    return float(streams["encode_ms"].first().sum() + streams["decode_ms"].max().sum()) / 1e3


def read_costs(run_dir: Path, wall: float) -> Costs:
    """Reads the figures from the files of the workflow."""
    rows = pd.read_parquet(run_dir / "per_image")
    if set(rows["status"]) != {"ok"}:
        raise RuntimeError(f"not every row is ok: {rows.loc[rows['status'] != 'ok', 'error'].unique().tolist()}")
    jobs = {path.stem: float(pd.read_csv(path, sep="\t")["s"].sum()) for path in (run_dir / "benchmarks").iterdir()}
    phases = json.loads((run_dir / "evaluation.json").read_text())["seconds"]
    evaluate_job = jobs.pop("evaluate")
    return Costs(wall, evaluate_job, phases, sum(jobs.values()), codec_seconds(rows), len(rows))


def show(costs: Costs, cores: int) -> bool:
    """Prints the figures with the verdict; True if both limits are kept."""
    work, codec = costs.phases["work"], costs.codec
    ratio = work * cores / codec
    other = costs.evaluate_job - sum(costs.phases.values())
    lines: list[tuple[str, Any]] = [
        ("images x settings", f"{costs.measurements:,}"),
        ("codecs' own time, summed over the rows", f"{codec:.1f} s"),
        (f"work phase, wall x {cores} cores", f"{work:.1f} s x {cores} = {work * cores:.1f} s"),
        ("work phase over codec time", f"{ratio:.2f} ({verdict(ratio <= WORK_LIMIT)}: limit {WORK_LIMIT})"),
        ("Ray, start and stop", f"{costs.phases['ray_start'] + costs.phases['ray_stop']:.1f} s"),
        ("evaluation, imports and planning", f"{costs.phases['plan'] + other:.1f} s"),
        ("Snakemake", f"{costs.wall - costs.evaluate_job - costs.product_jobs:.1f} s"),
        (
            "fixed cost in all",
            f"{costs.fixed:.1f} s ({verdict(costs.fixed <= FIXED_LIMIT_S)}: limit {FIXED_LIMIT_S} s)",
        ),
        ("tables, plots and report", f"{costs.product_jobs:.1f} s"),
        ("everything, wall", f"{costs.wall:.1f} s"),
    ]
    table = Table("cost", "figure")
    for line in lines:
        table.add_row(*line)
    Console().print(table)
    return ratio <= WORK_LIMIT and costs.fixed <= FIXED_LIMIT_S


def verdict(kept: bool) -> str:
    return "kept" if kept else "NOT KEPT"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"load average of the last minute before the run: {load:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        wall = run_workflow(Path(folder), arguments.images, arguments.cores)
        costs = read_costs(Path(folder) / "results" / "overhead", wall)
    sys.exit(0 if show(costs, arguments.cores) else 1)


if __name__ == "__main__":
    main()

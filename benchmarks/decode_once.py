"""Time saved by metrics that are computed during evaluation: evaluation and scoring of 1,000 images, both ways.

    python benchmarks/decode_once.py [--images 1000] [--pairs 2] [--cores 2]

Each pair evaluates and scores the same images twice, with the codecs avif and uqdm: once with metrics left to scoring,
which decodes every picture again, and once with metrics computed during evaluation. Prints the seconds of both stages,
the ratio of each pair, and whether the metrics are equal. Exits 1 if they are not. Run it on a machine at rest.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from overhead import photograph_crops
from rich.console import Console
from rich.table import Table

CODECS = ("avif:quality=60", "uqdm")
METRICS = ("mse", "psnr_db", "ssim")
WAYS = ("metrics left to scoring", "metrics during evaluation")


@dataclass(frozen=True)
class Seconds:
    """Wall seconds of the two stages."""

    evaluate: float
    score: float

    @property
    def both(self) -> float:
        """Both stages together."""
        return self.evaluate + self.score


def main() -> int:
    """Runs the pairs in alternating order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    given = parser.parse_args()
    table = Table("pair", "way", "evaluate [s]", "score [s]", "both [s]")
    ratios = []
    equal = True
    with tempfile.TemporaryDirectory(prefix="decode-once-") as folder:
        images = Path(folder) / "images.npz"
        np.savez(images, photograph_crops(given.images))
        for pair in range(given.pairs):
            order = WAYS if pair % 2 == 0 else WAYS[::-1]
            found = {way: run(images, Path(folder) / f"{pair}-{way}", way, given.cores) for way in order}
            for way in WAYS:
                seconds = found[way]
                table.add_row(
                    str(pair + 1), way, f"{seconds.evaluate:.1f}", f"{seconds.score:.1f}", f"{seconds.both:.1f}"
                )
            ratios.append(found[WAYS[1]].both / found[WAYS[0]].both)
            left, right = (metrics(Path(folder) / f"{pair}-{way}") for way in WAYS)
            equal = equal and left.equals(right)
    console = Console()
    console.print(table)
    console.print(
        f"{given.images} images, {', '.join(CODECS)}: both stages take {statistics.median(ratios):.2f} of the time "
        f"(pairs: {', '.join(f'{ratio:.2f}' for ratio in ratios)}); metrics {'equal' if equal else 'DIFFER'}"
    )
    return int(not equal)


def run(images: Path, run_dir: Path, way: str, cores: int) -> Seconds:
    """Evaluates and scores the images into a folder."""
    metric_options = [f"--metric={name}" for name in METRICS]
    evaluate = [f"--dataset=npz:{images}", f"--out={run_dir}", f"--cpus={cores}", *metric_options]
    evaluate += [f"--codec={codec}" for codec in CODECS]
    evaluate += ["--no-score"] if way == WAYS[0] else []
    return Seconds(
        command("evaluate", *evaluate), command("score", f"--run={run_dir}", f"--cpus={cores}", *metric_options)
    )


def command(*arguments: str) -> float:
    """Seconds of a subcommand of ``uqdm bench``."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "uqdm.cli.main", "bench", *arguments],
        check=True,
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - started


def metrics(run_dir: Path) -> pd.DataFrame:
    """The metrics of every picture of a run."""
    key = ["codec", "setting", "image_index", "point", "reconstruction"]
    frame = pd.concat(pd.read_parquet(path) for path in sorted((run_dir / "per_image").glob("*.parquet")))
    return frame.sort_values(key)[[*key, *METRICS]].reset_index(drop=True)


if __name__ == "__main__":
    sys.exit(main())

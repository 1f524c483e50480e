"""A run that is killed three times at random ends like an undisturbed one.

    python benchmarks/survival.py [--source SPEC] [--images 10000] [--codec NAME:key=value ...] [--seed 0]

Images of ``--source`` (the demo) are repeated up to ``--images`` by flips and shifts (see many_images.py). One run is
undisturbed. Another gets SIGKILL three times, at random moments: each time a random one of its workers, or the whole
run (the command and its Ray), which is then started again with the same command. Prints what was killed when, and
compares rows (except times and memory) and coded files; exits 1 if anything differs.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import psutil
from many_images import tile_data_set

from uqdm.bench.schema import MEASURED

HITS = 3


class Run:
    """A command that evaluates into a folder, started as often as needed."""

    def __init__(self, run_dir: Path, dataset: str, codecs: Sequence[str], shard_size: int) -> None:
        self.run_dir = run_dir
        self._command = [sys.executable, "-m", "uqdm.cli.main", "bench", "evaluate", f"--out={run_dir}"]
        self._command += [f"--dataset={dataset}", f"--shard-size={shard_size}", *(f"--codec={one}" for one in codecs)]
        self.start()

    def start(self) -> None:
        """Starts the command in a new process group."""
        self.process = subprocess.Popen(self._command, start_new_session=True)

    def shards(self) -> int:
        """Shards that are stored by now."""
        return sum(1 for _ in (self.run_dir / "shards").glob("*/[!.]*.parquet"))

    def workers(self) -> list[psutil.Process]:
        """Its Ray workers that are doing a job."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if process.cmdline()[0].startswith("ray::ActorProcess.run"):
                    found.append(process)
            except (psutil.Error, IndexError):
                continue
        return found

    def wait_for(self, shards: int) -> None:
        """Waits until so many shards are stored."""
        while self.shards() < shards:
            if self.process.poll() is not None:
                raise SystemExit("the run was over before it could be hit: ask for more images")
            time.sleep(0.05)

    def hit(self, chance: random.Random) -> str:
        """Kills a worker, or the whole run and starts it again; returns which."""
        workers = self.workers()
        if workers and chance.random() < 0.5:
            victim = chance.choice(workers)
            victim.kill()
            return f"worker {victim.pid}"
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.start()
        return "the command and its Ray; started again"

    def finish(self) -> None:
        """Waits for the end."""
        if self.process.wait():
            raise SystemExit(f"{self.run_dir}: the run ended with {self.process.returncode}")


def rows(run_dir: Path, codec: str) -> pd.DataFrame:
    return pd.read_parquet(run_dir / "per_image" / f"{codec}.parquet").drop(columns=[*MEASURED])


def streams(run_dir: Path, codec: str) -> pd.DataFrame:
    names = ["setting", "image_index", "image_id", "stream"]
    table = pd.concat(pd.read_parquet(path)[names] for path in sorted((run_dir / "streams" / codec).glob("*.parquet")))
    return table.sort_values(["setting", "image_index"]).reset_index(drop=True)


def same(one: Path, other: Path, codec: str) -> bool:
    """Compares rows and coded files of a codec; prints what was found."""
    table, beside = rows(one, codec), rows(other, codec)
    files, files_beside = streams(one, codec), streams(other, codec)
    twice = int(table.duplicated(["setting", "image_index", "point", "reconstruction"]).sum())
    equal = table.equals(beside), files.equals(files_beside)
    print(f"{codec}: {len(table):,} rows {verdict(equal[0])}, {twice} twice; {len(files):,} files {verdict(equal[1])}")
    return all(equal) and not twice


def verdict(equal: bool) -> str:
    return "identical" if equal else "DIFFERENT"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--source", default="demo")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--codec", action="append", help="as for `uqdm bench evaluate`; may be repeated")
    parser.add_argument("--shard-size", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    codecs = arguments.codec or ["jpeg:quality=75", "jpeg:quality=95", "bpg:quality=20", "bpg:quality=35"]
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        dataset = tile_data_set(arguments.source, arguments.images, Path(folder) / "images.npz")
        began = time.perf_counter()
        alone = Run(Path(folder) / "undisturbed", dataset, codecs, arguments.shard_size)
        alone.finish()
        print(f"undisturbed: {time.perf_counter() - began:.0f} s, {alone.shards()} shards", flush=True)
        began, hit = time.perf_counter(), Run(Path(folder) / "hit", dataset, codecs, arguments.shard_size)
        for moment in sorted(chance.uniform(0.05, 0.9) for _ in range(HITS)):
            hit.wait_for(round(moment * alone.shards()))
            print(f"at {hit.shards()} shards SIGKILL to {hit.hit(chance)}", flush=True)
        hit.finish()
        print(f"hit {HITS} times: {time.perf_counter() - began:.0f} s, {hit.shards()} shards")
        names = dict.fromkeys(codec.partition(":")[0] for codec in codecs)
        found = [same(hit.run_dir, alone.run_dir, name) for name in names]
    sys.exit(0 if all(found) else 1)


if __name__ == "__main__":
    main()

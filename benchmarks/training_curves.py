"""Draws the logs of a model's training: rate of each step against iterations.

    python benchmarks/training_curves.py MODEL OUT.svg [OUT.csv]

MODEL is a folder that ``uqdm train`` wrote, with a log ``step-I-log.csv`` for each step. Curves are running means of
crops with the weights of the moment, not the averaged ones that the model has. The CSV has every tenth row of all logs.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

WINDOW = 10  # rows of the log, of 100 iterations each


def read_logs(folder: Path) -> dict[int, np.ndarray]:
    """Columns iteration and rate in bpp, [rows, 2], of each step's log, by the step counted from 1."""
    logs = {}
    for file in sorted(folder.glob("step-*-log.csv")):
        step = int(file.stem.split("-")[1])
        with file.open(newline="") as opened:
            rows = [(float(row["iteration"]), float(row[f"step_{step}_bpp"])) for row in csv.DictReader(opened)]
        logs[step] = np.array(rows)
    if not logs:
        raise SystemExit(f"{folder}: no logs of steps (step-1-log.csv and so on)")
    return logs


def running_mean(values: np.ndarray) -> np.ndarray:
    """Mean of the last ``WINDOW`` rows, fewer at the start."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    first = np.maximum(np.arange(len(values)) + 1 - WINDOW, 0)
    return (sums[1:] - sums[first]) / (np.arange(len(values)) + 1 - first)


def draw(logs: dict[int, np.ndarray], file: Path) -> None:
    figure, panels = plt.subplots(1, len(logs), figsize=(3.2 * len(logs), 2.8), squeeze=False, layout="constrained")
    for panel, (index, log) in zip(panels[0], logs.items(), strict=True):
        panel.plot(log[:, 0], running_mean(log[:, 1]), linewidth=1.2)
        panel.set(title=f"step {index}", xlabel="iterations", ylabel="rate (bpp)" if panel is panels[0][0] else "")
        panel.grid(alpha=0.3)
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("plot", type=Path)
    parser.add_argument("table", type=Path, nargs="?")
    arguments = parser.parse_args()
    logs = read_logs(arguments.model)
    draw(logs, arguments.plot)
    if arguments.table:
        with arguments.table.open("w", newline="") as opened:
            writer = csv.writer(opened)
            writer.writerow(["step", "iteration", "rate_bpp"])
            for index, log in logs.items():
                rows = np.column_stack([log[:, 0], running_mean(log[:, 1])])[WINDOW - 1 :: WINDOW]
                writer.writerows([index, int(iteration), f"{rate:.4f}"] for iteration, rate in rows)


if __name__ == "__main__":
    main()

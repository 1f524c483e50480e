"""The small run whose plots and report the site shows: ``python -m docs_tools.demo_run results/site``."""

from __future__ import annotations

import sys
from pathlib import Path

CODECS = ("jpeg-tuned", "jpeg2000-tuned", "webp", "avif", "jxl", "bpg-tuned", "uqdm")
METRICS = ("ssim", "ssimulacra2")
"""Metrics that need no weights, so that a machine without a network makes the same pages."""
IMAGES = 8


def arguments(run_dir: Path) -> list[str]:
    """The arguments of ``uqdm`` that make the run."""
    codecs = [argument for name in CODECS for argument in ("--codec", name)]
    metrics = [argument for name in METRICS for argument in ("--metric", name)]
    return ["bench", "run", "demo", "--limit", str(IMAGES), *codecs, *metrics, "--out", str(run_dir)]


def main() -> None:
    """Makes the run in the folder that the command line names; run again, it resumes."""
    from uqdm.cli.main import main as run_command

    sys.argv = ["uqdm", *arguments(Path(sys.argv[1]))]
    run_command()


if __name__ == "__main__":
    main()

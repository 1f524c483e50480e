"""Writes the published curves as tidy CSV, from the YAML files that the authors of UQDM published them in.

    python benchmarks/published_csv.py cifar10.yml imagenet64.yml --out uqdm/published

A YAML file holds ``{system: {bpp: [...], psnr: [...], fid: [...]}}``; its name is that of the data set. What the
figures are (kind of rate, protocol, doubts) is recorded here, since the files do not say.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from uqdm.bench.analysis.published_curves import COLUMNS
from uqdm.files import write_bytes

SOURCE = "Yang, Will & Mandt, Progressive Compression with Universally Quantized Diffusion Models, ICLR 2025"
AVERAGES = "bpp and PSNR: means over images, exact ones left out of PSNR; FID over 10,000 images"
PROTOCOLS = {
    "jpeg": ("file", "Pillow with IJG libjpeg 9, quality 1 10 20 30 40 50 60 70 80 90 95 100, optimised, 4:2:0"),
    "jpeg2000": (
        "file",
        "OpenJPEG, a .jp2 file a point with cumulative layers 20, 10, 5, 3, 2, 1; 5/3, no colour transform",
    ),
    "bpg": ("file", "libbpg 0.9.8, bpgenc -e jctvc -f 420 -q 51 40 30 20 10 0, and -lossless in RGB 4:4:4"),
    "vdm": ("ideal", "running sum of entropy estimates of a diffusion model; nothing is coded"),
    "uqdm": (
        "ideal",
        "running sum of entropy estimates; the picture is made in three ways (-d denoised, -a ancestral, -f flow), "
        "for each of which was encoded again, so that the rates of one file differ",
    ),
}
UNSTATED = ("unstated", "not stated")

FID_DOUBT = (
    "FID only: the column of vdm-1000d is the same for cifar10 and imagenet64 (10 of 11 values within 0.004) although "
    "bpp and PSNR differ, so one is a copy of the other"
)
SUSPECT = {("cifar10", "vdm-1000d"): FID_DOUBT, ("imagenet64", "vdm-1000d"): FID_DOUBT}


def rows_of(path: Path) -> pd.DataFrame:
    """All points of one YAML file, in its order."""
    systems: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return pd.concat([_system(path.stem, name, values) for name, values in systems.items()])[list(COLUMNS)]


def _system(dataset: str, system: str, values: dict[str, list[float]]) -> pd.DataFrame:
    lengths = {key: len(values[key]) for key in ("bpp", "psnr", "fid")}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{dataset}, {system}: columns of different lengths: {lengths}")
    kind, protocol = PROTOCOLS.get(system, PROTOCOLS.get(system.partition("-")[0], UNSTATED))
    reason = SUSPECT.get((dataset, system), "")
    table = pd.DataFrame({"bpp": values["bpp"], "psnr_db": values["psnr"], "fid": values["fid"]}, dtype=float)
    return table.assign(
        dataset=dataset,
        system=system,
        point=range(len(table)),
        kind=kind,
        protocol=f"{protocol}; {AVERAGES}",
        source=SOURCE,
        suspect=bool(reason),
        suspect_reason=reason,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="YAML files, each named after its data set")
    parser.add_argument("--out", type=Path, default=Path("uqdm/published"), help="folder of the CSV files")
    options = parser.parse_args()
    for path in options.files:
        target = options.out / f"{path.stem}.csv"
        write_bytes(target, rows_of(path).to_csv(index=False).encode())
        print(target)


if __name__ == "__main__":
    main()

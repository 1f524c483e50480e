"""A run for the tests of the report: real files of real codecs, and synthetic values of slow metrics."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from small_run import measure_run
from toy_images import MemoryImages

from uqdm.bench.analysis.bjontegaard import METHOD
from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import open_dataset
from uqdm.bench.metrics import summary_schema
from uqdm.bench.plots import all_plots, save_plot
from uqdm.bench.run.layout import summary_path
from uqdm.bench.run.provenance import with_provenance
from uqdm.bench.run.summary_reader import read_summary, summary_provenance
from uqdm.bench.schema import BD, BD_OF_IMAGES, STATUS_OK, STATUS_REFERENCE

N_IMAGES = 6
NASTY = "</script><img src=x onerror=\"document.title='harmed'\">&amp;"
"""A possible name of an image in a data set."""
WARNING = "n=6 is under 2,048: biased, singular covariance"
CODECS = ("toy-model", "jpeg:quality=10", "jpeg:quality=50", "jpeg:quality=90", "png", "toy-absent")
CODECS += ("bpg:quality=40", "bpg:quality=20")


def make_run(run_dir: Path) -> None:
    """Measures, summarizes, compares and plots; there are published figures for the data set's name."""
    demo = open_dataset("demo", limit=N_IMAGES)
    images = [demo.load(index).copy() for index in range(N_IMAGES)]
    for image in images:
        image[0, 0, 0] = 0  # no mark of the toy codecs
    dataset = MemoryImages(images, name="cifar10-like")
    dataset.ids[0] = NASTY
    measure_run(run_dir, dataset, *CODECS)
    summarize_run(run_dir)
    with_made_up_metrics(run_dir)
    write_deltas(run_dir)
    draw_what_is_shown(run_dir)


def draw_what_is_shown(run_dir: Path) -> None:
    """Draws every plot in the one format that a report shows, which takes a third of the time of all three."""
    for plot in all_plots():
        formats = (plot.shown,) if plot.shown in plot.formats else plot.formats
        save_plot(replace(plot, formats=formats), run_dir)


def with_made_up_metrics(run_dir: Path) -> None:
    """Gives the summary LPIPS, DISTS, FID, KID and a floor, as a scoring with their networks would."""
    summary, origin = read_summary(run_dir), summary_provenance(run_dir)
    ok = summary.status == STATUS_OK
    for name, scale in (("lpips", 0.5), ("dists", 0.3)):
        for end, factor in (("", 1), ("_low", 0.9), ("_high", 1.1)):
            summary[f"{name}{end}"] = np.where(ok, factor * scale / (1 + summary.bpp), np.nan)
    summary["fid"] = np.where(ok, 300 / (1 + summary.bpp), np.nan)
    summary["kid"] = np.where(ok, 0.2 / (1 + summary.bpp) - 0.02, np.nan)
    summary["kid_sd"] = np.where(ok, 0.002, np.nan)
    floor = dict.fromkeys(summary.columns) | {
        **summary[["dataset", "fingerprint"]].iloc[0].to_dict(),
        "codec": "originals",
        "setting": "first half against second half",
        "status": STATUS_REFERENCE,
        "n": 3,
        "failed": 0,
        "exact": 0,
        "fid": 123.4,
        "kid": 0.0123,
        "kid_sd": 0.01,
        "fid_n": 3,
    }
    said = {"fid_extractor": "0123456789abcdef", "fid_resize": "bilinear to 299 x 299", "fid_warning": WARNING}
    for name, value in {**said, "fid_n": N_IMAGES}.items():
        summary[name] = [value if row else None for row in ok]
    rows = pa.Table.from_pylist([*summary.astype(object).where(summary.notna(), None).to_dict("records"), floor])
    schema = with_provenance(summary_schema(), origin)
    columns = [pa.array(rows[field.name].to_pylist(), field.type) for field in schema]
    pq.write_table(pa.table(columns, schema=schema), summary_path(run_dir))


def write_deltas(run_dir: Path) -> None:
    """Writes ``bd.csv`` with two metrics and two anchors, one row undefined, and images of one metric and curve."""
    shared = dict.fromkeys(BD.names) | {"dataset": "cifar10-like", "n": N_IMAGES, "method": METHOD}
    known = {"bd_rate_percent": -12.34, "bd_rate_low": -15.0, "bd_rate_high": -9.1}
    known |= {"bd_quality": 1.2345, "bd_quality_low": 0.9, "bd_quality_high": 1.5}
    known |= {"overlap_low": 22.1, "overlap_high": 35.2, "overlap_share": 0.7}
    known |= {"anchor_overlap_share": 0.5}
    quartiles = {"image_bd_rate_q1": -14.0, "image_bd_rate_median": -11.0, "image_bd_rate_q3": -9.0}
    of_images = {**quartiles, "image_bd_rate_n": 5, "influential_image": "2", "bd_rate_without": -10.5}
    of_images |= {"influence_share": 0.31, "rate_ratio_50": 0.88, "rate_ratio_50_n": 5}
    nothing = dict.fromkeys(known) | {"reason": "the curves share no quality"}
    rows = [
        {**shared, "metric": metric, "anchor": anchor, "codec": codec, "curve": codec}
        | (known if codec == "bpg" else nothing)
        | (of_images if codec == "bpg" and metric == "psnr_db" else {})
        for metric in ("fid", "psnr_db")
        for anchor in ("bpg", "jpeg")
        for codec in ("jpeg", "bpg", "toy-model")
        if codec != anchor
    ]
    pd.DataFrame(rows).to_csv(run_dir / "bd.csv", index=False)
    named = {"dataset": "cifar10-like", "metric": "psnr_db", "anchor": "jpeg", "curve": "bpg"}
    images = [
        {**named, "image_index": index, "image_id": NASTY if index == 0 else str(index), "bd_rate_percent": percent}
        for index, percent in enumerate([-20.0, -14.0, 3.0, -9.0, -11.0, None])
    ]
    pd.DataFrame(images, columns=BD_OF_IMAGES.names).to_csv(run_dir / "bd_per_image.csv", index=False)

"""Guards that runs stay readable when metrics are installed or removed, and when an older release made them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import small_run
from toy_images import MemoryImages, unmarked_images
from typer.testing import CliRunner

from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import open_dataset
from uqdm.bench.metrics import METRICS, rows_schema
from uqdm.bench.run.rows_reader import read_rows
from uqdm.bench.run.shard_store import ShardStore
from uqdm.bench.run.stored_run import open_run
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.run.unscored import reasons_by_row, unscored_text
from uqdm.bench.schema import ADDED_COLUMNS
from uqdm.cli.main import app

NAME = "largest_error"
MODULE = f"""
import numpy as np
from uqdm.bench.metrics import Metric
def largest(original, reconstruction):
    return float(np.abs(original.astype(int) - reconstruction).max())
METRIC = Metric(name="{NAME}", label="Largest error", unit="", direction="lower", value_range=(0, 255),
                source="this test", comment="largest error", compute=largest)
"""
OLDER = ("original_sha256", "stream_sha256")  # columns that older releases did not write


@pytest.fixture
def plugin(toys: Path) -> Iterator[object]:
    """Installs and uninstalls a metric of another package."""
    (toys / "metric_of_absent_metrics.py").write_text(MODULE)
    information = toys / "metric_of_absent_metrics-1.dist-info"

    def install(there: bool) -> None:
        if there:
            information.mkdir()
            (information / "METADATA").write_text("Metadata-Version: 2.1\nName: metric-of-absent-metrics\nVersion: 1\n")
            text = f"[uqdm.metrics]\n{NAME} = metric_of_absent_metrics:METRIC\n"
            (information / "entry_points.txt").write_text(text)
        else:
            shutil.rmtree(information, ignore_errors=True)
        METRICS.forget()

    yield install
    install(False)


@pytest.fixture(scope="module")
def scored_run(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("absent") / "run"
    codecs = [f"toy-raw:drop={drop}" for drop in (2, 3, 4)]
    small_run.measure_run(run, MemoryImages(unmarked_images(4)), *codecs, "toy-model")
    summarize_run(run)
    return run


def commands(run: Path) -> list[list[str]]:
    run_option = ["--run", str(run)]
    return [
        ["show", str(run)],
        ["show", str(run), "--rows"],
        ["show", str(run), "--csv"],
        ["extract", str(run), "--image", "0", "--out", str(run / "out")],
        ["compare", str(run), str(run), "--metric", "bpp"],
        ["bd", *run_option, "--anchor", "toy-raw"],
        ["summarize", *run_option],
        ["plot", *run_option],
        ["report", *run_option],
    ]


def check_commands(run: Path, note: str | None, *names: str) -> None:
    """Runs these commands, all by default; each succeeds, and prints ``note`` on stderr or no name of the metric."""
    for command in (one for one in commands(run) if not names or one[0] in names):
        done = CliRunner().invoke(app, ["bench", *command])
        assert done.exit_code == 0, (command, done.output, done.exception)
        told = done.stderr.replace("\n", " ")
        assert "remove" not in told
        assert note in told if note and command[0] != "extract" else NAME not in told, (command, told)


@pytest.mark.slow
def test_a_metric_that_is_installed_later_is_null_with_a_remedy(scored_run: Path, plugin, tmp_path: Path) -> None:
    run = shutil.copytree(scored_run, tmp_path / "run")
    before = read_summary(run)
    plugin(True)
    summary = read_summary(run)
    assert summary[NAME].isna().all()
    pd.testing.assert_frame_equal(summary[before.columns.drop("unscored")], before.drop(columns="unscored"))
    rows = read_rows(run, [NAME, "unscored", "bpp"])
    assert rows[NAME].isna().all()
    remedy = f"not scored in this run, fill it with: uqdm bench score --run {run}"
    assert [reasons[NAME] for reasons in rows.unscored] == [remedy] * len(rows)
    check_commands(run, f"note: {NAME}: {remedy}")
    small_run.score_here(run, MemoryImages(unmarked_images(4)))  # the remedy
    assert read_rows(run, [NAME])[NAME].notna().all()
    summarize_run(run)
    assert read_summary(run)[NAME].notna().all()
    check_commands(run, None, "show")


def test_a_run_stays_readable_after_a_metric_is_uninstalled(scored_run: Path, plugin, tmp_path: Path) -> None:
    run = shutil.copytree(scored_run, tmp_path / "run")
    plugin(True)
    small_run.score_here(run, MemoryImages(unmarked_images(4)))
    summarize_run(run)
    plugin(False)
    assert NAME not in read_summary(run)
    check_commands(run, None, "show", "compare", "summarize")


def test_a_run_of_row_format_5_is_read_and_missing_columns_are_null(scored_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(scored_run, tmp_path / "run")
    make_format_6(run)
    make_format_5(run)
    rows = read_rows(run, ["codec", "bpp", *OLDER])
    assert rows[[*OLDER]].isna().all(axis=None)
    assert rows.bpp.notna().all()
    check_commands(run, None, "show", "extract", "compare", "summarize", "bd")


def test_a_run_of_row_format_6_is_read_and_its_shards_are_used_again(scored_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(scored_run, tmp_path / "run")
    columns = rows_schema().names
    expected, summary = read_rows(run, columns), read_summary(run)
    make_format_6(run)
    pd.testing.assert_frame_equal(read_rows(run, columns), expected)
    pd.testing.assert_frame_equal(read_summary(run), summary)
    check_commands(run, None, "show", "summarize")
    pd.testing.assert_frame_equal(read_summary(run), summary)

    dataset = MemoryImages(unmarked_images(4))
    shards = [shard for codec in open_run(run, dataset).codecs for shard in codec.shards]
    assert all(ShardStore(run).counts(shard) is not None for shard in shards)  # as an evaluation checks
    small_run.score_here(run, dataset)
    pd.testing.assert_frame_equal(read_rows(run, columns), expected)


def test_a_run_of_row_format_7_is_read_and_its_shards_are_used_again(toys: Path, tmp_path: Path) -> None:
    run, dataset = tmp_path / "run", open_dataset("demo", 4)
    small_run.measure_run(run, dataset, "toy-raw", "toy-model", "png")
    columns = [name for name in rows_schema().names if name not in GONE]
    expected = read_rows(run, columns)
    assert expected.black_pixel_bits.notna().sum() == 4  # PNG's
    assert (read_rows(run, ["original_changes"]).original_changes == "").all()
    make_format_7(run)
    pd.testing.assert_frame_equal(read_rows(run, columns), expected)
    assert read_rows(run, ["original_changes"]).original_changes.isna().all()
    shards = [shard for codec in open_run(run, dataset).codecs for shard in codec.shards]
    assert all(ShardStore(run).counts(shard) is not None for shard in shards)  # as an evaluation checks
    small_run.score_here(run, dataset)
    pd.testing.assert_frame_equal(read_rows(run, columns), expected)
    assert read_rows(run, GONE).isna().all(axis=None)


GONE = [name for name in (*ADDED_COLUMNS, "container_bits") if name != "black_pixel_bits"]
"""Columns without a value in rows of format 7."""


def make_format_7(run: Path) -> None:
    """Removes from a run and its shards the columns that later formats added or renamed."""
    for path in [*(run / "shards").rglob("*.parquet"), *(run / "per_image").iterdir()]:
        table = pq.read_table(path, partitioning=None)
        table = table.drop_columns(GONE)
        renamed = table.rename_columns({"black_pixel_bits": "container_bits"})
        pq.write_table(renamed.replace_schema_metadata(table.schema.metadata), path)
    for path in (run / "manifests").iterdir():
        path.write_text(json.dumps({**json.loads(path.read_text()), "row_format": 7}))


def make_format_6(run: Path) -> None:
    """Converts the maps ``unscored`` of a run, its shards, its summary and its scores to text."""
    for path in [*(run / "shards").rglob("*.parquet"), *(run / "per_image").iterdir(), run / "summary.parquet"]:
        table = pq.read_table(path, partitioning=None)
        texts = pa.array(map(unscored_text, reasons_by_row(table["unscored"])), pa.string())
        place = table.column_names.index("unscored")
        comment = table.schema.field(place).metadata
        pq.write_table(table.set_column(place, pa.field("unscored", pa.string(), metadata=comment), texts), path)
    for path in (run / "manifests").iterdir():
        path.write_text(json.dumps({**json.loads(path.read_text()), "row_format": 6}))


def make_format_5(run: Path) -> None:
    """Removes from a run of row format 6 what that format added."""
    (run / "run.json").unlink()
    for path in run.rglob("*.parquet"):
        table = pq.read_table(path, partitioning=None)
        table = table.drop_columns([name for name in (*OLDER, "n_bytes") if name in table.column_names])
        metadata = {name: text for name, text in (table.schema.metadata or {}).items() if name != b"identity"}
        if b"provenance" in metadata:
            origin = json.loads(metadata[b"provenance"])
            metadata[b"provenance"] = json.dumps({k: v for k, v in origin.items() if k not in ("run_id", "codec")})
        pq.write_table(table.replace_schema_metadata(metadata), path)
    for path in (*(run / "manifests").iterdir(), run / "scores.json"):
        content = json.loads(path.read_text())
        del content["run_id"]
        if "row_format" in content:
            content["row_format"] = 5
        path.write_text(json.dumps(content))

"""Guards reading rows in batches: every row once, whole settings, and the same summary whatever the batches."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from summaries import summarized

from uqdm.bench.analysis import summarize
from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.metrics import rows_schema
from uqdm.bench.run import row_batches
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.rows_reader import read_rows

COLUMNS = ["codec", "setting", "image_index", "point", "bpp"]


def made_up(n_images: int, setting: str, codec: str = "c", start: int = 0) -> pa.Table:
    """Rows with synthetic numbers: two points of each image; every seventh image failed."""
    generator = np.random.default_rng(abs(hash_of(codec, setting, start)))
    n = 2 * n_images
    fixed = {"dataset": "d", "fingerprint": "9-aa", "codec": codec, "codec_version": "1", "setting": setting}
    fixed |= {"rate_kind": "file", "reconstruction": "decoded", "device": "cpu"}
    columns: dict[str, Sequence[object] | np.ndarray] = {name: [value] * n for name, value in fixed.items()}
    columns["image_index"] = np.repeat(np.arange(start, start + n_images), 2)
    columns["point_index"] = np.tile([0, 1], n_images)
    columns["point"] = ["first", "last"] * n_images
    columns["height"] = columns["width"] = np.full(n, 8)
    for name in ("bpp", "mse", "psnr_db", "ssim", "encode_ms", "decode_ms"):
        columns[name] = generator.gamma(2, 1, n)
    columns["status"] = ["failed" if index % 7 == 6 else "ok" for index in columns["image_index"]]
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(n, field.type)
        for field in rows_schema()
    ]
    return pa.table(arrays, schema=rows_schema())


def hash_of(*parts: object) -> int:
    return sum(ord(letter) * 31**place for place, letter in enumerate(repr(parts))) % 2**32


def write(run_dir: Path, name: str, tables: Sequence[pa.Table]) -> None:
    """A file of rows with a row group for each table."""
    (run_dir / "per_image").mkdir(exist_ok=True)
    with pq.ParquetWriter(run_dir / "per_image" / f"{name}.parquet", rows_schema()) as writer:
        for table in tables:
            writer.write_table(table)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """Three settings of one codec in shards, and one of another whose row group has rows of both."""
    shards = [made_up(9, setting, start=start) for setting in ("q=1", "q=2", "q=3") for start in (0, 9)]
    write(tmp_path, "c", shards)
    write(tmp_path, "d", [pa.concat_tables([made_up(9, "", "d"), made_up(9, "q=3", "c", start=18)])])
    (tmp_path / "scores.json").write_text('{"sets": []}')
    return tmp_path


@pytest.mark.parametrize("most_rows", [1, 40, 60, 10**6])
def test_every_row_is_in_one_batch_with_all_of_its_setting(run_dir: Path, most_rows: int) -> None:
    frames = [batch.read(COLUMNS) for batch in row_batches.row_batches(run_dir, most_rows)]
    everything = read_rows(run_dir, COLUMNS)
    assert sum(map(len, frames)) == len(everything)
    for frame in frames:
        keys = frame.groupby(["codec", "setting"]).size()
        assert len(keys) == 1 or len(frame) <= most_rows
        for (codec, setting), count in keys.items():
            assert count == ((everything.codec == codec) & (everything.setting == setting)).sum()
    order = ["codec", "setting", "image_index", "point"]
    both = [frame.sort_values(order).reset_index(drop=True) for frame in (pd.concat(frames), everything)]
    pd.testing.assert_frame_equal(*both)


@pytest.mark.parametrize("most_rows", [1, 60])
def test_the_summary_is_identical_for_all_batch_sizes(
    run_dir: Path, most_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = [*summarize._COLUMNS, *(metric.name for metric in summarize.all_metrics())]
    whole = summarized(read_rows(run_dir, columns))
    monkeypatch.setattr(summarize, "row_batches", lambda folder: row_batches.row_batches(folder, most_rows))
    pd.testing.assert_frame_equal(summarize_run(run_dir), whole, check_exact=True)
    monkeypatch.setattr(summarize, "_MOST_BYTES", 1)  # intervals of a few pictures at a time
    assert len(summarize_run(run_dir)) == len(whole) == 8


def test_repeated_and_mixed_rows_are_found_across_files(run_dir: Path) -> None:
    """A file of another run repeats a setting: its rows exist twice, or have other content."""
    write(run_dir, "old", [made_up(3, "q=2")])
    with pytest.raises(ResultsError, match=r"c at 'q=2': 6 rows are there twice"):
        summarize_run(run_dir)
    other = made_up(3, "q=2").set_column(1, rows_schema().field("fingerprint"), pa.array(["9-bb"] * 6))
    write(run_dir, "old", [other])
    with pytest.raises(ResultsError, match=r"different contents \(9-aa: c, d; 9-bb: c\)"):
        summarize_run(run_dir)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_settings(tmp_path: Path) -> None:
    """Four times as many settings: only a batch, and values without intervals yet, are in memory."""
    code = (
        "import resource, sys; from pathlib import Path; from uqdm.bench.run import row_batches\n"
        "from uqdm.bench.analysis import bootstrap, summarize\n"
        "row_batches.row_batches.__defaults__ = (10_000,); summarize._MOST_BYTES = 2**20\n"
        "bootstrap.mean_intervals.__kwdefaults__['n_resamples'] = 5\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "summarize.summarize_run(Path(sys.argv[1]))\n"
        "print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))"
    )
    taken = []
    for n_settings in (10, 40):
        run = tmp_path / str(n_settings)
        run.mkdir()
        write(run, "c", [made_up(5000, f"q={setting}") for setting in range(n_settings)])
        (run / "scores.json").write_text('{"sets": []}')
        done = subprocess.run([sys.executable, "-c", code, str(run)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        taken.append(int(done.stdout))
    # 300,000 rows more would take 75 MB in a data frame of these columns.
    assert taken[1] - taken[0] < 25e6, taken

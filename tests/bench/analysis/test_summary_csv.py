"""Guards the summary as CSV: intervals beside means, parameters as columns, and each reason once in the other table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from uqdm.bench.analysis.summary_csv import columns_table, summary_for_people
from uqdm.bench.metrics import summary_schema


def of_settings(*settings: str, unscored: list[dict[str, str] | None] | None = None) -> pa.Table:
    """A summary with a row for each setting, of which nothing else is known."""
    schema = pa.schema([field.with_nullable(True) for field in summary_schema()])
    reasons = unscored or [None] * len(settings)
    rows = [{"setting": one, "unscored": why} for one, why in zip(settings, reasons, strict=True)]
    return pa.Table.from_pylist(rows, schema=schema)


def test_every_interval_follows_its_mean(finished_run: Path) -> None:
    names = list(pd.read_csv(finished_run / "summary.csv").columns)
    means = [name for name in names if f"{name}_low" in names]
    assert {"bpp", "psnr_db", "mse", "ssim"} <= set(means)
    for name in means:
        place = names.index(name)
        assert names[place : place + 3] == [name, f"{name}_low", f"{name}_high"]


def test_numeric_parameters_are_columns_after_the_setting(finished_run: Path) -> None:
    summary = pd.read_csv(finished_run / "summary.csv")
    assert list(summary.columns)[list(summary.columns).index("setting") + 1] == "drop"
    raw = summary[summary.codec == "toy-raw"]
    assert [f"drop={value:.0f}" for value in raw["drop"]] == raw.setting.tolist()


def test_texts_switches_and_lists_are_no_numbers() -> None:
    found = summary_for_people(of_settings("quality=nan,scans=shorter,fast=true,layers=20,10,ratio=-1.5,seed=7"))
    expected = {"ratio": -1.5, "seed": 7}
    assert {name: found[name][0].as_py() for name in found.column_names if found[name].null_count == 0} == {
        "setting": "quality=nan,scans=shorter,fast=true,layers=20,10,ratio=-1.5,seed=7",
        **expected,
    }
    assert (found.schema.field("ratio").type, found.schema.field("seed").type) == (pa.float64(), pa.int64())


def test_a_parameter_with_the_name_of_a_column_keeps_that_column() -> None:
    found = summary_for_people(of_settings("n=3,bpp=0.5"))
    assert (found["setting_n"][0].as_py(), found["setting_bpp"][0].as_py()) == (3, 0.5)
    assert (found["n"].null_count, found["bpp"].null_count) == (1, 1)


def test_reasons_are_in_the_table_of_columns_once(finished_run: Path) -> None:
    columns = pd.read_csv(finished_run / "summary_columns.csv").set_index("column")
    summary = pd.read_csv(finished_run / "summary.csv")
    assert list(columns.index) == list(summary.columns)
    assert columns.meaning.notna().all()
    assert "unscored" not in summary.columns
    stored = pq.read_table(finished_run / "summary.parquet")
    assert columns.rows_without["fid"] == stored["fid"].null_count
    reasons = [dict(found or ()).get("ms_ssim") for found in stored["unscored"].to_pylist()]
    assert columns.why["ms_ssim"].startswith(f"{sum(map(bool, reasons))} rows: ")
    assert next(filter(None, reasons)) in columns.why["ms_ssim"]


def test_several_reasons_are_counted_most_rows_first() -> None:
    few, many = {"fid": "no weights"}, {"fid": "not among the chosen"}
    table = of_settings("a=1", "a=2", "a=3", "a=4", unscored=[few, many, many, None])
    rows = columns_table(table, summary_for_people(table)).to_pylist()
    (fid,) = [row for row in rows if row["column"] == "fid"]
    assert (fid["rows_without"], fid["why"]) == (4, "2 rows: not among the chosen; 1 row: no weights")

"""The report shows the tables of robustness where they were measured."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from uqdm.bench.datasets import open_dataset
from uqdm.bench.report.robustness import read_robustness
from uqdm.bench.robustness.coded_files import files_of_images
from uqdm.bench.robustness.options import RobustnessOptions
from uqdm.bench.robustness.save import measure_all, save_table
from uqdm.bench.run.codec_settings import parse_request
from uqdm.bench.run.errors import ResultsError


def test_tables_of_a_run_are_read_and_sorted_by_their_numbers(tmp_path: Path) -> None:
    files = files_of_images(open_dataset("demo", limit=1), [parse_request("jpeg:quality=60")])
    save_table(measure_all(files, RobustnessOptions(files=1, damages=2)), tmp_path)
    outcomes, wrong, elsewhere = read_robustness(tmp_path)
    assert [cell.text for cell in outcomes.table.rows[0]][:2] == ["jpeg:quality=60", "10"]  # no splices of one file
    assert wrong.table.rows[0][1].value == 0.0
    assert wrong.table.rows[0][4].text == "-"
    assert [heading.text for heading in elsewhere.table.headings][1:] == [
        "pictures",
        "identical",
        "varying",
        "differing",
    ]
    assert elsewhere.table.keys == [{"codec": "jpeg"}]


def test_a_run_without_them_has_none_and_a_foreign_file_is_named(tmp_path: Path) -> None:
    assert read_robustness(tmp_path) == []
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "robustness.parquet")
    with pytest.raises(ResultsError, match=r"no column dataset, .*make it again: uqdm bench robustness"):
        read_robustness(tmp_path)

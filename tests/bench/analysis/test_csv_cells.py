"""Text that comes from outside never reaches a terminal, a table or a spreadsheet as a command."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from uqdm.bench.analysis.csv_cells import frame_for_people, write_table
from uqdm.bench.datasets import open_dataset
from uqdm.bench.progress.progress import RunProgress
from uqdm.bench.schema import ROWS
from uqdm.cli.bench._table import print_csv, print_table
from uqdm.text import csv_cell, from_csv_cell, one_line, printable

TEXTS = ["=cmd|' /C calc'!A0", "@2x.png", "+1.png", "-1.png", "\tx", "\r=x", " =x", "\uff1dx"]
UNSAFE = "a\x1b[31mb\x00\x07\x85\x9b\u202e\u2028\udcff\ufeff\nc"


def test_formulas_are_quoted_and_numbers_stay_numbers(tmp_path: Path) -> None:
    assert all(csv_cell(text).startswith("'") for text in TEXTS)
    assert [from_csv_cell(csv_cell(text)) for text in TEXTS[:4]] == TEXTS[:4]
    frame = pd.DataFrame({"image_id": ["=1+1", None, "-1.5", "-"], "psnr_db": [-1.5, np.nan, np.inf, 2], "n": 3})
    written = list(csv.reader(io.StringIO(frame_for_people(frame).to_csv(index=False))))
    assert written[1:] == [["'=1+1", "-1.5", "3"], ["", "", "3"], ["-1.5", "inf", "3"], ["-", "2.0", "3"]]
    write_table(pa.Table.from_pandas(frame, preserve_index=False), tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="") as file:
        assert [row[:2] for row in csv.reader(file)][1:3] == [["'=1+1", "-1.5"], ["", ""]]


def test_control_characters_are_written_out_wherever_they_enter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert printable(UNSAFE).isprintable()
    assert one_line(UNSAFE * 1000, 100).isprintable()
    assert (
        printable("größer \u4e2d\u6587 \U0001f469\u200d\U0001f680") == "größer \u4e2d\u6587 \U0001f469\u200d\U0001f680"
    )
    folder = tmp_path / "set\x1b[2J"
    folder.mkdir()
    name = "=a\x1b[31m\u202e\n.png"
    Image.fromarray(np.full((2, 3, 3), 7, np.uint8)).save(folder / name)
    dataset = open_dataset(f"folder:{folder}")
    assert (dataset.name, list(dataset.ids)) == (r"set\x1b[2J", [r"=a\x1b[31m\u202e\n.png"])
    assert dataset.load(0)[0, 0, 0] == 7
    RunProgress().say(f"evaluate {UNSAFE}")
    rows = pd.DataFrame({"image_id": ["=a\x1b[31m"], "height": [2.0], "psnr_db": [-1.5]})
    print_csv(rows, ROWS)
    print_table("set\x1b[2J", ["image_id"], [["=a\x1b[31m"]], texts=["image_id"])
    printed = capsys.readouterr()
    assert (printed.out + printed.err).replace("\n", "").isprintable()
    assert "'=a\\x1b[31m,2,-1.5" in printed.out

"""Guards exported points: full precision, the forms that other programs document, and no file of the user replaced."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pytest
from typer.testing import CliRunner

from uqdm.bench.analysis.curves import curves
from uqdm.bench.exchange.compressai_json import read_compressai
from uqdm.bench.exchange.export import export_run, run_curves
from uqdm.bench.exchange.points_csv import points_csv, read_points_csv
from uqdm.bench.run.rows_reader import read_rows
from uqdm.bench.run.summary_reader import read_summary
from uqdm.cli.main import app
from uqdm.output import OutputError

BATCH_SCHEMA = {
    "type": "object",
    "required": ["constant_descriptions", "constant_values", "field_descriptions", "field_values"],
    "additionalProperties": False,
    "properties": {
        "constant_descriptions": {"$ref": "#/$defs/descriptions"},
        "constant_values": {"type": "array", "items": {"type": "string"}},
        "field_descriptions": {"$ref": "#/$defs/descriptions"},
        "field_values": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "array", "items": {"type": ["string", "number"]}},
        },
    },
    "$defs": {
        "descriptions": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": {"type": "string"},
            },
        }
    },
}
"""A batch as the README of webmproject/codec-compare describes it (section "Plug data at serve time", commit 2cf3e27),
and its reader ``src/entry_loader.ts`` (commit 31c49e3) accepts it: objects of one name and one text, and values."""

KNOWN_FIELDS = {"original_name", "width", "height", "quality", "psnr", "ssim", "encoded_size"}
KNOWN_FIELDS |= {"encoding_time", "decoding_time"}
"""Fields of the run below that ``src/entry.ts`` (commit 084d2f6) gives a meaning, blanks for underscores."""


def test_csv_has_the_points_of_every_curve_to_the_last_digit(run: Path, tmp_path: Path) -> None:
    assert export_run(run, "csv", tmp_path / "points.csv").files == [tmp_path / "points.csv"]
    found, ignored = read_points_csv(tmp_path / "points.csv")
    assert ignored == ["dataset", "setting", "point", "reconstruction"]
    drawn = curves(read_summary(run))
    assert [curve.name for curve in found] == [curve.label for curve in drawn]
    for curve, expected in zip(found, drawn, strict=True):
        assert curve.points.bpp.tolist() == expected.points.rate_bpp.tolist()
        assert curve.points.psnr_db.tolist() == expected.points.psnr_db.tolist()
        assert curve.rate_kind == "file"
        assert "4 images of memory (4-" in curve.protocol
    assert points_csv(found) == points_csv(run_curves(run, read_summary(run)))


def test_compressai_files_have_lists_of_equal_length(run: Path, tmp_path: Path) -> None:
    files = export_run(run, "compressai", tmp_path / "made").files
    assert {path.name for path in files} >= {"jpeg.json"}
    content = json.loads((tmp_path / "made" / "jpeg.json").read_text())
    assert set(content) == {"name", "description", "results"}
    results = content["results"]
    summary = read_summary(run)
    jpeg = summary[summary.codec == "jpeg"]
    assert results["bpp"] == jpeg.bpp.tolist()
    assert results["psnr-rgb"] == jpeg.psnr_db.tolist()
    assert results["encoding_time"] == [value / 1000 for value in jpeg.encode_ms]
    assert {len(values) for values in results.values()} == {4}
    assert "ms-ssim-rgb" not in results  # the images are too small for it
    curve, _ = read_compressai(tmp_path / "made" / "jpeg.json")
    assert curve.points.psnr_db.tolist() == jpeg.psnr_db.tolist()


def read_batch(path: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """Constants and rows of a batch, read by the rules of codec-compare's page."""
    content = json.loads(path.read_text())
    jsonschema.validate(content, BATCH_SCHEMA)
    names = {key: [next(iter(one)) for one in content[f"{key}_descriptions"]] for key in ("constant", "field")}
    assert len(names["constant"]) == len(content["constant_values"])
    assert {len(row) for row in content["field_values"]} == {len(names["field"])}
    constants = dict(zip(names["constant"], content["constant_values"], strict=True))
    return constants, pd.DataFrame(content["field_values"], columns=names["field"])


def test_codec_compare_has_a_row_for_each_image_and_setting(run: Path, tmp_path: Path) -> None:
    files = export_run(run, "codec-compare", tmp_path / "made").files
    constants, rows = read_batch(tmp_path / "made" / "jpeg.json")
    assert {"name": "jpeg", "codec": "jpeg"}.items() <= constants.items()
    assert set(rows) >= KNOWN_FIELDS - {"ssim"}
    measured = read_rows(run, ["codec", "setting", "image_index", "image_id", "file_bits", "psnr_db", "width"])
    measured = measured[measured.codec == "jpeg"].sort_values(["setting", "image_index"])
    assert rows.original_name.tolist() == measured.image_id.tolist()
    assert (8 * rows.encoded_size).tolist() == measured.file_bits.tolist()
    assert rows.psnr.tolist() == measured.psnr_db.tolist()
    assert rows.quality.unique().tolist() == [10, 40, 70, 95]
    listed = json.loads((tmp_path / "made" / "batches.json").read_text())
    assert sorted(name for (name,) in listed) == sorted(path.name for path in files if path.name != "batches.json")


def test_codec_compare_has_lossless_codecs_with_a_finite_psnr(run: Path, tmp_path: Path) -> None:
    export_run(run, "codec-compare", tmp_path)
    constants, rows = read_batch(tmp_path / "png-lossless.json")
    assert constants["codec"] == "png"
    assert rows.psnr.unique().tolist() == [99.0]
    assert not any(math.isinf(value) for value in rows.select_dtypes("number").to_numpy().ravel())


def test_a_progressive_codec_has_its_points_and_kinds_of_pictures(run: Path, tmp_path: Path) -> None:
    files = export_run(run, "codec-compare", tmp_path).files
    (path, *_) = [path for path in files if path.name.startswith("toy-model") and "lossless" not in path.name]
    _, rows = read_batch(path)
    assert set(rows.point) <= set(read_rows(run, ["point"]).point)
    assert rows.reconstruction.nunique() == 1


def test_files_of_the_user_stay(run: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.csv").write_text("my notes\n")
    with pytest.raises(OutputError, match="not an earlier output"):
        export_run(run, "csv", tmp_path / "notes.csv")
    for _ in range(2):  # an earlier export is replaced
        done = CliRunner().invoke(app, ["bench", "export", str(run), "--out", str(tmp_path / "points.csv")])
        assert done.exit_code == 0, done.output
        assert done.stdout.split() == [str(tmp_path / "points.csv")]

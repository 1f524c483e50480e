"""Guards the summary: every mean against plain Python; exact images, failed and skipped codecs, mixed-up rows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from calls import python_calls
from summaries import summarized

from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.metrics import rows_schema, summary_schema
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.provenance import read_provenance
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.run.unscored import to_frame
from uqdm.bench.schema import UNSCORED

pytestmark = pytest.mark.slow


def make_row(image: int, psnr_db: float = 30.0, **changes: Any) -> dict[str, Any]:
    """A row of a codec `c` on 10 x 10 pixels."""
    row = {
        "dataset": "d",
        "fingerprint": "4-aa",
        "image_index": image,
        "image_id": f"image {image}",
        "height": 10,
        "width": 10,
        "codec": "c",
        "codec_version": "c 1",
        "setting": "q=1",
        "point": "full",
        "point_index": 0,
        "reconstruction": "decoded",
        "file_bits": 100 * (image + 1),
        "bpp": float(image + 1),
        "mse": 0.0 if math.isinf(psnr_db) else 255**2 / 10 ** (psnr_db / 10),
        "psnr_db": psnr_db,
        "encode_ms": 1.0,
        "decode_ms": 2.0,
        "batch_size": 1,
        "device": "cpu",
        "threads": 1,
        "encode_calls": 0,
        "decode_calls": 0,
        "macs_per_pixel": 0.0,
        "peak_memory_bytes": 2**27,
        "roundtrip_checked": True,
        "status": "ok",
    }
    return {**dict.fromkeys(rows_schema().names), **row, **changes}


def failed_row(image: int, **changes: Any) -> dict[str, Any]:
    without = ("point", "point_index", "reconstruction", "file_bits", "bpp", "mse", "psnr_db", "encode_ms", "decode_ms")
    return {**make_row(image), **dict.fromkeys(without), "status": "failed", "error": f"fault {image}", **changes}


def skipped_row(**changes: Any) -> dict[str, Any]:
    nulls = dict.fromkeys(rows_schema().names)
    kept = {"dataset": "d", "fingerprint": "4-aa", "codec": "gone", "setting": "", "status": "skipped"}
    return {**nulls, **kept, "error": "libgone is not installed; install it", **changes}


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    return to_frame(pa.Table.from_pylist(list(rows), rows_schema()))


def summary_of(*rows: dict[str, Any]) -> dict[str, Any]:
    (only,) = summarized(frame(*rows)).to_dict("records")
    return {str(name): value for name, value in only.items()}


def test_means_are_those_of_the_rows(measured_run: Path) -> None:
    """Every mean of real rows again, with loops and sums."""
    rows = pa.concat_tables(
        [pq.read_table(path) for path in (measured_run / "per_image").glob("*.parquet")]
    ).to_pylist()
    summary = pa.Table.from_pandas(summarized(frame(*rows)), summary_schema(), preserve_index=False).to_pylist()
    seen = 0
    for line in summary:
        of_line = [
            row
            for row in rows
            if row["status"] == "ok"
            and all(row[name] == line[name] for name in ("codec", "setting", "point", "reconstruction"))
        ]
        if line["status"] != "ok":
            assert line["n"] == len(of_line) == 0
            continue
        seen += len(of_line)
        inexact = [row["psnr_db"] for row in of_line if row["mse"] > 0]
        assert (line["n"], line["exact"]) == (len(of_line), len(of_line) - len(inexact))
        # Sums of seven values in another order: a few units in the last place.
        for name in ("bpp", "mse", "encode_ms", "decode_ms"):
            assert line[name] == pytest.approx(math.fsum(row[name] for row in of_line) / len(of_line), rel=1e-14)
        expected = math.fsum(inexact) / len(inexact) if inexact else math.inf
        assert line["psnr_db"] == pytest.approx(expected, rel=1e-14)
        ideal = [row["ideal_bits"] for row in of_line]
        pixels = of_line[0]["height"] * of_line[0]["width"]  # all of one size here
        assert line["ideal_bpp"] == (None if None in ideal else pytest.approx(math.fsum(ideal) / pixels / len(ideal)))
    assert seen == sum(row["status"] == "ok" for row in rows)


def test_exact_images_are_left_out_of_psnr_and_counted() -> None:
    line = summary_of(make_row(0, 30.0), make_row(1, 40.0), make_row(2, math.inf))
    assert (line["n"], line["exact"], line["psnr_db"], line["bpp"]) == (3, 1, 35.0, 2.0)
    assert 30 <= line["psnr_db_low"] < 35 < line["psnr_db_high"] <= 40
    assert line["mse"] == pytest.approx(255**2 * (1e-3 + 1e-4) / 3, rel=1e-14)


def test_all_exact_is_infinite_without_an_interval() -> None:
    line = summary_of(make_row(0, math.inf), make_row(1, math.inf))
    assert line["psnr_db"] == math.inf
    assert math.isnan(line["psnr_db_low"])
    assert math.isnan(line["psnr_db_high"])
    assert (line["bpp_low"], line["bpp_high"]) == (1, 2)


def test_one_image_has_no_interval() -> None:
    line = summary_of(make_row(0))
    assert line["bpp"] == 1
    assert all(math.isnan(line[name]) for name in ("bpp_low", "bpp_high", "psnr_db_low", "psnr_db_high"))


def test_costs_are_means_memory_the_largest_and_devices_are_joined() -> None:
    line = summary_of(
        make_row(0, batch_size=3, decode_calls=1, macs_per_pixel=5.0, peak_memory_bytes=10),
        make_row(1, batch_size=3, decode_calls=2, macs_per_pixel=7.0, peak_memory_bytes=30, device="cuda:GPU"),
    )
    assert (line["batch_size"], line["decode_calls"], line["macs_per_pixel"]) == (3, 1.5, 6)
    assert (line["peak_memory_bytes"], line["device"]) == (30, "cpu; cuda:GPU")


def test_unknown_costs_are_null() -> None:
    line = summary_of(make_row(0, encode_calls=None, macs_per_pixel=None), make_row(1, encode_calls=None))
    assert math.isnan(line["encode_calls"])
    assert line["macs_per_pixel"] == 0  # a mean over those that tell


def test_failed_and_successful_images_are_counted() -> None:
    line = summary_of(make_row(0), failed_row(1), failed_row(2))
    assert (line["n"], line["failed"], line["status"], line["error"]) == (1, 2, "ok", "fault 1")


def test_an_image_with_several_failed_rows_is_one_failed_image() -> None:
    assert summary_of(make_row(0), failed_row(1), failed_row(1))["failed"] == 1


def test_failures_count_at_each_point_of_their_setting_only() -> None:
    lines = summarized(
        frame(make_row(0), make_row(0, point="more", point_index=1), make_row(0, setting="q=2"), failed_row(1))
    )
    assert dict(zip(zip(lines.setting, lines.point, strict=True), lines.failed, strict=True)) == {
        ("q=1", "full"): 1,
        ("q=1", "more"): 1,
        ("q=2", "full"): 0,
    }


def test_a_setting_that_always_fails_is_a_failed_row() -> None:
    line = summary_of(failed_row(0), failed_row(1))
    assert (line["n"], line["failed"], line["status"], line["error"]) == (0, 2, "failed", "fault 0")
    assert pd.isna(line["point"])
    assert math.isnan(line["bpp"])


def test_a_skipped_codec_is_a_row_with_its_reason() -> None:
    lines = summarized(frame(make_row(0), skipped_row()))
    gone = lines[lines.codec == "gone"].iloc[0]
    assert (gone.n, gone.failed, gone.exact, gone.status) == (0, 0, 0, "skipped")
    assert gone.error == "libgone is not installed; install it"


def test_only_skipped_codecs_are_no_error() -> None:
    assert summary_of(skipped_row())["status"] == "skipped"


def test_ideal_rate_is_null_unless_every_image_has_one() -> None:
    assert summary_of(make_row(0, ideal_bits=50.0), make_row(1, ideal_bits=150.0))["ideal_bpp"] == 1.0
    assert math.isnan(summary_of(make_row(0, ideal_bits=50.0), make_row(1))["ideal_bpp"])


def test_two_contents_under_one_name_are_refused() -> None:
    with pytest.raises(ResultsError, match=r"'d' has rows of different contents .*4-aa: c.*9-bb: other.*same images"):
        summarized(frame(make_row(0), make_row(0, codec="other", fingerprint="9-bb")))


def test_two_data_sets_are_summarized_apart() -> None:
    lines = summarized(frame(make_row(0), make_row(0, dataset="e", fingerprint="9-bb", bpp=5.0)))
    assert dict(zip(lines.dataset, lines.bpp, strict=True)) == {"d": 1.0, "e": 5.0}


def test_two_versions_of_a_codec_in_one_setting_are_refused() -> None:
    with pytest.raises(ResultsError, match=r"c at 'q=1' on 'd' has rows of different versions \(c 1; c 2\)"):
        summarized(frame(make_row(0), make_row(1, codec_version="c 2")))


def test_a_picture_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ResultsError, match=r"1 row is there twice, the first for image 0 of 'd'"):
        summarized(frame(make_row(0), make_row(0), make_row(1)))


def test_a_measured_row_without_its_number_is_refused() -> None:
    with pytest.raises(ResultsError, match="status ok has no bpp"):
        summarized(frame(make_row(0, bpp=None)))


def test_no_rows_are_refused() -> None:
    with pytest.raises(ResultsError, match="evaluate a codec first"):
        summarized(frame())


def test_settings_are_in_order_of_their_rate() -> None:
    lines = summarized(
        frame(make_row(0, setting="q=10", bpp=2.0), make_row(0, setting="q=9"), make_row(0, setting="q=100", bpp=3.0))
    )
    assert list(lines.setting) == ["q=9", "q=10", "q=100"]


def test_the_file_has_the_schema_the_protocol_and_the_provenance_of_the_rows(finished_run: Path) -> None:
    schema = pq.read_schema(finished_run / "summary.parquet")
    assert schema.equals(summary_schema())
    assert [field.metadata for field in schema] == [field.metadata for field in summary_schema()]
    origin = read_provenance(schema)
    assert "2,000 resamples" in origin["protocol"]["intervals"]
    assert set(origin["rows"]) == {"toy-raw", "toy-model", "toy-faulty", "toy-absent"}
    assert origin["rows"]["toy-raw"]["packages"]["numpy"] == np.__version__


def test_csv_and_parquet_agree_to_the_last_bit(finished_run: Path) -> None:
    options = pyarrow.csv.ConvertOptions(
        column_types={field.name: field.type for field in summary_schema() if field.type != UNSCORED},
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,  # "" is an empty setting, nothing at all is null
    )
    table = pyarrow.csv.read_csv(finished_run / "summary.csv", convert_options=options)
    expected = pq.read_table(finished_run / "summary.parquet").drop_columns(["unscored"])
    assert set(table.column_names) == {*expected.column_names, "drop"}  # and the parameter of toy-raw
    assert table.select(expected.column_names).to_pylist() == expected.to_pylist()
    pandas = pd.read_csv(finished_run / "summary.csv")
    assert math.inf in list(pandas.psnr_db)


def test_reads_back_as_written(finished_run: Path) -> None:
    pd.testing.assert_frame_equal(summarize_run(finished_run), read_summary(finished_run), check_dtype=False)


def test_a_missing_folder_and_missing_rows_name_the_command(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"no run folder .*nowhere; make it with: uqdm bench evaluate"):
        summarize_run(tmp_path / "nowhere")
    with pytest.raises(ResultsError, match=r"no rows in .*per_image; make it with: uqdm bench evaluate"):
        summarize_run(tmp_path)
    with pytest.raises(ResultsError, match=r"no .*summary.parquet; make it with: uqdm bench summarize"):
        read_summary(tmp_path)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "per_image").mkdir()
    (tmp_path / "per_image" / "jpeg.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(ResultsError, match=r"jpeg.parquet: does not read as Parquet"):
        summarize_run(tmp_path)


def test_files_that_lack_a_column_are_named(tmp_path: Path) -> None:
    (tmp_path / "per_image").mkdir()
    pq.write_table(pa.table({"dataset": ["d"]}), tmp_path / "per_image" / "jpeg.parquet")
    with pytest.raises(ResultsError, match=r"jpeg.parquet: no column fingerprint, .*evaluate again"):
        summarize_run(tmp_path)


def test_half_written_files_are_ignored(measured_run: Path) -> None:
    hidden = measured_run / "per_image" / ".writing-elsewhere-1-aa-toy-raw.parquet"
    hidden.write_bytes(b"half")
    try:
        assert len(summarize_run(measured_run)) > 0
    finally:
        hidden.unlink()


def test_a_row_takes_at_most_two_calls_of_python_functions() -> None:
    few, many = rows_of_images(10), rows_of_images(1000)
    calls = [python_calls(lambda rows=rows: summarized(rows)) for rows in (few, many)]  # type: ignore[misc]
    assert calls[1] - calls[0] <= 2 * (len(many) - len(few))


def rows_of_images(count: int) -> pd.DataFrame:
    rows = frame(make_row(0)).loc[np.zeros(6 * count, int)].reset_index(drop=True)
    rows["image_index"] = np.tile(np.arange(count), 6)
    rows["setting"] = np.repeat([f"q={quality}" for quality in range(6)], count)
    generator = np.random.default_rng(0)
    return rows.assign(bpp=generator.gamma(2, 1, len(rows)), psnr_db=generator.normal(30, 3, len(rows)))

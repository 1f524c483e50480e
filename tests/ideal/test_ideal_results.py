"""Results of ideal codecs are always labelled as ideal."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from ideal_models import UNET, model_folder
from small_run import measure_run
from summaries import summarized
from typer.testing import CliRunner

from uqdm.bench.analysis.bd_table import make_bd_table
from uqdm.bench.analysis.compare_runs import compare_runs
from uqdm.bench.analysis.curves import curves, lossless
from uqdm.bench.analysis.picture_choice import progressive_settings
from uqdm.bench.analysis.short_table import lines, short_table
from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import open_dataset
from uqdm.bench.evaluation.measure import measure_images
from uqdm.bench.evaluation.selftest import self_test
from uqdm.bench.plots import find_plot
from uqdm.bench.report.figures import figure_data
from uqdm.bench.run.codec_settings import CodecSetting, requests_from_mapping
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.rates import NO_FILE
from uqdm.cli.main import app
from uqdm.codec import Codec, Encoded, check_parameters, codec_class, get_codec
from uqdm.model.zoo import KNOWN, shipped_names

pytestmark = pytest.mark.slow

EMPTY = [
    "file_bits",
    "payload_bits",
    "side_bits",
    "container_bits",
    "black_pixel_bits",
    "bpp",
    "encode_ms",
    "decode_ms",
    "roundtrip_checked",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = model_folder(tmp_path_factory.mktemp("model"), UNET)
    vdm = f"vdm:model={model},deviation=matched,points=4,reconstruct=denoise+flow"
    folder = tmp_path_factory.mktemp("run")
    measure_run(
        folder, open_dataset("demo", limit=3), vdm, "jpeg:quality=20", "jpeg:quality=50", "jpeg:quality=90", "png"
    )
    summarize_run(folder)
    return folder


@pytest.fixture(scope="module")
def rows(run: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in sorted((run / "per_image").glob("*.parquet"))])


@pytest.fixture(scope="module")
def summary(run: Path) -> pd.DataFrame:
    return pd.read_parquet(run / "summary.parquet")


def test_rows_have_ideal_bits_and_no_file_sizes(rows: pd.DataFrame) -> None:
    assert set(rows.status) == {"ok"}
    ideal, files = rows[rows.codec == "vdm"], rows[rows.codec != "vdm"]
    assert set(ideal.rate_kind) == {"ideal"}
    assert set(files.rate_kind) == {"file"}
    assert ideal[EMPTY].isna().all(axis=None)
    assert (ideal.ideal_bits >= 0).all()
    assert ideal.psnr_db.notna().all()  # scored from the records
    assert files[["file_bits", "bpp", "encode_ms", "roundtrip_checked"]].notna().all(axis=None)


def test_the_summary_has_the_ideal_rate_with_its_interval(rows: pd.DataFrame, summary: pd.DataFrame) -> None:
    ideal = summary[summary.codec == "vdm"]
    assert set(ideal.rate_kind) == {"ideal"}
    assert ideal[["bpp", "bpp_low", "bpp_high"]].isna().all(axis=None)
    assert (ideal.ideal_bpp_low <= ideal.ideal_bpp).all()
    assert (ideal.ideal_bpp <= ideal.ideal_bpp_high).all()
    for row in ideal.itertuples():
        own = rows[(rows.codec == "vdm") & (rows.point == row.point) & (rows.reconstruction == row.reconstruction)]
        assert row.ideal_bpp == pytest.approx((own.ideal_bits / (own.height * own.width)).mean(), rel=1e-12)
    assert summary[summary.codec == "jpeg"].ideal_bpp.isna().all()


def test_ideal_curves_are_labelled_as_ideal(summary: pd.DataFrame) -> None:
    drawn = {curve.label: curve for curve in curves(summary)}
    assert {label for label, curve in drawn.items() if curve.ideal} == {
        "vdm denoise (ideal, no file)",
        "vdm flow = DiffC-F (ideal, no file)",
    }
    assert all(NO_FILE in label for label, curve in drawn.items() if curve.codec == "vdm")
    assert not drawn["jpeg"].ideal
    assert lossless(summary).set_index("codec")["name"].to_dict() == {"vdm": "vdm (ideal, no file)", "png": "png"}
    assert {line.label for line in lines(summary)} == {*drawn, "png"}
    assert short_table(summary).count(NO_FILE) == 2


def test_ideal_codecs_without_a_curve_are_labelled_as_ideal(summary: pd.DataFrame) -> None:
    exact = summary[(summary.codec == "vdm") & (summary.exact == summary.n)]
    assert [line.label for line in lines(exact)] == ["vdm (ideal, no file)"]


def test_plots_draw_ideal_curves_dashed_with_a_note(run: Path) -> None:
    plot = find_plot("rate_distortion")
    figure = plot.draw(run)
    lower = figure.axes[1]
    styles = {line.get_label(): line for line in lower.lines if not line.get_label().startswith("_")}
    assert styles["jpeg"].get_linestyle() == "-"
    for label, line in styles.items():
        assert line.is_dashed() == label.startswith("vdm")
    legend = [text.get_text() for text in lower.get_legend().get_texts()]
    assert sum(NO_FILE in text for text in legend) == 2
    assert '"ideal, no file" in the legend: what ideal channel simulation would cost' in plot.caption(run)
    assert "vdm (ideal, no file)" in " ".join(text.get_text() for text in figure.axes[0].texts)


def test_report_plots_mark_ideal_curves(summary: pd.DataFrame) -> None:
    (data,) = figure_data(summary)["datasets"]
    for curve in data["curves"]:
        ideal = curve["codec"] == "vdm"
        assert curve["ideal"] == ideal
        assert (curve["look"]["dash"] in ("dash", "longdash", "4px,3px")) == ideal
        assert all(point["ideal"] == ideal for point in curve["points"])
        assert all(point["ideal_bpp"] is None and point["rate_bpp"][0] > 0 for point in curve["points"])
    assert {point["name"] for point in data["lossless"]} == {"vdm (ideal, no file)", "png"}


def test_ideal_codecs_are_not_in_the_progressive_figure(summary: pd.DataFrame) -> None:
    assert progressive_settings(summary) == []


def test_bd_deltas_label_ideal_rates(run: Path) -> None:
    table = make_bd_table(run)
    assert set(table.anchor) == {"jpeg"}
    assert set(table.curve) == {"vdm denoise (ideal, no file)", "vdm flow = DiffC-F (ideal, no file)"}
    against = make_bd_table(run, "vdm")
    assert all(anchor.endswith(NO_FILE) for anchor in against.anchor)


def test_ideal_curve_is_an_anchor_only_on_request(summary: pd.DataFrame) -> None:
    from uqdm.bench.analysis.bd_table import find_anchor

    renamed = summary.assign(codec=summary.codec.replace({"jpeg": "zip", "vdm": "a"}))
    found = find_anchor(renamed, curves(renamed), None)
    assert found is not None
    assert found.codec == "zip"


def test_comparison_keeps_ideal_rates_separate(run: Path) -> None:
    found = compare_runs(run, run, "vdm", "jpeg")
    assert "bpp" not in set(found.table.metric)
    assert "ideal_bpp" not in set(found.table.metric)  # jpeg has none
    assert any("rates of A are ideal, of no files" in note for note in found.notes)
    same = compare_runs(run, run, "vdm", "vdm").table
    assert "ideal_bpp" in set(same.metric)
    assert "bpp" not in set(same.metric)


def test_printed_tables_state_the_kind_of_rate(run: Path) -> None:
    found = CliRunner().invoke(app, ["bench", "show", str(run), "--sort", "bpp"], env={"COLUMNS": "250"})
    assert found.exit_code == 0, found.output
    assert "rate_kind" in found.output
    assert "ideal_bpp" in found.output
    listed = CliRunner().invoke(app, ["codecs", "--json"])
    assert {one["name"] for one in json.loads(listed.output) if one["ideal"]} == {"vdm", "remote-estimate"}


def test_doctor_tests_rates_and_pictures(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model", UNET)
    checks = self_test([CodecSetting("vdm", {"model": str(folder), "steps": 2, "reconstruct": "denoise"}, ideal=True)])
    assert [check.name for check in checks] == ["rates and pictures", "better with every point"]
    assert checks[0].ok


def test_runs_of_the_configuration_name_known_codecs_and_models() -> None:
    path = Path(__file__).parents[2] / "config" / "gaussian_twin.yaml"
    runs = yaml.safe_load(path.read_text())["runs"]
    requests = [one for run in runs.values() for one in requests_from_mapping(run["codecs"])]
    assert {request.name for request in requests} == {"uqdm", "vdm", "jpeg"}
    for request in requests:
        found = check_parameters(codec_class(request.name), request.parameters or {})
        assert found.get("model", "uqdm-pixel") in {*KNOWN, *shipped_names()}


def test_rows_with_file_and_ideal_rates_are_refused(rows: pd.DataFrame) -> None:
    mixed = rows.assign(bpp=rows.bpp.fillna(1.0))
    with pytest.raises(ResultsError, match="vdm: rows of ideal rates have bits of files"):
        summarized(mixed)
    without = rows.assign(ideal_bits=math.nan)
    with pytest.raises(ResultsError, match=r"vdm at .* has no bpp"):
        summarized(without)


UNKNOWN = "bits must be known at every point, and not fall"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({}, UNKNOWN),
        ({"step 0": 2.0}, UNKNOWN),
        ({"step 0": -1.0}, UNKNOWN),
        ({"step 0": math.nan}, "ideal_bits of 'step 0' is nan, not finite"),
    ],
)
def test_ideal_codec_must_report_its_bits(tmp_path: Path, wrong: dict[str, float], reason: str) -> None:
    codec = get_codec("vdm", model=str(model_folder(tmp_path / "model", UNET)), reconstruct="denoise", points=1)
    (image,) = [np.zeros((8, 8, 3), np.uint8)]
    (made,) = codec.encode_detailed([image])
    told = {**made.ideal_bits, **wrong} if wrong else {}
    told |= {"lossless": 1.0} if wrong == {"step 0": 2.0} else {}

    class Untold(type(codec)):  # type: ignore[misc]
        def encode_detailed(self, images: object) -> list[Encoded]:
            return [Encoded(made.stream, told)]

    untold: Codec = Untold(**codec.values)
    (row,) = measure_images(untold, untold, [image]).rows
    assert row["status"] == "failed"
    assert reason in row["error"]

"""Guards imported curves: read to the last digit, described, drawn dashed, and no part of any statistics."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from uqdm.bench.analysis.bd_table import make_bd_table
from uqdm.bench.analysis.merge_runs import merge_runs
from uqdm.bench.analysis.short_table import closing_message
from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.exchange.export import export_run, run_curves
from uqdm.bench.exchange.imported import About, import_points, imported_curves, imported_note, legend_of
from uqdm.bench.exchange.rd_curve import PointsError
from uqdm.bench.plots import rate_distortion
from uqdm.bench.report.figures import figure_data
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.summary_reader import read_summary
from uqdm.cli.main import app

THEIRS = """Curve,Rate,PSNR,ssim,remark,protocol,rate_kind
VTM,0.9,31.2,0.90,x,"VTM 23, intra",bitstream
VTM,0.4,27.5,0.83,,"VTM 23, intra",bitstream
ELIC,0.35,28.0,,,Figure 5,estimate
"""


@pytest.fixture
def own_run(run: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may import into."""
    return Path(shutil.copytree(run, tmp_path / "run"))


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    path = tmp_path / "theirs.csv"
    path.write_text(THEIRS)
    return path


def test_an_exported_run_is_read_to_the_last_digit(run: Path, own_run: Path, tmp_path: Path) -> None:
    export_run(run, "csv", tmp_path / "points.csv")
    import_points(own_run, tmp_path / "points.csv", About())
    expected = sorted(run_curves(run, read_summary(run)), key=lambda curve: curve.name)
    for curve, other in zip(imported_curves(own_run), expected, strict=True):
        assert (curve.name, curve.rate_kind, curve.protocol) == (other.name, other.rate_kind, other.protocol)
        assert curve.points.to_dict("list") == other.points[list(curve.points)].to_dict("list")


def test_a_table_of_others_is_read_by_the_names_of_its_columns(own_run: Path, theirs: Path) -> None:
    imported = import_points(own_run, theirs, About(source="their repository"))
    assert imported.ignored == ["remark"]
    elic, vtm = imported_curves(own_run)
    assert vtm.points.bpp.tolist() == [0.4, 0.9]  # in order of rate
    assert vtm.points.psnr_db.tolist() == [27.5, 31.2]
    assert (vtm.rate_kind, vtm.protocol, vtm.source) == ("bitstream", "VTM 23, intra", "their repository")
    assert (elic.rate_kind, elic.metrics) == ("ideal", ["psnr_db"])


def test_compressai_files_are_read(own_run: Path, tmp_path: Path) -> None:
    results = {"bpp": [0.5, 0.2], "psnr-rgb": [30.0, 26.0], "ms-ssim-rgb": [0.97, 0.9], "encoding_time": [1.0, 1.0]}
    path = tmp_path / "mbt2018.json"
    path.write_text(json.dumps({"name": "mbt2018", "description": "Inference (ans)", "results": results}))
    import_points(own_run, path, About(rate_kind="bitstream"))
    (curve,) = imported_curves(own_run)
    assert (curve.name, curve.protocol, curve.source) == ("mbt2018", "Inference (ans)", "mbt2018.json")
    assert curve.points.ms_ssim.tolist() == [0.9, 0.97]


def test_imported_curves_enter_no_statistics(run: Path, own_run: Path, theirs: Path) -> None:
    import_points(own_run, theirs, About())
    summarize_run(own_run)
    assert read_summary(own_run).equals(read_summary(run))
    assert make_bd_table(own_run).equals(make_bd_table(run))
    assert "VTM" not in closing_message(own_run)
    figures = figure_data(read_summary(own_run), imported=imported_curves(own_run))
    assert figures["datasets"] == figure_data(read_summary(run))["datasets"]


def test_they_are_drawn_dashed_with_their_protocol(own_run: Path, theirs: Path) -> None:
    import_points(own_run, theirs, About())
    (axes,) = rate_distortion.draw(own_run).axes[1:]
    assert axes.get_legend() is not None
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts[-2:] == ["ELIC, imported (ideal)", "VTM, imported (bitstream)"]
    (line,) = [line for line in axes.get_lines() if list(line.get_ydata()) == [27.5, 31.2]]
    assert line.get_linestyle() == "--"
    assert axes.get_xlim()[0] <= 0.35  # the axis reaches them
    assert "not measured here. ELIC: Figure 5 (theirs.csv); VTM: VTM 23, intra" in rate_distortion.caption(own_run)
    elic, vtm = figure_data(read_summary(own_run), imported=imported_curves(own_run))["imported"]
    assert (vtm["look"]["dash"], vtm["protocol"]) == ("dash", "VTM 23, intra")
    assert elic["look"]["colour"] != vtm["look"]["colour"]


def test_many_curves_take_one_line_of_the_legend(own_run: Path, tmp_path: Path) -> None:
    rows = [f"system {number},{number + 1},30,p" for number in range(40)]
    (tmp_path / "many.csv").write_text("\n".join(["curve,bpp,psnr_db,protocol", *rows]))
    import_points(own_run, tmp_path / "many.csv", About())
    found = imported_curves(own_run)
    assert legend_of(found) == ["40 imported curves"]
    assert imported_note(found).endswith("; 34 more, whose protocols are in the files of imported/.")


def test_a_second_import_replaces_and_a_removed_file_is_gone(own_run: Path, theirs: Path) -> None:
    for _ in range(2):
        paths = list(import_points(own_run, theirs, About()).curves)
    assert [curve.name for curve in imported_curves(own_run)] == ["ELIC", "VTM"]
    paths[0].unlink()
    assert [curve.name for curve in imported_curves(own_run)] == ["ELIC"]


def test_merged_runs_keep_the_imported_curves_of_all(run: Path, own_run: Path, theirs: Path, tmp_path: Path) -> None:
    import_points(own_run, theirs, About())
    merge_runs([run, own_run], tmp_path / "both")
    assert [curve.name for curve in imported_curves(tmp_path / "both")] == ["ELIC", "VTM"]


@pytest.mark.parametrize(
    ("text", "about", "message"),
    [
        ("bpp,psnr_db\n1,30\n", About(protocol="p"), "the curve has no name; give it one with --name"),
        ("bpp,psnr_db\n1,30\n", About(name="a"), "how were the figures made"),
        (THEIRS, About(name="a"), r"has 2 curves, which it names itself \(VTM, ELIC\); leave out --name"),
        ("bpp,psnr_db\n1,30\n", About("a", "p", "bits"), r"no kind of rate 'bits' .*known: file \(size of a file\)"),
        ("bpp,psnr_db\n1,x\n", About("a", "p"), "psnr_db is 'x', not a number"),
        ("bpp,psnr_db\n-1,30\n", About("a", "p"), "bpp is -1; a rate is a positive number"),
        ("bpp,ms_ssim\n1,15\n", About("a", "p"), "ms_ssim is 15 at 1 bpp, outside of 0 to 1: is it in dB"),
        ("bpp,speed\n1,15\n", About("a", "p"), "no points with a rate and a metric; metrics are .*psnr_db"),
        ("psnr_db\n30\n", About("a", "p"), "no column bpp; it has: psnr_db"),
        ("bpp,psnr_db\n1,30,2\n", About("a", "p"), "row 2 has 3 cells, the row of column names 2"),
        ("bpp,psnr_db\n", About("a", "p"), "no rows below a row of column names"),
        ("{", About("a", "p"), "does not read as JSON"),
        ('{"results": {"psnr-rgb": [1]}}', About("a", "p"), "expected the JSON of CompressAI"),
        ('{"results": {"bpp": [1, 2], "psnr-rgb": [30]}}', About("a", "p"), "as many as in bpp"),
    ],
)
def test_wrong_files_are_refused_with_the_remedy(
    own_run: Path, tmp_path: Path, text: str, about: About, message: str
) -> None:
    (tmp_path / "theirs").write_text(text)
    with pytest.raises(PointsError, match=message):
        import_points(own_run, tmp_path / "theirs", about)
    assert imported_curves(own_run) == []


def test_the_command_says_what_it_stored_and_what_it_ignored(own_run: Path, theirs: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["bench", "import", str(theirs), "--run", str(own_run)])
    assert done.exit_code == 0, done.output
    assert "VTM: 2 points, psnr_db, ssim" in done.stdout
    assert "note: ignored: remark" in done.stderr
    with pytest.raises(ResultsError, match="not the folder of a run"):
        import_points(tmp_path, theirs, About())
    (own_run / "imported" / "broken.csv").write_text("nothing")
    with pytest.raises(ResultsError, match=r"import it again, or remove .*broken\.csv"):
        imported_curves(own_run)

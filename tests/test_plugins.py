"""Plug-ins of other packages: a broken one is left out with its name, and does not affect others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import uqdm.codec
from uqdm.bench import metrics, plots
from uqdm.bench.datasets import DataSetError, broken_datasets, open_dataset
from uqdm.bench.datasets._registry import DATA_SETS
from uqdm.bench.plots import all_plots, broken_plots, find_plot
from uqdm.bench.run.codec_settings import Request, resolve
from uqdm.bench.run.score_store import PictureKey
from uqdm.bench.scoring.pictures import Scored, ScoreJob
from uqdm.cli.main import app
from uqdm.codec import CodecUnavailableError, UnknownCodecError, broken_codecs, codec_class, codec_names
from uqdm.plugins import check_column, check_name
from uqdm.registry import find

CODEC = """
from uqdm.codec import Codec
class Good(Codec):
    name = "zz-good"
    version = "1"
    def encode(self, images): return [b"x" for _ in images]
    def decode(self, streams): raise ValueError
class BadSweep(Good):
    name = "zz-sweep"
    sweep = None
class BadParameters(Good):
    name = "zz-parameters"
    parameters = ("quality",)
NUMBER = 3
"""

METRIC = """
from uqdm.bench.metrics import Metric
def make(**values):
    shared = dict(label="L", unit="", direction="lower", value_range=(0, 1), source="-", comment="c", compute=max)
    return Metric(**{**shared, "name": "zz_good", **values})
GOOD, TWIN, TAKEN = make(), make(label="twin"), make(name="bpp")
ENDS, DIRECTION, RANGE = make(name="psnr_db_low"), make(name="a", direction="up"), make(name="b", value_range=(1, 0))
NAME, TEXT, COMPUTE = make(name="a/b"), make(name="c", label="\\x1b[31m"), make(name="d", compute=None)
"""


def _install(folder: Path, package: str, source: str, entry_points: str) -> None:
    information = folder / f"{package}-1.0.dist-info"
    information.mkdir()
    (folder / f"{package}.py").write_text(source)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(entry_points)


def _forget() -> None:
    uqdm.codec.CODECS.forget()
    metrics.METRICS.forget()
    DATA_SETS.forget()
    plots.PLOTS.forget()


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Packages with faults of all kinds, and a good codec and metric among them."""
    folder = tmp_path_factory.mktemp("plugins")
    codecs = "zz-good = zzcodec:Good\nzz-sweep = zzcodec:BadSweep\nzz-parameters = zzcodec:BadParameters\n"
    codecs += "zz-number = zzcodec:NUMBER\nzz-none = zzcodec:Nowhere\nzz-syntax = zzsyntax:X\nzz-value = 12 !\n"
    codecs += "zz-exit = zzexit:X\nzz-library = zzlibrary:X\nzz-stop = zzstop:X\n"
    codecs += "../up = zzcodec:Good\na:b = zzcodec:Good\na,b = zzcodec:Good\n.zz = zzcodec:Good\nzz b = zzcodec:Good\n"
    codecs += f"{'z' * 65} = zzcodec:Good\n\x1b[31m = zzcodec:Good\njpeg = zzcodec:Good\nJPEG = zzcodec:Good\n"
    names = ["GOOD", "TAKEN", "ENDS", "DIRECTION", "RANGE", "NAME", "TEXT", "COMPUTE"]
    listed = "".join(f"zz-{name.lower()} = zzmetric:{name}\n" for name in names)
    listed += "zz-twin = zzmetric:TWIN\nzz-vmaf = zzlibrary:METRIC\nzz-exit = zzexit:METRIC\nzz-codec = zzcodec:Good\n"
    sets = "zzset = zzlibrary:Set\ndemo = zzcodec:Good\nzzodd = zzcodec:NUMBER\n"
    groups = f"[uqdm.codecs]\n{codecs}[uqdm.metrics]\n{listed}[uqdm.datasets]\n{sets}"
    _install(folder, "zzcodec", CODEC, groups)
    _install(folder, "zzmetric", METRIC, "")
    _install(folder, "zzsyntax", "def", "[uqdm.codecs]\nzz-twice = zzsyntax:X\n")
    _install(folder, "zzexit", "raise SystemExit('bye')", "[uqdm.codecs]\nzz-twice = zzexit:X\n")
    _install(folder, "zzlibrary", "import ctypes\nctypes.CDLL('libnot-here.so.7')", "")
    _install(folder, "zzstop", "raise KeyboardInterrupt", "")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        _forget()
        yield folder
    _forget()


REASONS = {
    "zz-sweep": "TypeError",
    "zz-parameters": "parameters must be uqdm.codec.Parameter",
    "zz-number": "3 is not a subclass",
    "zz-none": "Nowhere",
    "zz-syntax": "SyntaxError",
    "zz-value": "not MODULE:OBJECT",
    "zz-exit": "SystemExit: bye",
    "zz-library": "libnot-here.so.7",
    "zz-stop": "KeyboardInterrupt",
    "zz-twice": "registered twice: zz",
}


def test_a_broken_codec_is_skipped_with_its_name_and_the_others_run(plugins: Path) -> None:
    found = resolve([Request(name) for name in ("png", *REASONS, "zz-good")])
    assert found["png"][0].missing is None
    assert found["zz-good"][0].missing is None
    for name, reason in REASONS.items():
        (codec_setting,) = found[name]
        assert name in str(codec_setting.missing)
        assert reason in str(codec_setting.missing)
    with pytest.raises(CodecUnavailableError, match=r"'zz-exit' \(zzexit:X\) does not load: .*SystemExit: bye"):
        codec_class("zz-exit")


def test_names_unsafe_in_paths_or_command_lines_are_left_out(plugins: Path) -> None:
    names = codec_names()
    assert {"zz-good", "jpeg", "zz-twice"} <= set(names)
    assert all(check_name("codec", name) == name for name in names)
    left_out = {one.name: one.reason for one in broken_codecs()}
    assert {"../up", "a:b", "a,b", ".zz", "zz b", r"\x1b[31m", "jpeg", "JPEG"} <= left_out.keys()
    assert "letters, digits" in left_out["../up"]
    assert "'jpeg' is taken by uqdm_baselines.jpeg:JPEG of uqdm" in left_out["jpeg"]
    assert codec_class("jpeg").__module__ == "uqdm_baselines.jpeg"
    with pytest.raises(UnknownCodecError, match=r"no codec '\.\./up'.*left out: codec '\.\./up' \(zzcodec:Good of zzc"):
        codec_class("../up")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a:b", "a,b", "-a", " a", "a\n", "a.", "ä", "a" * 65])
def test_a_name_is_refused_by_registration_and_as_a_column(name: str) -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        uqdm.codec.register_codec(type("Odd", (codec_class("png"),), {"name": name}))
    with pytest.raises(ValueError, match="letters, digits"):
        check_column("metric", name)


def test_a_broken_metric_is_left_out_and_the_others_stay(plugins: Path) -> None:
    assert {"mse", "psnr_db", "zz_good"} <= {metric.name for metric in metrics.declared()}
    reasons = {one.name: one.reason for one in metrics.broken_metrics()}
    expected = {
        "zz-vmaf": "libnot-here.so.7",
        "zz-exit": "SystemExit: bye",
        "zz-codec": "is not a Metric",
        "zz-twin": "'zz_good' is taken by zzmetric:GOOD of zz",
        "zz-taken": "'bpp' is taken by the results",
        "zz-ends": "'psnr_db_low' is taken",
        "zz-direction": "expected 'lower' or 'higher'",
        "zz-range": "value_range",
        "zz-name": "letters, digits and _",
        "zz-text": "label",
        "zz-compute": "compute is NoneType",
    }
    assert {name: expected[name] in reason for name, reason in reasons.items()} == dict.fromkeys(expected, True)
    with pytest.raises(ValueError, match=r"no metric 'zz-vmaf'.*left out: metric 'zz-vmaf'.*libnot-here"):
        metrics.check_names(["zz-vmaf"])


def test_a_metric_of_another_package_is_computed_separately(plugins: Path) -> None:
    picture = PictureKey(0, "full", "decoded", "00")
    shard: Any = None
    job = ScoreJob(shard, shard, (picture,), metrics.all_metrics())
    own, other = job.apart()
    assert [metric.name for metric in other.metrics] == ["zz_good"]
    assert {"mse", "psnr_db"} <= {metric.name for metric in own.metrics}
    assert (own.is_first, other.is_first) == (True, False)
    # A worker that dies with a plug-in metric costs that metric, but not the picture.
    assert other.fail([], "worker lost") == [Scored(picture, reasons={"zz_good": "worker lost"})]
    assert own.fail([], "worker lost") == [Scored(picture, fault="worker lost")]
    assert [part.is_first for part in ScoreJob(shard, shard, (), other.metrics).apart()] == [True]


def test_a_broken_data_set_does_not_affect_others(plugins: Path) -> None:
    assert len(open_dataset("demo", limit=1)) == 1
    with pytest.raises(DataSetError, match=r"'zzset' \(zzlibrary:Set\) does not load: .*libnot-here"):
        open_dataset("zzset")
    reasons = {one.name: one.reason for one in broken_datasets()}
    assert "'demo' is taken" in reasons["demo"]
    assert "libnot-here" in reasons["zzset"]
    assert "is not a DataSet" in reasons["zzodd"]


def test_a_broken_plot_does_not_affect_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "zzplot.py").write_text("raise SystemExit('no display')")
    (tmp_path / "zzname.py").write_text("from uqdm.bench.plots.progressive import PLOT")
    monkeypatch.setattr(plots, "__path__", [*plots.__path__, str(tmp_path)])
    plots.PLOTS.forget()
    try:
        assert {"progressive", "rate_distortion"} <= {plot.name for plot in all_plots()}
        reasons = {one.name: one.reason for one in broken_plots()}
        assert "SystemExit: no display" in reasons["zzplot"]
        assert "its module" in reasons["zzname"]
        with pytest.raises(LookupError, match=r"plot 'zzplot' \(uqdm.bench.plots.zzplot\) does not load: .*no display"):
            find_plot("zzplot")
    finally:
        plots.PLOTS.forget()


def test_commands_list_left_out_plug_ins(plugins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uqdm.cli.codecs.codec_names", lambda: ["png", *REASONS])
    monkeypatch.setattr("uqdm.codec.codec_names", lambda: ["png"])
    done = CliRunner().invoke(app, ["codecs", "--json"])
    assert done.exit_code == 0
    listed = {entry["name"]: entry["missing"] for entry in json.loads(done.stdout)}
    assert listed["png"] is None
    assert all(reason in listed[name] for name, reason in REASONS.items())
    assert listed["../up"].startswith("SKIPPED (zzcodec:Good of zzcodec): codec name '../up'")
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 0, done.output
    assert done.stdout.replace("\n", "").isprintable()
    for name in ("../up", "zz-vmaf", "zzset"):
        (line,) = [line for line in done.stdout.splitlines() if line.startswith(f"SKIPPED   {name} ")]
        assert " of zzcodec" in line


def test_entry_points_that_do_not_parse_do_not_hide_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(tmp_path, "zzmangled", "", "[uqdm.codecs]\nno equals sign\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = find("codec", "uqdm.codecs")
    assert {"png", "jpeg"} <= found.usable.keys()

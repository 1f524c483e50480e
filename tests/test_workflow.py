"""Guards the whole workflow: real images with every available codec, its rows, and its resumption."""

from __future__ import annotations

import importlib.metadata
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import new_plot
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio
from typer.testing import CliRunner

from uqdm.bench.datasets import open_dataset
from uqdm.bench.progress.status import run_status
from uqdm.bench.run.layout import lock_path
from uqdm.cli.main import app
from uqdm.codec import ENTRY_POINT_GROUP, CodecUnavailableError, get_codec
from uqdm.text import counted

pytestmark = pytest.mark.workflow

ROOT = Path(__file__).resolve().parents[1]
N_IMAGES = 4
N_WHOLE = 2
"""Images of the run of every codec, each a shard of its own."""
PRINTED = "printed.txt"
OWN = importlib.metadata.distribution("uqdm").entry_points.select(group=ENTRY_POINT_GROUP)
CODECS = sorted(entry_point.name for entry_point in OWN)  # not those of packages that happen to be installed too
PILLOW_READS = {"jpeg", "jpeg2000", "png", "webp"}  # without a plugin, so independently of the code that wrote the rows
QUICK = {"ddcm": {"steps": 8}, "turbo-ddcm": {"vectors": [2, 5]}}
"""Settings of codecs whose default ones call a network some hundred times for a picture."""
EXACT = 1e-12
"""Relative difference of scores of equal pictures: both are exact up to one rounding."""
ROUNDED = 1e-3
"""Of pictures that a codec declares to vary: this process decodes with other batches and threads, and some values of
some channels round to the next level."""
PRODUCTS = ("scores.json", "summary.parquet", "summary.csv", "summary_columns.csv", "bd.csv", "report.html")
PRODUCTS += tuple(f"plots/rate_distortion.{suffix}" for suffix in ("png", "svg", "pdf"))


def snakemake_command(folder: Path, *arguments: str) -> list[str]:
    command = [sys.executable, "-m", "snakemake", *arguments, "--cores", "2", "--snakefile", str(ROOT / "Snakefile")]
    return [*command, "--directory", str(folder), "--configfile", str(folder / "config.yaml")]


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = snakemake_command(folder, *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=False, env=quiet_environment())


def quiet_environment() -> dict[str, str]:
    """One thread a process, and no cluster of the user who runs the tests."""
    return {**{k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}, "OMP_NUM_THREADS": "1"}


def configure(
    folder: Path,
    codecs: Mapping[str, Any],
    *,
    shard_size: int = 3,
    metrics: Sequence[str] = ("psnr_db",),
    dataset: str = "demo",
    limit: int = N_IMAGES,
) -> None:
    run = {"dataset": dataset, "limit": limit, "codecs": dict(codecs)}
    score = {"metrics": list(metrics)}  # not all: FID's network may be absent, and is slow
    config = {"evaluate": {"shard_size": shard_size}, "score": score, "runs": {"small": run}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def read(run_dir: Path, table: str) -> pd.DataFrame:
    found = pd.concat([pd.read_parquet(path) for path in sorted((run_dir / table).rglob("*.parquet"))])
    return found.astype({"image_index": "Int64"})  # null in skipped rows


def files_with_times(run_dir: Path) -> dict[Path, int]:
    """Finished shards; an active run also has temporary files, which vanish."""
    return {path: path.stat().st_mtime_ns for path in sorted((run_dir / "shards").rglob("[!.]*.parquet"))}


def runs_here(name: str) -> bool:
    try:
        return bool(get_codec(name).version)
    except CodecUnavailableError:
        return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run: two images, every codec, each at its default settings unless these take minutes."""
    folder = tmp_path_factory.mktemp("workflow")
    configure(folder, {**dict.fromkeys(CODECS), **QUICK}, shard_size=1, limit=N_WHOLE)
    done = snakemake(folder)
    assert done.returncode == 0, done.stderr
    (folder / PRINTED).write_text(done.stderr)
    return folder


@pytest.fixture(scope="module")
def run_dir(folder: Path) -> Path:
    return folder / "results" / "small"


@pytest.fixture(scope="module")
def rows(run_dir: Path) -> pd.DataFrame:
    return read(run_dir, "per_image")


@pytest.fixture(scope="module")
def streams(run_dir: Path) -> pd.DataFrame:
    return read(run_dir, "streams")


@pytest.fixture(scope="module")
def images_uint8() -> list[np.ndarray]:
    dataset = open_dataset("demo", limit=N_IMAGES)
    return [dataset.load(index) for index in range(N_IMAGES)]


def test_every_product_exists(run_dir: Path) -> None:
    assert [name for name in PRODUCTS if not (run_dir / name).is_file()] == []


def test_every_codec_that_runs_here_is_ok_on_every_image(rows: pd.DataFrame) -> None:
    assert set(rows["codec"]) == set(CODECS)
    here = rows[rows["codec"].map(runs_here)]
    assert len(here)
    assert here.loc[here["status"] != "ok", ["codec", "error"]].to_numpy().tolist() == []
    assert set(rows.loc[~rows["codec"].map(runs_here), "status"]) <= {"skipped"}
    key = ["codec", "setting", "point", "reconstruction"]
    assert set(here.groupby(key)["image_index"].nunique()) == {N_WHOLE}
    assert not here.duplicated([*key, "image_index"]).any()


def test_file_bits_are_those_of_the_stored_streams(rows: pd.DataFrame, streams: pd.DataFrame) -> None:
    key = ["codec", "setting", "image_index"]
    ok = rows[(rows["status"] == "ok") & (rows["rate_kind"] == "file")]
    whole = ok.groupby(key)["file_bits"].max()  # the last point is the whole file
    stored = streams[streams["codec"].isin(set(ok["codec"]))].set_index(key)["stream"].map(len) * 8
    pd.testing.assert_series_equal(whole.sort_index(), stored.sort_index(), check_names=False, check_dtype=False)


def test_bpp_is_file_bits_over_pixels(rows: pd.DataFrame) -> None:
    ok = rows[(rows["status"] == "ok") & (rows["rate_kind"] == "file")]
    assert (ok["bpp"] == ok["file_bits"] / (ok["height"] * ok["width"])).all()


def test_ideal_codecs_have_ideal_bits_and_records_that_say_what_they_are(
    rows: pd.DataFrame, streams: pd.DataFrame
) -> None:
    ideal = rows[rows["rate_kind"] == "ideal"]
    assert set(ideal["codec"]) == {"vdm"}
    assert ideal[["bpp", "file_bits"]].isna().all(axis=None)
    assert ideal[["ideal_bits", "psnr_db"]].notna().all(axis=None)
    records = streams[streams["codec"] == "vdm"]
    assert set(records["suffix"]) == {".ideal-record"}
    assert all(stream.startswith(b"uqdm ideal record") for stream in records["stream"])


def test_psnr_equals_that_of_streams_decoded_by_pillow_alone(
    rows: pd.DataFrame, streams: pd.DataFrame, images_uint8: list[np.ndarray]
) -> None:
    checked = rows[rows["codec"].isin(PILLOW_READS) & (rows["status"] == "ok")].astype({"image_index": int})
    stored = streams.set_index(["codec", "setting", "image_index"])["stream"]
    assert len(checked)
    for row in checked.itertuples():
        with Image.open(io.BytesIO(stored[row.codec, row.setting, row.image_index])) as picture:
            decoded = np.asarray(picture.convert("RGB"))
        check_scores(row, images_uint8[row.image_index], decoded)


def test_psnr_equals_that_of_pictures_decoded_anew_from_the_streams(
    rows: pd.DataFrame, streams: pd.DataFrame, images_uint8: list[np.ndarray]
) -> None:
    checked = rows[~rows["codec"].isin(PILLOW_READS) & (rows["status"] == "ok") & (rows["image_index"] < 2)]
    checked = checked[checked["rate_kind"] == "file"]  # records of ideal codecs are not streams
    pictures = checked.set_index(["codec", "setting", "image_index", "point", "reconstruction"])
    assert len(checked)
    stored = streams[streams["codec"].isin(set(checked["codec"])) & (streams["image_index"] < 2)]
    for stream in stored.itertuples():
        codec = get_codec(stream.codec)  # decoding must not need the encoder's settings
        for picture in codec.reconstructions(stream.stream):
            key = (stream.codec, stream.setting, stream.image_index, picture.point.name, picture.name)
            rel = ROUNDED if picture.name in codec.varying_reconstructions else EXACT
            check_scores(pictures.loc[key], images_uint8[stream.image_index], picture.image_uint8, rel)


def check_scores(row: Any, original: np.ndarray, decoded: np.ndarray, rel: float = EXACT) -> None:
    error = np.mean((original.astype(np.float64) - decoded) ** 2)
    assert row.mse == pytest.approx(error, rel=rel)
    if error:
        expected = peak_signal_noise_ratio(original, decoded, data_range=255)
        assert row.psnr_db == pytest.approx(expected, rel=rel)
    else:
        assert row.psnr_db == np.inf


def test_show_lists_every_codec_and_the_products(run_dir: Path) -> None:
    """Of codecs that cannot run here, three are named, and the others are counted."""
    shown = CliRunner().invoke(app, ["bench", "show", str(run_dir)]).stdout
    left_out = [name for name in CODECS if name not in shown]
    assert not any(map(runs_here, left_out)), shown
    skipped = [name for name in CODECS if f"{name} skipped: " in shown]
    assert len(skipped) == min(3, len(skipped) + len(left_out))
    assert left_out == [] or f"... and {counted(len(left_out), 'reason')} more" in shown
    assert all(str(run_dir / name) in shown for name in ("report.html", "plots", "summary.parquet", "per_image"))


def test_a_second_run_finds_nothing_to_do(folder: Path, run_dir: Path) -> None:
    before = files_with_times(run_dir)
    done = snakemake(folder)
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr
    assert files_with_times(run_dir) == before


ODD_NAME = "-set#1 {run} $HOME 'x,y:z' [*]? é"


def test_added_codecs_and_images_do_not_repeat_others(tmp_path: Path, images_uint8: list[np.ndarray]) -> None:
    """In a folder whose name has special characters of Snakemake, the shell and specs."""
    images = tmp_path / ODD_NAME
    (images / "sub").mkdir(parents=True)
    for index, image in enumerate(images_uint8):
        Image.fromarray(image).save(images / "sub" / f"{index} {{run}}#.bmp")
    configure(tmp_path, {"png": None}, dataset=f"folder:{ODD_NAME}")
    assert snakemake(tmp_path, "results/small/evaluation.json").returncode == 0
    run_dir = tmp_path / "results" / "small"
    before = files_with_times(run_dir)
    configure(tmp_path, {"png": None, "jpeg": [{"quality": 50}]}, dataset=f"folder:{ODD_NAME}")
    done = snakemake(tmp_path, "results/small/evaluation.json")
    assert done.returncode == 0, done.stderr
    after = files_with_times(run_dir)
    assert before.items() <= after.items()
    assert len(after) == 2 * len(before)
    assert set(read(run_dir, "per_image")["setting"]) == {"", "quality=50"}
    images.touch()
    (images / "sub" / "3 {run}#.bmp").touch()
    done = snakemake(tmp_path, "results/small/evaluation.json", "--dry-run")
    assert "Nothing to be done" in done.stdout + done.stderr
    overwrite_in_place(images / "sub" / "3 {run}#.bmp", images_uint8[0])
    done = snakemake(tmp_path, "results/small/evaluation.json", "--dry-run")
    assert "rule evaluate:" in done.stdout + done.stderr


def overwrite_in_place(path: Path, image_uint8: np.ndarray) -> None:
    """Overwrites an image by one of the same size; size and time of the file stay."""
    before = path.stat()
    Image.fromarray(image_uint8).save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


@pytest.mark.proof
def test_an_added_metric_is_scored_without_measuring_again(tmp_path: Path) -> None:
    configure(tmp_path, {"png": None, "jpeg": [{"quality": 50}]})
    assert snakemake(tmp_path, "results/small/summary.parquet").returncode == 0
    run_dir = tmp_path / "results" / "small"
    before = files_with_times(run_dir)
    scores = set((run_dir / "scores").rglob("*.parquet"))
    configure(tmp_path, {"png": None, "jpeg": [{"quality": 50}]}, metrics=["psnr_db", "ssim"])
    done = snakemake(tmp_path, "results/small/summary.parquet")
    assert done.returncode == 0, done.stderr
    output = done.stdout + done.stderr
    assert "rule score:" in output
    assert "rule evaluate:" not in output
    assert files_with_times(run_dir) == before
    added = set((run_dir / "scores").rglob("*.parquet")) - scores
    assert len(added) == 2 * 2  # for each codec, a file for each shard of at most three of the four images
    summary = pd.read_parquet(run_dir / "summary.parquet")
    assert summary["ssim"].notna().all()
    assert summary["ssim_low"].notna().all()


def test_a_killed_run_resumes(tmp_path: Path) -> None:
    configure(tmp_path, {"jpeg": None, "png": None, "avif": None}, shard_size=1)
    run_dir = tmp_path / "results" / "small"
    process = subprocess.Popen(
        snakemake_command(tmp_path, "results/small/summary.parquet"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=quiet_environment(),
    )
    try:
        deadline = time.monotonic() + 120
        while len(files_with_times(run_dir)) < 20 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    before = files_with_times(run_dir)
    assert len(before) >= 20
    assert not (run_dir / "evaluation.json").exists(), "the run ended before it could be killed"
    done = snakemake(tmp_path, "results/small/summary.parquet")
    assert done.returncode == 0, done.stderr
    assert before.items() <= files_with_times(run_dir).items()  # finished work was not repeated
    rows = read(run_dir, "per_image")
    assert not rows.duplicated(["codec", "setting", "image_index"]).any()
    assert (rows["status"] == "ok").all()
    assert set(rows.groupby(["codec", "setting"]).size()) == {N_IMAGES}
    hidden = {path.name for path in run_dir.rglob(".*")}
    assert hidden <= {lock_path(run_dir).name, ".snakemake_timestamp"}  # no temporary files remain


@pytest.mark.parametrize(
    ("number", "to_group"), [(signal.SIGINT, True), pytest.param(signal.SIGTERM, False, marks=pytest.mark.proof)]
)
def test_a_signal_stops_the_workflow_with_what_is_kept(number: signal.Signals, to_group: bool, tmp_path: Path) -> None:
    """Ctrl-C reaches every process of a terminal, and the signal of a scheduler Snakemake alone."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it
    configure(tmp_path, {"jpeg": None, "png": None, "avif": None}, shard_size=1)
    run_dir = tmp_path / "results" / "small"
    process = subprocess.Popen(
        snakemake_command(tmp_path, "results/small/summary.parquet"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=quiet_environment(),
    )
    try:
        deadline = time.monotonic() + 120
        while len(files_with_times(run_dir)) < 3 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
        (os.killpg if to_group else os.kill)(process.pid, number)
        printed = process.communicate(timeout=60)[0].splitlines()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    by = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
    stops = [line for line in printed if line.startswith(f"stopped by {by}: ")]
    assert process.returncode == 128 + number, printed
    assert re.search(r"\d+ of \d+ images x settings are done and kept; run the same command again", stops[0]), printed
    assert (
        printed[-1] == stops[1] == f"stopped by {by}: what is finished is kept; run the same command again to continue"
    )
    assert not any("Traceback" in line or "Error" in line or "SIG" in line for line in printed if line not in stops)
    assert run_status(run_dir).state == "stopped"


def test_a_rule_that_fails_is_a_line_besides_the_error_of_its_command(tmp_path: Path) -> None:
    configure(tmp_path, {"png": None})
    environment = {**quiet_environment(), "RAY_ADDRESS": "127.0.0.1:1"}
    command = snakemake_command(tmp_path)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1
    error, failed, log = done.stderr.splitlines()[-3:]
    assert error.startswith("error: RAY_ADDRESS=127.0.0.1:1: no Ray cluster answers")
    assert failed.endswith("  FAILED rule evaluate (log: results/small/logs/evaluate.log)")
    assert log.startswith("Complete log(s): ")
    logged = (tmp_path / "results" / "small" / "logs" / "evaluate.log").read_text().splitlines()
    assert logged[-1] == error


def test_the_terminal_has_a_line_for_each_rule_and_the_log_file_has_all(folder: Path) -> None:
    printed = (folder / PRINTED).read_text().splitlines()
    for rule in ("evaluate", "score", "summarize", "compare", "plot", "report"):
        told = [line for line in printed if f"rule {rule}:" in line]
        assert len(told) == 1
        assert told[0].endswith(f"  rule {rule}: small (log: results/small/logs/{rule}.log)")
    first = min((folder / ".snakemake" / "log").glob("*.log"))  # a later run may have been made by another test
    full = first.read_text()
    for text in ("Select jobs to execute...", "jobid: ", "rule report:"):
        assert text in full
        assert (text == "rule report:") == any(text in line for line in printed)


def test_lint_is_clean() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--lint"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "good condition" in done.stdout + done.stderr


def test_dry_run_plans_every_stage_once_and_the_plot_of_another_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_plot.install(tmp_path / "package")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "package"))
    configure(tmp_path, {"png": None})
    done = snakemake(tmp_path, "--dry-run")
    assert done.returncode == 0, done.stderr
    output = done.stdout + done.stderr
    assert all(f"rule {stage}:" in output for stage in ("evaluate", "score", "summarize", "plot", "report"))
    assert output.count("results/small/plots") >= 3  # made by the rule plot, needed by the report and by the rule all
    captions = tmp_path / ".snakemake" / "uqdm" / "captions" / "plots.rst"
    assert "Rates of single images." in captions.read_text()
    assert not (tmp_path / "results").exists()


def test_the_contest_has_a_page_with_those_that_were_not_run(tmp_path: Path) -> None:
    configure(tmp_path, {"png": None})
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    contestants = [
        {"name": "jpeg", "codec": "jpeg", "parameters": {"quality": [10, 50]}, "about": "'quoted', $HOME"},
        {"name": "gone", "codec": "uqdm", "parameters": {"model": "uqdm-nowhere"}},
    ]
    page = {"bpp": [2], "lowest_bpp": 0.5, "highest_bpp": 4}
    config["contest"] = {"limit": 2, "metrics": ["ssim"], "page": page, "contestants": contestants}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    done = snakemake(tmp_path, "results/contest/contest.html")
    assert done.returncode == 0, done.stderr
    page_html = (tmp_path / "results" / "contest" / "contest.html").read_text()
    assert "not run: no model &#39;uqdm-nowhere&#39;" in page_html
    assert "&#39;quoted&#39;, $HOME" in page_html
    assert set(read(tmp_path / "results" / "contest", "per_image")["setting"]) == {"quality=10", "quality=50"}
    planned = snakemake(tmp_path, "contest", "--dry-run")
    assert not (tmp_path / "results" / "small").exists()
    assert "rule report:" in planned.stdout + planned.stderr
    assert "rule evaluate:" not in planned.stdout + planned.stderr


def check_one_line(done: subprocess.CompletedProcess[str], named: str) -> None:
    """Checks that a command failed with one line of an error, which names the key or the remedy, and no stack."""
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: configuration: ")]
    assert len(errors) == 1, done.stdout + done.stderr
    assert named in errors[0]
    said = [line for line in (done.stdout + done.stderr).splitlines() if line not in errors]
    assert len(said) <= 5, said  # Snakemake's own: the profile, two configuration files, the file system, the DAG
    assert not any("Error" in line or "Traceback" in line for line in said)


def proof(*values: Any) -> Any:
    """A case like another; the function behind it is tested without Snakemake, in tests/test_config*.py or its room."""
    return pytest.param(*values, marks=pytest.mark.proof)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"codecs": {"jpgg": None}}, "did you mean jpeg"),
        proof({"codecs": {"jpeg": {"quality": 500}}}, "must be at most 100"),
        proof({"codecs": {"jpeg": 5}}, "jpeg"),
        proof({"codecs": {}}, "codecs"),
        proof({"limit": 0}, "limit"),
        ({"speed": 3}, "runs: small: no key 'speed'"),
        proof({"limmit": 3}, "did you mean limit"),
        ({"dataset": "npz:nowhere.npz"}, "nowhere.npz"),
        proof({"dataset": "kodka"}, "did you mean kodak"),
        proof({"dataset": "folder:~nobody-here/x"}, "write ./~nobody-here"),
    ],
)
def test_a_wrong_configuration_is_reported_before_work_starts(
    change: dict[str, Any], named: str, tmp_path: Path
) -> None:
    run = {"dataset": "demo", "codecs": {"png": None}, **change}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"runs": {"small": run}}))
    check_one_line(snakemake(tmp_path, "--dry-run"), named)


def test_a_target_of_an_unknown_run_is_reported_with_near_names(tmp_path: Path) -> None:
    configure(tmp_path, {"png": None})
    check_one_line(snakemake(tmp_path, "--dry-run", "results/smal/report.html"), "did you mean small?")


@pytest.mark.parametrize(
    ("score", "named"),
    [
        ({"metrics": ["psnr"]}, "did you mean psnr_db"),
        proof({"set_metrics": {"images": 1}}, "images"),
        proof({"metric": ["psnr_db"]}, "metric"),
    ],
)
def test_a_wrong_configuration_of_scoring_is_reported_too(score: dict[str, Any], named: str, tmp_path: Path) -> None:
    runs = {"small": {"dataset": "demo", "codecs": {"png": None}}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"score": score, "runs": runs}))
    check_one_line(snakemake(tmp_path, "--dry-run"), named)


PHOTOS = {"dataset": "demo", "codecs": {"jpeg": {"quality": "10..90:40"}}}


@pytest.mark.parametrize(
    ("files", "options", "made", "commands"),
    [
        ([], ["limit=16"], {"demo"}, ["--codec=uqdm", "--limit=16"]),
        proof([{"limit": 16}], [], {"demo"}, ["--codec=uqdm", "--limit=16"]),
        ([{"runs": {"photos": PHOTOS}}], ["limit=2"], {"photos"}, ["--codec=jpeg:quality=10..90:40", "--limit=2"]),
        proof([{"runs": {"photos": PHOTOS}}, {"runs": {"more": PHOTOS}}], [], {"photos", "more"}, []),
        ([{"runs": {"demo": {"limit": 4}}}], [], {"demo"}, ["--codec=uqdm", "--limit=4"]),
        proof(
            [], ["runs={photos: {dataset: demo, codecs: {jpeg: {quality: 9}}}}"], {"photos"}, ["--codec=jpeg:quality=9"]
        ),
    ],
)
def test_own_runs_take_the_place_of_the_shipped_ones(
    files: list[dict[str, Any]], options: list[str], made: set[str], commands: list[str], tmp_path: Path
) -> None:
    (tmp_path / "config").symlink_to(ROOT / "config")
    output = planned(tmp_path, files, options)
    assert {name for name in ("demo", "photos", "more") if f"results/{name}/report.html" in output} == made
    assert [text for text in commands if text not in output] == []


def test_the_codecs_of_an_own_run_take_the_place_of_those_of_a_shipped_run(tmp_path: Path) -> None:
    (tmp_path / "config").symlink_to(ROOT / "config")
    output = planned(tmp_path, [{"runs": {"demo": {"codecs": {"png": None}}}}], [])
    assert "--dataset=demo --codec=png " in output
    assert "--codec=uqdm" not in output


def test_the_readme_compares_own_photographs(tmp_path: Path, images_uint8: list[np.ndarray]) -> None:
    """With the configuration as it is written there."""
    (tmp_path / "config").symlink_to(ROOT / "config")
    (tmp_path / "my-photos").mkdir()
    Image.fromarray(images_uint8[0]).save(tmp_path / "my-photos" / "photo.png")
    section = (ROOT / "README.md").read_text().partition("## Your own photographs")[2].partition("\n## ")[0]
    configuration = yaml.safe_load(section.partition("```yaml\n")[2].partition("```")[0])
    output = planned(tmp_path, [configuration], [])
    assert "--dataset=folder:my-photos --codec=jpeg:quality=10..90:10 --codec=webp --codec=uqdm " in output
    assert "results/photos/report.html" in output
    assert "results/demo" not in output


def planned(folder: Path, files: list[dict[str, Any]], options: list[str]) -> str:
    """What the workflow would do in a folder with the shipped configuration, with own files and options."""
    names = [f"own{index}.yaml" for index in range(len(files))]
    for name, content in zip(names, files, strict=True):
        (folder / name).write_text(yaml.safe_dump(content, sort_keys=False))
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--dry-run",
        "--printshellcmds",
        "--cores",
        "2",
        "--directory",
        str(folder),
    ]
    command += ["--snakefile", str(ROOT / "Snakefile")]
    command += ["--configfile", *(str(folder / name) for name in names)] if names else []
    command += ["--config", *options] if options else []
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=quiet_environment())
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def paper_command(folder: Path, target: str, dataset: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    section = {"cifar10": {"dataset": dataset}, "imagenet64": {"dataset": "demo"}}
    run = {"small": {"dataset": "demo", "codecs": {"png": None}}}
    (folder / "config.yaml").write_text(yaml.safe_dump({"runs": run, "paper": section, "limit": 2}))
    return snakemake(folder, target, *arguments)


def test_a_target_measures_the_papers_rows_and_compares_them(tmp_path: Path, images_uint8: list[np.ndarray]) -> None:
    np.savez(tmp_path / "cifar10-few.npz", np.stack([image[:32, :32] for image in images_uint8]))
    done = paper_command(tmp_path, "paper_cifar10", f"npz:{tmp_path}/cifar10-few.npz")
    assert done.returncode == 0, done.stderr
    run_dir = tmp_path / "results" / "paper_cifar10"
    found = pd.read_csv(run_dir / "table.csv")
    assert set(found.n) == {2}  # the common limit
    assert len(found[found.model == "ntc-demo (small)"]) == 8 * 3
    judged = found[found.codec.notna() & found["quantity"].isin(["bpp", "psnr_db"]) & (found.system != "hyperprior")]
    assert set(judged.system) == {"jpeg", "jpeg2000", "bpg"}
    assert len(judged) == 2 * (12 + 6 + 7)
    assert judged.ours.notna().all()
    names = ["table.md", "table.tex", "costs.csv"]
    names += ["figures/rate_distortion.png", "figures/rate_fid.svg", "figures/progressive.png"]
    assert [name for name in names if not (run_dir / name).is_file()] == []
    assert "paper_cifar10: published figures and those measured here: " in done.stdout
    assert not (tmp_path / "results" / "small").exists()


def test_a_missing_archive_is_reported_before_work_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UQDM_DATA", str(tmp_path / "data"))
    done = paper_command(tmp_path, "paper_cifar10", "cifar10", "--dry-run")
    check_one_line(done, "paper: cifar10: cifar10: there is no cifar-10-python.tar.gz")
    assert "Fetch https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz" in done.stderr

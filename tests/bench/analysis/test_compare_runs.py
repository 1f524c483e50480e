"""Guards comparisons of runs: which pictures are paired, figures by hand, different images refused."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_run import measure_run
from toy_images import MemoryImages

from uqdm.bench.analysis import bootstrap
from uqdm.bench.analysis.compare_runs import Comparison, compare_runs, parse_selector
from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import open_dataset
from uqdm.bench.metrics import declared
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.layout import scores_path
from uqdm.bench.run.provenance import read_provenance, with_provenance
from uqdm.bench.schema import COMPARISON
from uqdm.codec import ParameterError

pytestmark = pytest.mark.slow

N = 6


@pytest.fixture(scope="module")
def runs(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A: JPEG at three qualities, PNG, a raw codec and a progressive one; B: two of those qualities, PNG, WebP."""
    images, folder = open_dataset("demo", limit=N), tmp_path_factory.mktemp("compare")
    a = ["jpeg:quality=20", "jpeg:quality=60", "jpeg:quality=90", "png", "toy-raw", "toy-model"]
    b = ["jpeg:quality=20", "jpeg:quality=60", "png", "webp:quality=20", "webp:quality=60"]
    made = measure_run(folder / "a", images, *a), measure_run(folder / "b", images, *b)
    for run in made:
        summarize_run(run)
    return made


def rows(run: Path, codec: str, setting: str) -> pd.DataFrame:
    found = pd.read_parquet(run / "per_image" / f"{codec}.parquet")
    return found[found.setting == setting].sort_values("image_index")


def line(found: Comparison, **wanted: str) -> dict[str, Any]:
    table = found.table
    (only,) = table[(table[list(wanted)] == pd.Series(wanted)).all(axis=1)].to_dict("records")
    return {str(name): value for name, value in only.items()}


def pairs(found: Comparison) -> list[tuple[str, ...]]:
    columns = ["codec_a", "setting_a", "point_a", "reconstruction_a"]
    columns += [name.replace("_a", "_b") for name in columns]
    return list(found.table[found.table.metric == "bpp"][columns].itertuples(index=False, name=None))


# ---- pairing -------------------------------------------------------------------------------------------------


def test_runs_are_paired_by_codec_setting_point_and_reconstruction(runs: tuple[Path, Path]) -> None:
    found = compare_runs(*runs)
    assert [pair[:2] for pair in pairs(found)] == [("jpeg", "quality=20"), ("jpeg", "quality=60"), ("png", "")]
    assert all(pair[:4] == pair[4:] for pair in pairs(found))
    assert {key[:2] for key in found.only_a} >= {("jpeg", "quality=90"), ("toy-raw", "drop=0")}
    assert {key[0] for key in found.only_b} == {"webp"}
    assert found.notes == ["paired by codec, setting, point and reconstruction"]
    assert list(found.table.columns) == COMPARISON.names


def test_a_run_is_equal_to_itself(runs: tuple[Path, Path]) -> None:
    table = compare_runs(runs[0], runs[0]).table
    assert (table.equal == N).all()
    assert (table.same_pictures == N).all()
    assert set(table.difference.dropna()) == {0.0}
    assert table.wilcoxon_p.isna().all()


def test_different_codecs_are_paired_by_rate(runs: tuple[Path, Path]) -> None:
    found = compare_runs(*runs, "jpeg", "webp")
    means = {name: rows(runs[1], "webp", f"quality={name},lossless=false,method=6").bpp.mean() for name in (20, 60)}
    for quality in (20, 60, 90):
        rate = rows(runs[0], "jpeg", f"quality={quality}").bpp.mean()
        nearest = min(means, key=lambda name: abs(math.log(means[name] / rate)))
        (pair,) = [pair for pair in pairs(found) if pair[1] == f"quality={quality}"]
        assert pair[5].startswith(f"quality={nearest},")
    assert "nearest" in found.notes[0]


def test_every_kind_of_reconstruction_gets_its_nearest(runs: tuple[Path, Path]) -> None:
    """The progressive codec has two pictures of its first half, and one of all."""
    found = compare_runs(runs[0], runs[0], "toy-raw:drop=4", "toy-model")
    assert sorted(pair[7] for pair in pairs(found)) == ["decoded", "floor", "middle"]


def test_codecs_of_one_run_are_compared(runs: tuple[Path, Path]) -> None:
    found = compare_runs(runs[1], runs[1], "jpeg:quality=60", "webp:quality=60")
    assert [(pair[0], pair[4]) for pair in pairs(found)] == [("jpeg", "webp")]


def test_points_and_reconstructions_are_chosen(runs: tuple[Path, Path]) -> None:
    found = compare_runs(runs[0], runs[0], "toy-model@high/floor", "toy-model@*/middle")
    assert [pair[2:4] + pair[6:] for pair in pairs(found)] == [("high", "floor", "high", "middle")]
    assert line(found, metric="bpp")["difference"] == 0


def test_one_setting_a_side_is_paired_by_point(runs: tuple[Path, Path]) -> None:
    found = compare_runs(runs[0], runs[0], "toy-raw:drop=0", "toy-raw:drop=4")
    assert [(pair[1], pair[5]) for pair in pairs(found)] == [("drop=0", "drop=4")]
    assert found.notes == ["paired by point and reconstruction", "A is toy-raw at drop=0", "B is toy-raw at drop=4"]
    assert line(found, metric="mse")["worse"] == N


def test_a_choice_for_one_side_applies_to_both(runs: tuple[Path, Path]) -> None:
    assert {pair[0] for pair in pairs(compare_runs(*runs, select_b="jpeg"))} == {"jpeg"}
    assert {pair[4] for pair in pairs(compare_runs(*runs, select_a="jpeg"))} == {"jpeg"}


def test_an_unknown_choice_gets_suggestions(runs: tuple[Path, Path]) -> None:
    with pytest.raises(ResultsError, match=r"B \(.*b\): no codec 'wepb' \(did you mean webp.*jpeg, png, webp"):
        compare_runs(*runs, "jpeg", "wepb")
    with pytest.raises(ResultsError, match=r"no picture of jpeg is what was chosen; it has: jpeg quality=20, jpeg"):
        compare_runs(*runs, "jpeg:quality=21")
    with pytest.raises(ParameterError, match="the name is missing"):
        compare_runs(*runs, ":quality=2")


def test_runs_without_common_pictures_ask_for_a_choice(runs: tuple[Path, Path], tmp_path: Path) -> None:
    other = measure_run(tmp_path / "other", open_dataset("demo", limit=N), "webp:quality=90", "jpeg2000:layers=20")
    with pytest.raises(ResultsError, match=r"choose a codec of each with --codec-a and --codec-b"):
        compare_runs(runs[0], other)


@pytest.mark.parametrize(
    ("text", "key", "picked"),
    [
        ("jpeg", ("jpeg", "quality=50", "full", "decoded"), True),
        ("jpeg:quality=50", ("jpeg", "quality=50,optimize=true", "full", "decoded"), True),
        ("jpeg:quality=5", ("jpeg", "quality=50", "full", "decoded"), False),
        ("jpeg:quality=10..90:20", ("jpeg", "quality=50,optimize=true", "full", "decoded"), True),
        ("jpeg:quality=10..90:30", ("jpeg", "quality=50", "full", "decoded"), False),
        ("jpeg:quality=10|50", ("jpeg", "quality=50", "full", "decoded"), True),
        ("jpeg:quality=1..1e99:1", ("jpeg", "quality=1e50", "full", "decoded"), True),
        ("jpeg2000-tuned:ratio=10", ("jpeg2000-tuned", "ratio=10.0", "full", "decoded"), True),
        ("uqdm:model=a..b|c", ("uqdm", "model=a..b|c", "step 1", "flow"), True),
        ("jpeg2000:layers=20,10", ("jpeg2000", "layers=20,10,mct=0", "full", "decoded"), True),
        ("jpeg2000:layers=20", ("jpeg2000", "layers=20,10,mct=0", "full", "decoded"), False),
        ("uqdm@step 2", ("uqdm", "", "step 2", "flow"), True),
        ("uqdm@step 2/denoise", ("uqdm", "", "step 2", "flow"), False),
        ("uqdm@*/denoise", ("uqdm", "", "step 3", "denoise"), True),
        ("uqdm:model=a@b@step ?", ("uqdm", "model=a@b", "step 3", "denoise"), True),
    ],
)
def test_selectors(text: str, key: tuple[str, str, str, str], picked: bool) -> None:
    assert parse_selector(text).picks(key) == picked


# ---- figures -------------------------------------------------------------------------------------------------


def test_figures_are_those_of_the_rows(runs: tuple[Path, Path]) -> None:
    found = compare_runs(runs[0], runs[0], "jpeg:quality=20", "jpeg:quality=60")
    a, b = rows(runs[0], "jpeg", "quality=20"), rows(runs[0], "jpeg", "quality=60")
    for name, better in (("bpp", 0), ("psnr_db", N), ("mse", N)):
        got = line(found, metric=name)
        difference = b[name].to_numpy() - a[name].to_numpy()
        # Means of six values, taken in another order.
        assert got["difference"] == pytest.approx(difference.mean(), rel=1e-13)
        assert (got["mean_a"], got["mean_b"]) == pytest.approx((a[name].mean(), b[name].mean()), rel=1e-13)
        _, low, high = bootstrap.mean_intervals(difference[:, None])
        assert (got["difference_low"], got["difference_high"]) == pytest.approx((low[0], high[0]), rel=1e-12)
        assert (got["better"], got["worse"], got["equal"], got["n"]) == (better, N - better, 0, N)
        assert got["wilcoxon_p"] == 2 / 2**N  # all of one sign: one of the 64 ways, on either side
        assert got["same_pictures"] == 0


def test_images_that_failed_on_one_side_are_left_out(toys: Path, tmp_path: Path) -> None:
    from toy_codecs import RAISE

    images = [open_dataset("demo", limit=4).load(index).copy() for index in range(4)]
    for index, image in enumerate(images):
        image[0, 0, 0] = RAISE if index == 2 else 0
    run = measure_run(tmp_path / "run", MemoryImages(images), "toy-faulty", "toy-raw:drop=4")
    found = compare_runs(run, run, "toy-faulty", "toy-raw")
    assert {line["n"] for line in found.table.to_dict("records")} == {3}


def test_exact_pictures_have_counts_and_no_means(runs: tuple[Path, Path]) -> None:
    got = line(compare_runs(*runs, "png"), metric="psnr_db")
    assert (got["n"], got["infinite"], got["equal"], got["same_pictures"]) == (N, N, N, N)
    assert math.isnan(got["difference"])
    assert got["reason"] == "no image has a finite value in both"


def test_costs_are_compared_when_asked_for(runs: tuple[Path, Path]) -> None:
    found = compare_runs(*runs, columns=["decode_ms", "bpp"])
    assert list(dict.fromkeys(found.table.metric)) == ["decode_ms", "bpp"]
    assert set(found.table.direction) == {"lower"}


def test_columns_without_values_are_noted(runs: tuple[Path, Path]) -> None:
    found = compare_runs(*runs, columns=["fid"])
    assert found.table.empty
    assert found.notes[-1] == "fid: no pair has a value on both sides"
    assert found.fingerprint.startswith(f"{N}-")


def test_the_error_for_an_unknown_metric_lists_the_names(runs: tuple[Path, Path]) -> None:
    with pytest.raises(ResultsError, match=r"no metric 'psnr' \(did you mean psnr_db"):
        compare_runs(*runs, columns=["psnr"])


def test_set_metrics_are_compared_without_a_test(runs: tuple[Path, Path], tmp_path: Path) -> None:
    """FID as a scoring would have written it."""
    both = [Path(shutil.copytree(run, tmp_path / run.name)) for run in runs]
    for number, run in enumerate(both):
        setting = {"codec": "jpeg", "setting": "quality=20", "point": "full", "point_index": 0}
        score = {**setting, "reconstruction": "decoded", "fid": 50.0 + number, "fid_n": N, "unscored": None}
        scores = json.loads(scores_path(run).read_text())
        scores_path(run).write_text(json.dumps({**scores, "sets": [score]}))
        summarize_run(run)
    found = compare_runs(*both)
    got = line(found, metric="fid")
    assert (got["mean_a"], got["mean_b"], got["difference"], got["n"]) == (50, 51, 1, N)
    assert math.isnan(got["wilcoxon_p"])
    assert "no test" in got["reason"]


def test_every_metric_with_data_is_compared(runs: tuple[Path, Path]) -> None:
    found = compare_runs(*runs)
    png = rows(runs[0], "png", "")
    with_data = [metric.name for metric in declared() if metric.name in png and png[metric.name].notna().any()]
    assert list(dict.fromkeys(found.table.metric)) == ["bpp", *with_data]


# ---- what must agree -----------------------------------------------------------------------------------------


def test_different_images_are_refused(runs: tuple[Path, Path], tmp_path: Path) -> None:
    other = measure_run(tmp_path / "other", open_dataset("demo", limit=3), "png")
    message = rf"different images: A \(.*\) has demo \({N}-\w+\); B \(.*\) has demo \(3-\w+\)"
    with pytest.raises(ResultsError, match=message):
        compare_runs(runs[0], other)


def test_equal_fingerprints_under_different_names_are_compared(toys: Path, tmp_path: Path) -> None:
    images = [open_dataset("demo", limit=2).load(index) for index in range(2)]
    made = [measure_run(tmp_path / name, MemoryImages(images, name), "toy-raw:drop=4") for name in ("one", "other")]
    found = compare_runs(*made)
    assert set(found.table.dataset) == {"one"}
    assert (found.table.equal == 2).all()


def test_different_versions_are_noted(runs: tuple[Path, Path], tmp_path: Path) -> None:
    other = Path(shutil.copytree(runs[1], tmp_path / "b"))
    path = other / "per_image" / "jpeg.parquet"
    table = pq.read_table(path)
    place = table.schema.get_field_index("codec_version")
    changed = table.set_column(place, table.schema.field(place), pa.array(["Pillow 1.0"] * len(table)))
    pq.write_table(changed.cast(with_provenance(table.schema, read_provenance(table.schema))), path)
    found = compare_runs(runs[0], other)
    (note,) = found.notes[1:]
    assert note.startswith("versions of jpeg differ: Pillow ")
    assert note.endswith(" in A, Pillow 1.0 in B")
    assert np.isfinite(line(found, metric="bpp", setting_a="quality=20")["difference"])


def test_a_folder_without_rows_names_the_command(runs: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="uqdm bench evaluate"):
        compare_runs(runs[0], tmp_path / "nowhere")

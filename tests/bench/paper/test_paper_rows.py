"""Guards the verdicts: that they follow from the figures, the images and the interval, and from nothing else."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import small_run
import torch
from small_run import measure_run
from toy_images import MemoryImages

from uqdm.bench.analysis.curves import Curve
from uqdm.bench.analysis.published_curves import Relation, published, published_names
from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import open_dataset
from uqdm.bench.paper import protocol
from uqdm.bench.paper.configuration import PublishedFigures
from uqdm.bench.paper.judge import Estimate, accepted, judge
from uqdm.bench.paper.learned import weights_rows
from uqdm.bench.paper.measured import Run, find_row, read_run
from uqdm.bench.paper.protocol import HYPERPRIOR, SMALL_LABEL, Model, Place, Weights
from uqdm.bench.paper.rows import COLUMNS, table
from uqdm.bench.run.codec_settings import format_request, requests_from_mapping
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.rates import with_rates
from uqdm.codec import codec_class

pytestmark = pytest.mark.slow

SAME = Relation("same", "The images are the published ones.", 0.0)
OTHER = Relation("other", "The images are others.", math.nan)
DEMO = Model("demo", "uqdm-pixel")
CHECKPOINT = Path(__file__).parents[2] / "baselines/hyperprior/compressai/bmshj2018-hyperprior.pth.tar"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """Random weights, and the same with latents 20 times as large: two rates."""
    file = tmp_path_factory.mktemp("weights") / "more.pth.tar"
    tensors = torch.load(CHECKPOINT, weights_only=True)
    more = {"g_a.6.weight": tensors["g_a.6.weight"] * 20, "g_s.0.weight": tensors["g_s.0.weight"] / 20}
    torch.save({**tensors, **more}, file)
    return Weights("vae-b", (str(CHECKPOINT), str(file)))


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory, photographs_uint8: list[np.ndarray], weights: Weights) -> Path:
    """A real run of all codecs of the paper's rows, on three photographs that are declared as CIFAR-10."""
    folder = tmp_path_factory.mktemp("paper") / "run"
    images = MemoryImages([image[:32, :32].copy() for image in photographs_uint8[:3]], name="cifar10-few")
    requests = requests_from_mapping(protocol.codecs([DEMO], weights=[weights]))
    measure_run(folder, images, *map(format_request, requests))
    summarize_run(folder)
    return folder


@pytest.fixture(scope="module")
def run(run_dir: Path) -> Run:
    return read_run(run_dir, "cifar10")


@pytest.fixture(scope="module")
def rows(run: Run) -> pd.DataFrame:
    return table(run, [DEMO])


@pytest.fixture(scope="module")
def learned(run: Run, weights: Weights) -> pd.DataFrame:
    found = table(run, [], [weights])
    return found[found.system == weights.system]


def as_published(run: Run, models: list[Model], **changes: Any) -> Run:
    """The run with the published figures in place of its own, scored on 10,000 images, and then ``changes``."""
    summary = run.summary.assign(fid=math.nan, fid_n=10_000, n=10_000)
    for (name, _), system in protocol.systems(models).items():
        figures = published("cifar10")
        points = figures[figures.system == name].itertuples()
        for place, point in zip(system.places, points, strict=True):
            found, _ = find_row(summary, place)
            assert found is not None
            at = (summary.codec == place.codec) & (summary.setting == found["setting"])
            at &= (summary.point == place.point) & (summary.reconstruction == place.reconstruction)
            for column in ("bpp", "bpp_low", "bpp_high"):
                summary.loc[at, column] = point.bpp
            for column in ("psnr_db", "psnr_db_low", "psnr_db_high"):
                summary.loc[at, column] = point.psnr_db
            summary.loc[at, "fid"] = point.fid
    # By jctvc, as published; else only rates at equal PSNR would be judged.
    summary.loc[summary.codec == "bpg", "codec_version"] = "libbpg 0.9.8, encoder jctvc"
    changed = summary.assign(**{name: [value] * len(summary) for name, value in changes.items()})
    return replace(run, n_images=10_000, relation=SAME, summary=changed)


# ---- the protocol -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", published_names())
def test_every_published_point_of_a_system_that_runs_has_a_place(name: str) -> None:
    for (system, _), found in protocol.systems([DEMO]).items():
        assert len(found.places) == len(published(name).query("system == @system")), system


@pytest.mark.parametrize("codec", ["jpeg", "jpeg2000", "bpg"])
def test_the_papers_settings_are_the_default_ones(codec: str) -> None:
    assert protocol.codecs([])[codec] == [dict(setting) for setting in codec_class(codec).sweep]


def test_the_configuration_becomes_a_run_and_options() -> None:
    models = {"tiny": "models/uqdm-tiny", "big": {"path": "models/uqdm-big", "published": True}}
    section = {"dataset": "imagenet64", "limit": 9, "models": models, "options": {"bpg": {"implementation": "libbpg"}}}
    figures = PublishedFigures.from_mapping(section, "paper: imagenet64")
    assert (figures.dataset, figures.limit) == ("imagenet64", 9)
    codecs = figures.codecs()
    assert codecs["uqdm"] == [{"model": models["tiny"], "seeds": 1}, {"model": "models/uqdm-big", "seeds": 1}]
    assert {"quality": 40, "implementation": "libbpg"} in codecs["bpg"]
    assert figures.arguments()[-1] == "--published-model=big"
    with pytest.raises(ValueError, match=r"options for webp, which is no codec of the paper's rows: jpeg, jpeg2000"):
        PublishedFigures("cifar10", options={"webp": {}}).codecs()


@pytest.mark.parametrize("texts", [["a=x", "a=y"], ["=x"], ["a="]])
def test_models_need_labels_of_their_own(texts: list[str]) -> None:
    with pytest.raises(ValueError, match="LABEL=PATH"):
        protocol.parse_models(texts)


def test_a_published_model_must_be_one_of_the_models() -> None:
    assert protocol.parse_models(["big=x"], ["big"])[0].is_published
    with pytest.raises(ValueError, match="no model is labelled bigger"):
        protocol.parse_models(["big=x"], ["bigger"])


# ---- when a row agrees --------------------------------------------------------------------------------------


def test_the_interval_is_stretched_about_the_mean_and_widened() -> None:
    low, high = accepted(Estimate(10.0, 9.0, 12.0), sampling=0.5, tolerance=0.25)
    assert low == pytest.approx(10 - 0.5 * 1 - 0.25 - 5e-5, abs=1e-12)
    assert high == pytest.approx(10 + 0.5 * 2 + 0.25 + 5e-5, abs=1e-12)


def test_without_an_interval_only_the_same_images_can_agree() -> None:
    alone = Estimate(10.0)
    assert judge(10.0, accepted(alone, 0.0, 0.1)).word == "agrees"
    assert judge(10.0, accepted(alone, 1.0, 0.1)).word == "not comparable"


@pytest.mark.parametrize(("ours", "theirs", "word"), [(math.inf, 50.0, "differs"), (50.0, math.inf, "differs")])
def test_exact_and_inexact_pictures_differ(ours: float, theirs: float, word: str) -> None:
    assert judge(theirs, accepted(Estimate(ours, ours - 1, ours + 1), 1.0, 0.1)).word == word


def test_means_of_samples_agree_as_often_as_stated() -> None:
    """Means of samples of one population, against the mean over a larger sample: about 95 % agree."""
    generator = np.random.default_rng(8)
    n_ours, n_theirs, trials = 200, 400, 1000
    ours = generator.gamma(2, 1, (trials, n_ours))
    theirs = generator.gamma(2, 1, (trials, n_theirs)).mean(1)
    error = ours.std(1, ddof=1) / math.sqrt(n_ours)
    stretch = math.sqrt(1 + n_ours / n_theirs)
    agreed = 0
    for mean, width, other in zip(ours.mean(1), 1.96 * error, theirs, strict=True):
        bounds = accepted(Estimate(mean, mean - width, mean + width), stretch, 0.0)
        agreed += judge(other, bounds).word == "agrees"
    assert 0.93 < agreed / trials < 0.97  # 0.95, and three deviations of such a count, 0.02


# ---- a run and the figures -- -------------------------------------------------------------------------------


def test_every_published_figure_has_a_row(rows: pd.DataFrame) -> None:
    assert list(rows.columns) == list(COLUMNS)
    figures = published("cifar10")
    shown = rows[rows["quantity"].isin(["bpp", "psnr_db", "fid"]) & (rows.system != HYPERPRIOR)]
    assert not shown.duplicated(["system", "point", "quantity"]).any()
    for column in ("bpp", "psnr_db", "fid"):
        one = shown[shown["quantity"] == column].set_index(["system", "point"]).published
        pd.testing.assert_series_equal(
            one.sort_index(), figures.set_index(["system", "point"])[column].sort_index(), check_names=False
        )


def test_the_figures_are_those_of_the_summary(run: Run, rows: pd.DataFrame) -> None:
    summary = run.summary.set_index("setting")
    one = rows.query("system == 'jpeg' and setting == 'quality 50'").set_index("quantity")
    for quantity in ("bpp", "psnr_db"):
        expected = summary.loc["quality=50", [quantity, f"{quantity}_low", f"{quantity}_high"]]
        assert list(one.loc[quantity, ["ours", "low", "high"]]) == list(expected)
    assert one.loc["bpp", "difference"] == pytest.approx(one.loc["bpp", "ours"] - 3.9558, abs=1e-12)


def test_ideal_rates_are_those_of_the_summary_with_rates_of_files_as_rows(run: Run, rows: pd.DataFrame) -> None:
    summary = run.summary.query("codec == 'uqdm' and reconstruction == 'flow'").set_index("point")
    ours = rows.query("system == 'uqdm-f'").pivot(index="setting", columns="quantity", values="ours")
    assert ours.bpp.to_dict() == pytest.approx(summary.ideal_bpp.to_dict(), rel=1e-12)
    assert ours.file_bpp.to_dict() == pytest.approx(summary.bpp.to_dict(), rel=1e-12)


def test_rates_at_equal_psnr_are_read_off_the_measured_curve(run: Run, rows: pd.DataFrame) -> None:
    measured = run.summary.query("codec == 'bpg' and psnr_db < inf").sort_values("bpp")
    curve = Curve("bpg", "bpg", with_rates(measured))
    found = rows.query("quantity == 'bpp_at_psnr'").set_index("point")
    assert len(found) == 6  # all but the lossless one
    expected = {
        point: curve.bpp_at(psnr)
        for point, psnr in enumerate(published("cifar10").query("system == 'bpg'").psnr_db[:6])
    }
    assert found.ours.to_dict() == pytest.approx(expected, rel=1e-9, nan_ok=True)
    inside = found.dropna(subset=["low"])
    assert len(inside)
    assert (inside.low < inside.ours).all()
    assert (inside.ours < inside.high).all()


def test_fid_of_few_images_is_not_shown(rows: pd.DataFrame) -> None:
    fid = rows[(rows["quantity"] == "fid") & rows.codec.notna() & (rows.system != HYPERPRIOR)]
    assert set(fid.verdict) == {"not comparable"}
    assert set(fid.reason) == {"n=3 against 10,000"}
    assert fid.ours.isna().all()


def test_another_model_is_shown_but_not_judged(rows: pd.DataFrame) -> None:
    uqdm = rows[rows.system.str.startswith("uqdm") & (rows["quantity"] != "fid")]
    assert set(uqdm.model) == {"demo"}
    assert set(uqdm.verdict + ": " + uqdm.reason) == {"not comparable: another model, demo"}
    assert uqdm.ours.notna().all()


def test_systems_that_do_not_run_here_are_references(rows: pd.DataFrame, run: Run) -> None:
    others = rows[rows.codec.isna()]
    assert set(others.system) == {"vdm-d", "vdm-a", "vdm-f", "vdm-1000d", "vae-b", "vae-m"}
    ideal = others.system.str.startswith("vdm")
    reasons = others.drop_duplicates("system").set_index("system").reason
    assert reasons["vae-b"] == (
        "no weights are named: list checkpoints of bmshj2018-hyperprior, a file for each rate, as checkpoints: vae-b"
    )
    assert reasons["vae-m"].startswith(
        "no codec here has its architecture; for mbt2018-mean beside it, list checkpoints"
    )
    assert set(others.verdict) == {"not run"}
    assert all(others[ideal].reason.str.startswith("ideal rates of a Gaussian model whose weights are not here"))
    assert set(others[ideal].rate_kind) == {"ideal"}
    doubtful = others[others.doubt != ""]
    assert set(zip(doubtful.system, doubtful["quantity"], strict=True)) == {("vdm-1000d", "fid")}
    without = table(run, [])
    uqdm = without[without.system.str.startswith("uqdm")]
    assert set(uqdm.reason) == {"no UQDM model is named in the configuration"}


def test_the_published_figures_agree_with_themselves(run: Run) -> None:
    models = [replace(DEMO, is_published=True)]
    found = table(as_published(run, models), models)
    judged = found[found.codec.notna() & (found["quantity"] != "file_bpp") & (found.system != HYPERPRIOR)]
    judged = judged[
        ~(judged.system.str.startswith("uqdm") & (judged["quantity"] == "bpp"))
    ]  # from rows, not this summary
    assert set(judged.verdict) == {"agrees"}
    assert len(judged) == 3 * (12 + 6 + 7) + 2 * 15


@pytest.mark.parametrize(
    ("system", "column", "factor", "offset"),
    [
        ("jpeg", "bpp", 1.006, 5e-5),
        ("jpeg2000", "bpp", 1.006, 5e-5),
        ("jpeg", "psnr_db", 1, 0.1),
        ("jpeg", "fid", 1.02, 0.05),
    ],
)
@pytest.mark.parametrize(("share", "word"), [(0.99, "agrees"), (1.01, "differs")])
def test_the_same_images_differ_beyond_the_tolerance(
    run: Run, system: str, column: str, factor: float, offset: float, share: float, word: str
) -> None:
    whole = as_published(run, [])
    figures = whole.summary[column].where(whole.summary.codec == system)
    moved = figures * (1 + share * (factor - 1)) + share * offset
    summary = whole.summary.assign(**{column: moved.fillna(whole.summary[column])})
    found = table(replace(whole, summary=summary), [])
    found = found[(found.system == system) & (found["quantity"] == column) & np.isfinite(found.published)]
    assert set(found.verdict) == {word}


def test_a_known_difference_gives_the_reason(run: Run) -> None:
    whole = as_published(run, [])
    jpeg = whole.summary.codec == "jpeg"
    summary = whole.summary.assign(psnr_db=whole.summary.psnr_db.where(~jpeg, whole.summary.psnr_db - 1))
    found = table(replace(whole, summary=summary), []).query("system == 'jpeg' and quantity == 'psnr_db'")
    reasons = found.set_index("setting").reason
    assert set(found.verdict) == {"differs"}
    if "libjpeg-turbo" in run.summary.query("codec == 'jpeg'").codec_version.iloc[0]:
        assert reasons["quality 95"].startswith("libjpeg-turbo; the paper's IJG libjpeg 9")
    assert reasons["quality 90"] == "by more than sampling, rounding and libraries explain"


@pytest.mark.parametrize(("n_images", "too_few"), [(29, True), (30, False)])
def test_few_images_are_not_judged(run: Run, n_images: int, too_few: bool) -> None:
    found = table(replace(run, n_images=n_images), []).query("system == 'jpeg' and quantity == 'bpp'")
    reasons = set(found.verdict + ": " + found.reason)
    assert (reasons == {"not comparable: n=29 is too few for an interval"}) == too_few
    assert found.ours.notna().all()


def test_other_images_are_never_judged(run: Run) -> None:
    found = table(replace(run, relation=OTHER), [DEMO])
    judged = found[found.codec.notna() & (found["quantity"] != "fid") & (found.system != HYPERPRIOR)]
    assert set(judged.verdict) == {"not comparable"}
    assert "other images" in set(judged.reason)
    assert judged[judged["quantity"] == "bpp"].difference.notna().all()


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"fid": math.nan, "unscored": {"lpips": "no weights"}}, "not run: FID is not scored"),
        ({"fid": math.nan, "unscored": {"kid": "few", "fid": "no weights"}}, "not run: FID is not scored: no weights"),
        ({"fid_n": 64}, "not comparable: FID is over 64 images against 10,000; score all"),
    ],
)
def test_fid_that_was_not_scored_on_all_images_says_so(run: Run, changes: dict[str, Any], verdict: str) -> None:
    found = table(as_published(run, [], **changes), []).query("system == 'jpeg2000' and quantity == 'fid'")
    assert set(found.verdict + ": " + found.reason) == {verdict}
    assert found.ours.isna().all()


def test_failed_images_are_no_basis_for_a_verdict(run: Run) -> None:
    found = table(as_published(run, [], failed=2), []).query("system == 'jpeg'")
    assert set(found.verdict + ": " + found.reason) == {"not comparable: 2 images failed"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "skipped", "error": "no library"}, "no library"),
        ({"status": "failed", "error": "decode: broken"}, "decode: broken"),
        ({"codec": "webp"}, "jpeg at quality 1 is not in the run"),
        ({"point": "half"}, "no full by decoded in its files"),
    ],
)
def test_points_that_were_not_measured_have_a_reason(run: Run, change: dict[str, Any], reason: str) -> None:
    jpeg = run.summary.codec == "jpeg"
    changed = run.summary[jpeg].assign(**change)
    found = table(replace(run, summary=pd.concat([run.summary[~jpeg], changed])), [])
    first = found.query("system == 'jpeg' and point == 0")
    assert set(first.verdict + ": " + first.reason) == {f"not run: {reason}"}
    assert len(first) == 3


def test_a_setting_that_is_there_twice_is_refused(run: Run) -> None:
    other = run.summary.query("codec == 'bpg'").assign(setting=lambda rows: rows.setting.str.replace("slow", "medium"))
    with pytest.raises(ResultsError, match="bpg at quality 51 is in the run more than once"):
        find_row(pd.concat([run.summary, other]), Place("bpg", {"quality": 51}))


def test_lossless_is_found_only_where_it_is_asked_for(run: Run) -> None:
    row, _ = find_row(run.summary, Place("bpg", {"lossless": True}))
    assert row is not None
    assert row["psnr_db"] == math.inf
    row, reason = find_row(run.summary, Place("bpg", {"quality": 29}))  # the default, which lossless has too
    assert (row, reason) == (None, "bpg at quality 29 is not in the run")


# ---- learned codecs -----------------------------------------------------------------------------------------


def test_the_configuration_names_weights_of_learned_codecs() -> None:
    checkpoints = {"vae-b": {"files": ["/a/1.pth.tar", "/a/2.pth.tar"], "published": True}, "vae-m": ["/b/1.pth.tar"]}
    figures = PublishedFigures.from_mapping({"dataset": "demo", "checkpoints": checkpoints}, "paper: imagenet64")
    named = [one for one in figures.codecs()[HYPERPRIOR] if one["model"] != protocol.SMALL_MODEL]
    assert named == [
        {"model": "/a/1.pth.tar", "label": "vae-b (published weights)"},
        {"model": "/a/2.pth.tar", "label": "vae-b (published weights)"},
        {"model": "/b/1.pth.tar", "label": "vae-m (other weights)"},
    ]
    options = [option.split("=", 1) for option in figures.arguments()]
    texts, whole = (
        [value for name, value in options if name == wanted] for wanted in ("--checkpoint", "--published-checkpoints")
    )
    assert protocol.parse_weights(texts, whole) == list(figures.weights)


@pytest.mark.parametrize(
    ("texts", "whole", "message"),
    [
        (["vae-x=a"], [], "checkpoint 'vae-x=a': write it as SYSTEM=FILE, SYSTEM one of vae-b, vae-m"),
        (["vae-b="], [], "checkpoint 'vae-b=': write it"),
        (["vae-b=a"], ["vae-m"], "no checkpoint is named for vae-m"),
    ],
)
def test_weights_are_named_with_their_system(texts: list[str], whole: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        protocol.parse_weights(texts, whole)


def test_named_weights_have_the_published_points_and_points_of_their_own(
    run: Run, weights: Weights, learned: pd.DataFrame
) -> None:
    published_points, measured = learned[learned.model == ""], learned[learned.model == "other weights"]
    assert len(published_points) == 4 * len(published("cifar10").query("system == 'vae-b'"))
    at_equal_psnr = published_points[published_points["quantity"] == "bpp_at_psnr"]
    assert set(at_equal_psnr.verdict + ": " + at_equal_psnr.reason) == {
        "not comparable: the curve measured here does not reach that PSNR"
    }
    bpp = measured[measured["quantity"] == "bpp"]
    assert list(bpp.setting) == [CHECKPOINT.name, "more.pth.tar"]
    assert list(bpp.ours) == [run.summary.set_index("setting").bpp.filter(like=file).iloc[0] for file in weights.files]
    assert set(bpp.verdict + ": " + bpp.reason) == {"not comparable: no published point has its setting"}


@pytest.mark.parametrize(
    ("changes", "share", "verdict"),
    [
        ({"is_published": True}, 1.0, "agrees"),
        ({"is_published": True}, 1.5, "differs"),
        ({}, 1.0, "not comparable: other weights than the published ones"),
        ({"is_published": True, "system": "vae-m"}, 1.0, "not comparable: another architecture, bmshj2018-hyperprior"),
    ],
)
def test_weights_are_judged_at_equal_psnr_if_they_are_the_published_ones(
    run: Run, weights: Weights, changes: dict[str, Any], share: float, verdict: str
) -> None:
    named = replace(weights, **changes)
    measured = [find_row(run.summary, place)[0] for place in named.places]
    (low, high) = [row for row in measured if row is not None]
    middle = {name: (low[name] + high[name]) / 2 for name in ("psnr_db", "bpp")}
    rate = math.sqrt(low["bpp"] * high["bpp"])  # linear in the logarithm between two points
    point = {"system": named.system, "point": 0, "kind": "unstated", "suspect": False, "fid": 1.0}
    found = list(weights_rows(replace(run, relation=SAME), named, [{**point, **middle, "bpp": share * rate}]))
    (row,) = [row for row in found if row["quantity"] == "bpp_at_psnr"]
    assert row["ours"] == pytest.approx(rate, rel=1e-9)
    assert f"{row['verdict']}: {row['reason']}".startswith(verdict)


def test_the_shipped_small_model_is_shown_but_not_judged(run: Run) -> None:
    assert [dict(place.parameters) for place in protocol.SMALL_PLACES] == [
        {"model": protocol.SMALL_MODEL, "quality": quality} for quality in range(1, 9)
    ]
    at = run.summary.setting.str.contains(CHECKPOINT.name, regex=False)
    small = run.summary[at].assign(setting=f"model={protocol.SMALL_MODEL},quality=3")
    others = run.summary[~run.summary.setting.str.startswith(f"model={protocol.SMALL_MODEL},")]
    found = table(replace(run, summary=pd.concat([others, small])), [])
    rows = found[found.model == SMALL_LABEL].set_index(["setting", "quantity"])
    assert len(rows) == 8 * 3
    assert rows.loc[("quality 3", "bpp"), "ours"] == small.bpp.iloc[0]
    assert rows.loc[("quality 3", "bpp"), "verdict"] == "not comparable"
    assert rows.loc[("quality 3", "psnr_db"), "reason"] == "another, smaller model, trained on 800 images"
    assert rows.loc[("quality 1", "bpp"), "reason"] == "hyperprior at quality 1 is not in the run"


# ---- real images --------------------------------------------------------------------------------------------


def measured(folder: Path, spec: str, models: list[Model], limit: int | None, *codecs: str) -> pd.DataFrame:
    dataset = open_dataset(spec, limit)
    measure_run(folder, dataset, *codecs)
    summarize_run(folder)
    return table(read_run(folder, dataset.name.split("-")[0]), models)


@pytest.mark.shared
def test_the_first_images_of_the_test_set_agree_as_the_benchmark_of_baselines_finds(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small_run, "SHARD_SIZE", 300)  # a file a setting
    spec = f"npz:{shared}/data/cifar10-part.npz#test"
    codecs = ["jpeg:quality=10", "jpeg:quality=100", "jpeg2000:layers=20,10,5"]
    found = measured(tmp_path / "run", spec, [], 300, *codecs)
    judged = found[found["quantity"].isin(["bpp", "psnr_db"]) & found.ours.notna()].set_index(["setting", "quantity"])
    assert len(judged) == 6
    differing = judged[judged.verdict != "agrees"]  # with all 1,017 images the PSNR at quality 95 too
    assert list(differing.index) == [("quality 100", "psnr_db")]
    assert differing.reason.str.startswith("libjpeg-turbo").all()
    fid = found[(found["quantity"] == "fid") & (found.setting == "quality 100")]
    assert list(fid.verdict + ": " + fid.reason) == ["not comparable: n=300 against 10,000"]


@pytest.mark.shared
def test_the_authors_tiny_model_fills_the_rows_of_uqdm(shared: Path, tmp_path: Path) -> None:
    tiny = Model("tiny", str(shared / "checkpoints" / "uqdm-tiny"))
    spec = f"npz:{shared}/data/imagenet64-sample.npz#eval"
    found = measured(tmp_path / "run", spec, [tiny], 2, f"uqdm:model={tiny.path},seeds=1")
    uqdm = found[found.model == "tiny"]
    assert set(uqdm.system) == {"uqdm-d", "uqdm-a", "uqdm-f"}
    assert uqdm[uqdm["quantity"] != "fid"].ours.notna().all()
    assert set(uqdm.verdict) == {"not comparable"}
    assert uqdm.codec_version.str.startswith("uqdm-tiny sha256:").all()

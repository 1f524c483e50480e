"""Guards the published curves: complete, as published, and never taken for measured ones."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from uqdm.bench.analysis.published_curves import COLUMNS, FOLDER, published, published_names, relation
from uqdm.bench.datasets import Origin
from uqdm.bench.metrics import summary_schema
from uqdm.bench.plots import _published, rate_distortion
from uqdm.bench.run.summary_reader import read_summary

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(("name", "systems", "points"), [("cifar10", 12, 128), ("imagenet64", 15, 141)])
def test_every_system_and_column_is_there(name: str, systems: int, points: int) -> None:
    rows = published(name)
    assert list(rows.columns) == list(COLUMNS)
    assert (rows.system.nunique(), len(rows)) == (systems, points)
    assert set(rows.dataset) == {name}
    assert not rows.drop(columns="suspect_reason").isna().any(axis=None)
    assert (rows.bpp >= 0).all()
    assert set(rows[rows.psnr_db == np.inf].system) <= {"jpeg2000", "bpg", "vdm-d", "vdm-a", "vdm-f", "vdm-1000d"}
    for _, curve in rows.groupby("system"):
        assert list(curve.point) == list(range(len(curve)))
        assert curve.bpp.is_monotonic_increasing
        assert curve.psnr_db.is_monotonic_increasing


@pytest.mark.parametrize(
    ("system", "kind"),
    [("jpeg", "file"), ("bpg", "file"), ("uqdm-f", "ideal"), ("vdm-1000d", "ideal"), ("vae-b", "unstated")],
)
def test_every_system_has_the_kind_of_its_rate(system: str, kind: str) -> None:
    rows = published("cifar10").query("system == @system")
    assert set(rows.kind) == {kind}
    assert rows.source.str.contains("Yang, Will & Mandt").all()


@pytest.mark.parametrize("name", published_names())
def test_the_copied_column_is_flagged_with_its_reason(name: str) -> None:
    rows = published(name)
    assert set(rows[rows.suspect].system) == {"vdm-1000d"}
    assert rows[rows.suspect].suspect_reason.str.contains("FID only").all()
    assert (rows[~rows.suspect].suspect_reason == "").all()


def test_the_reason_of_the_flag_holds() -> None:
    one, other = (published(name).query("system == 'vdm-1000d'") for name in ("cifar10", "imagenet64"))
    near = np.abs(one.fid.to_numpy() - other.fid.to_numpy()) < 0.004
    assert near.sum() == 10
    assert (np.abs(one.psnr_db.to_numpy()[:-1] - other.psnr_db.to_numpy()[:-1]) > 0.1).any()


def test_an_unknown_data_set_is_named_with_the_known_ones() -> None:
    with pytest.raises(LookupError, match="no published figures for 'kodak'; there are some for: cifar10, imagenet64"):
        published("kodak")


@pytest.mark.shared
@pytest.mark.parametrize("name", published_names())
def test_the_figures_are_those_of_the_authors_files(name: str, shared: Path) -> None:
    spec = importlib.util.spec_from_file_location("published_csv", ROOT / "benchmarks" / "published_csv.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    path = shared / "published" / f"{name}.yml"
    assert script.rows_of(path).to_csv(index=False) == (FOLDER / f"{name}.csv").read_text()
    jpeg = yaml.safe_load(path.read_text())["jpeg"]
    assert list(published(name).query("system == 'jpeg'").psnr_db) == jpeg["psnr"]


def test_the_results_folder_leads_to_the_same_files() -> None:
    assert (ROOT / "results" / "published").resolve() == FOLDER


def _run_on(dataset: str, finished_run: Path, folder: Path) -> Path:
    folder.mkdir()
    summary = read_summary(finished_run).assign(dataset=dataset)
    pq.write_table(pa.Table.from_pandas(summary, summary_schema(), preserve_index=False), folder / "summary.parquet")
    return folder


def test_a_run_on_a_published_data_set_shows_them_apart(finished_run: Path, tmp_path: Path) -> None:
    run_dir = _run_on("imagenet64-sample-eval", finished_run, tmp_path / "run")
    axes = rate_distortion.draw(run_dir).axes[1]
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_title().get_text() == f"{_published.TITLE}\n10,000 images, perhaps none of these"
    assert len(legend.get_texts()) == 15
    assert "bpg, file" in [text.get_text() for text in legend.get_texts()]
    caption = rate_distortion.caption(run_dir)
    assert "not measured here, over 10,000 images" in caption
    assert "imagenet64-sample-eval is taken for images of that kind by its name; nothing proves it" in caption
    bpg = next(line for line in axes.lines if line.get_label() == "bpg, file")
    rows = published("imagenet64").query("system == 'bpg' and psnr_db < inf")
    np.testing.assert_array_equal(bpg.get_xydata(), rows[["bpp", "psnr_db"]])
    assert bpg.get_markerfacecolor() == "none"


TEST_SET = Origin("cifar10-test", "the 10,000 test images of CIFAR-10", "MD5 of test_batch as published")
NEWER = Origin("imagenet64-val", "the validation images of the newer release", "SHA-256 as published")
UNPROVEN = Origin("imagenet64-val", "the validation images of the newer release", "")
OLDER = Origin("imagenet64-val-older", "the validation images of the older release", "")


@pytest.mark.parametrize(
    ("name", "dataset", "n_images", "origin", "kind", "sampling"),
    [
        ("cifar10", "cifar10", 10_000, TEST_SET, "same", 0),
        ("cifar10", "cifar10", 1_900, TEST_SET, "part", 0.9),  # sqrt(1 - 0.19)
        ("cifar10", "cifar10", 10_000, None, "named", 2**0.5),  # an array of that name proves nothing
        ("cifar10", "cifar10-part-test", 2_100, None, "named", 1.1),  # sqrt(1 + 0.21)
        ("cifar10", "cifar10-train", 10_000, Origin("cifar10-train", "", "MD5"), "other", None),
        ("cifar10", "demo", 128, None, "other", None),
        ("imagenet64", "imagenet64-deduplicated", 10_000, NEWER, "sample", 2**0.5),
        ("imagenet64", "imagenet64", 10_000, UNPROVEN, "named", 2**0.5),
        ("imagenet64", "imagenet64-older", 10_000, OLDER, "other", None),
    ],
)
def test_the_relation_of_images_to_the_published_ones(
    name: str, dataset: str, n_images: int, origin: Origin | None, kind: str, sampling: float | None
) -> None:
    found = relation(name, dataset, n_images, origin)
    assert found.kind == kind
    assert found.sampling == pytest.approx(sampling) if sampling is not None else np.isnan(found.sampling)


def test_the_note_says_when_images_are_the_published_ones(finished_run: Path, tmp_path: Path) -> None:
    run_dir = _run_on("cifar10", finished_run, tmp_path / "run")
    facts = {"origin": {"release": "cifar10-test", "text": "the 10,000 test images of CIFAR-10", "proof": "MD5"}}
    (run_dir / "evaluation.json").write_text(json.dumps(facts))
    assert "The images are the first 7 of the published ones (MD5)." in rate_distortion.caption(run_dir)


def test_published_curves_do_not_set_the_axes(finished_run: Path, tmp_path: Path) -> None:
    limits = []
    for name in ("cifar10", "other"):
        axes = rate_distortion.draw(_run_on(name, finished_run, tmp_path / name)).axes[1]
        limits.append((axes.get_xlim(), axes.get_ylim()))
    assert limits[0] == limits[1]


def test_a_run_on_another_data_set_shows_none(finished_run: Path) -> None:
    assert "published" not in rate_distortion.caption(finished_run)
    lines = rate_distortion.draw(finished_run).axes[1].lines
    assert not [line.get_label() for line in lines if line.get_markerfacecolor() == "none"]

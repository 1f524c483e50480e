"""Guards set metrics: the choice of pictures, features that are computed once, and the columns of a row."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import ray
from small_run import evaluate_here
from toy_images import MemoryImages

from uqdm.bench.analysis.short_table import short_table
from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import open_dataset
from uqdm.bench.features.statistics import Gaussian, frechet_distance
from uqdm.bench.metrics.fd_clip import fd_clip
from uqdm.bench.progress.progress import RunProgress
from uqdm.bench.run.json_files import read_scores
from uqdm.bench.run.metric_choice import MetricChoice
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.scoring.feature_source import FeatureSource
from uqdm.bench.scoring.options import ScoringOptions
from uqdm.bench.scoring.run import score_run
from uqdm.bench.scoring.selection import SetMetricBounds
from uqdm.codec import get_codec

pytestmark = pytest.mark.usefixtures("ray_on_two_cores")

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import this file

CALLS = "pictures-extracted"


class Means:
    """A tiny extractor: mean colours of the quarters of a picture. It logs how many pictures it received."""

    sha256 = "5" * 64
    resize = "quarters"
    n_features = 12
    caution = None
    log: ClassVar[Path]

    def __init__(self, log: Path) -> None:
        self._log = log

    def features(self, images: Sequence[np.ndarray], batch: int) -> np.ndarray:
        with self._log.open("a") as file:
            file.write(f"{len(images)}\n")
        quarters = [image.reshape(2, image.shape[0] // 2, 2, image.shape[1] // 2, 3) for image in images]
        return np.stack([part.mean((1, 3)).ravel() for part in quarters]).astype(np.float32)


class Folder:
    """A store of features as files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True, parents=True)

    def get(self, key: str) -> np.ndarray | None:
        path = self._folder / f"{key}.npy"
        return np.load(path) if path.is_file() else None

    def put(self, key: str, features: np.ndarray) -> None:
        np.save(self._folder / f"{key}.npy", features)


def scored_here(run_dir: Path, dataset: MemoryImages, *codecs: str) -> None:
    """Measures codecs with the metrics of single pictures, so that workers start only for those of sets."""
    evaluate_here(run_dir, dataset, *codecs, metrics=MetricChoice(("psnr_db",)))


def options_in(folder: Path, **bounds: int | None) -> ScoringOptions:
    return ScoringOptions(
        ("fid", "kid", "patch_fid"), folder / "features", batch=4, set_metrics=SetMetricBounds(**{"least": 2, **bounds})
    )


def features_in(folder: Path) -> FeatureSource:
    log = folder / CALLS
    return FeatureSource(lambda name, weights: Means(log), lambda path, extractor: Folder(path))


def score(
    run_dir: Path, dataset: Any, options: ScoringOptions, features: FeatureSource | None = None
) -> dict[tuple[str, ...], Mapping[str, Any]]:
    """The rows of set metrics by their names; unless given, features are those of ``Means``, with a log in the run."""
    outcome = score_run(run_dir, options, RunProgress(io.StringIO()), dataset, features or features_in(run_dir.parent))
    return {
        (line["codec"], line["setting"], line.get("point"), line.get("reconstruction")): line for line in outcome.sets
    }


def extracted(folder: Path) -> int:
    log = folder / CALLS
    return sum(map(int, log.read_text().split())) if log.exists() else 0


def photographs(count: int) -> MemoryImages:
    demo = open_dataset("demo", limit=count)
    return MemoryImages([demo.load(index) for index in range(count)])


def fid_by_hand(originals: Sequence[np.ndarray], pictures: Sequence[np.ndarray], folder: Path) -> float:
    sides = [Means(folder / "by-hand").features(side, 4) for side in (originals, pictures)]
    return frechet_distance(*(Gaussian.of(side) for side in sides))


def test_values_equal_a_direct_computation_and_features_are_computed_once(tmp_path: Path) -> None:
    dataset, run_dir = photographs(8), tmp_path / "run"
    evaluate_here(run_dir, dataset, "jpeg:quality=30", "jpeg:quality=80", "png", "toy-raw:drop=0", "toy-model")
    lines = score(run_dir, dataset, options_in(tmp_path))
    jpeg = get_codec("jpeg", quality=30)
    decoded = jpeg.decode(jpeg.encode(dataset.images))
    line = lines["jpeg", "quality=30", "full", "decoded"]
    # The same float32 features and the same float64 arithmetic, on any machine that runs this test.
    assert line["fid"] == pytest.approx(fid_by_hand(dataset.images, decoded, tmp_path), rel=1e-9)
    assert (line["fid_n"], line["fid_extractor"], line["fid_resize"]) == (8, "5" * 16, "quarters")
    assert line["fid_warning"] == "n=8 is under 12: biased, singular covariance"
    asked = {name: reason for name, reason in line["unscored"].items() if reason != "not asked for"}
    assert asked == {"patch_fid": "64 px is under its smallest side of 128 px"}
    floor = lines["originals", "first half against second half", None, None]
    assert floor["fid"] == pytest.approx(fid_by_hand(dataset.images[:4], dataset.images[4:], tmp_path), rel=1e-9)
    assert (floor["status"], floor["fid_n"]) == ("reference", 4)
    for exact in (("png", ""), ("toy-raw", "drop=0")):
        # Equal sets: zero, up to the rounding of a matrix square root.
        assert lines[*exact, "full", "decoded"]["fid"] == pytest.approx(0, abs=1e-6)
    # Originals, two JPEGs, and the two inexact pictures of toy-model; equal pictures share features.
    assert extracted(tmp_path) == 8 * (1 + 2 + 2)
    again = score(run_dir, dataset, options_in(tmp_path))
    assert again == lines
    assert extracted(tmp_path) == 40


@pytest.mark.proof
def test_features_are_shared_by_runs(tmp_path: Path) -> None:
    dataset = photographs(6)
    scored_here(tmp_path / "a", dataset, "jpeg:quality=50")
    first = score(tmp_path / "a", dataset, options_in(tmp_path))
    scored_here(tmp_path / "b", dataset, "jpeg:quality=50", "png")
    for path in (tmp_path / "b" / "streams" / "jpeg").iterdir():
        path.unlink()  # its pictures need not be decoded for their features
    second = score(tmp_path / "b", dataset, options_in(tmp_path))
    key = ("jpeg", "quality=50", "full", "decoded")
    assert second[key] == first[key]
    assert extracted(tmp_path) == 12


@pytest.mark.proof
def test_bounds_choose_images_and_settings_and_the_others_have_a_reason(tmp_path: Path) -> None:
    dataset, run_dir = photographs(9), tmp_path / "run"
    qualities = (10, 30, 50, 70, 90)
    scored_here(run_dir, dataset, *(f"jpeg:quality={quality}" for quality in qualities), "toy-model")
    lines = score(run_dir, dataset, options_in(tmp_path, images=5, settings=3))
    chosen = {line[1] for line, found in lines.items() if line[0] == "jpeg" and "fid" in found}
    assert chosen == {"quality=10", "quality=50", "quality=90"}
    other = lines["jpeg", "quality=30", "full", "decoded"]
    assert other["unscored"]["fid"] == "not among the 3 of 5 settings chosen for metrics of sets"
    assert other["fid_n"] is None
    assert all("fid" in found for line, found in lines.items() if line[0] == "toy-model")  # all points of a stream
    jpeg = get_codec("jpeg", quality=50)
    images = [dataset.images[index] for index in (0, 2, 4, 6, 8)]
    by_hand = fid_by_hand(images, jpeg.decode(jpeg.encode(images)), tmp_path)
    assert lines["jpeg", "quality=50", "full", "decoded"]["fid"] == pytest.approx(by_hand, rel=1e-9)
    assert extracted(tmp_path) == 5 * (1 + 3 + 2)


def test_large_pictures_have_features_of_their_patches(tmp_path: Path) -> None:
    demo = open_dataset("demo", limit=8)
    tiles = [demo.load(index) for index in range(8)]
    images = [np.hstack([np.vstack(tiles[i : i + 2]), np.vstack(tiles[i + 2 : i + 4])]) for i in (0, 4)]
    dataset, run_dir = MemoryImages(images), tmp_path / "run"
    scored_here(run_dir, dataset, "jpeg:quality=30")
    line = score(run_dir, dataset, options_in(tmp_path))["jpeg", "quality=30", "full", "decoded"]
    jpeg = get_codec("jpeg", quality=30)
    assert {image.shape for image in images} == {(128, 128, 3)}

    def patches(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
        corners = [(0, 0), (0, 64), (64, 0), (64, 64), (32, 32)]
        return [picture[top : top + 64, left : left + 64] for picture in pictures for top, left in corners]

    by_hand = fid_by_hand(patches(images), patches(jpeg.decode(jpeg.encode(images))), tmp_path)
    assert line["patch_fid"] == pytest.approx(by_hand, rel=1e-9)
    assert line["patch_fid_n"] == 10
    assert line["unscored"]["kid"] == "n=2 is under the 4 that it needs"


def test_without_an_extractor_the_run_continues_and_rows_have_the_reason(tmp_path: Path) -> None:
    dataset, run_dir = photographs(4), tmp_path / "run"

    def absent(name: str, weights: Path | None) -> Means:
        raise RuntimeError("weights are not here; put them there")

    scored_here(run_dir, dataset, "jpeg:quality=50")
    options = ScoringOptions(("fid", "kid"), tmp_path / "features", set_metrics=SetMetricBounds(least=2))
    (line, floor) = score(run_dir, dataset, options, FeatureSource(absent)).values()
    assert line["unscored"].items() >= dict.fromkeys(("fid", "kid"), "weights are not here; put them there").items()
    assert floor["fid_n"] is None
    summary = summarize_run(run_dir)
    assert summary.loc[summary.codec == "jpeg", "psnr_db"].notna().all()
    assert "no FID and KID: weights are not here; put them there" in short_table(read_summary(run_dir))


@pytest.mark.proof
def test_a_picture_that_cannot_be_decoded_affects_only_its_row(tmp_path: Path) -> None:
    dataset, run_dir = photographs(6), tmp_path / "run"
    scored_here(run_dir, dataset, "jpeg:quality=50", "jpeg:quality=80")
    scored = score_run(run_dir, ScoringOptions(("psnr_db",)), RunProgress(io.StringIO()), dataset)
    assert scored.scored == 12
    (gone, *_) = sorted((run_dir / "streams" / "jpeg").iterdir())
    gone.unlink()
    lines = score(run_dir, dataset, options_in(tmp_path))
    told = [line["unscored"] for key, line in lines.items() if key[0] == "jpeg" and "fid" not in line]
    assert len(told) == 1
    assert "streams" in told[0]["fid"]
    assert sum("fid" in line for line in lines.values()) == 2


def test_the_summary_has_the_columns_and_the_floor(tmp_path: Path) -> None:
    dataset, run_dir = photographs(8), tmp_path / "run"
    scored_here(run_dir, dataset, "jpeg:quality=30", "png")
    score(run_dir, dataset, options_in(tmp_path))
    assert json.loads((run_dir / "scores.json").read_text())["selection"] == {
        "images": 32,
        "settings": 4,
        "patches": 48,
        "least": 2,
    }
    summary = summarize_run(run_dir).set_index("codec")
    sets = {line["codec"]: line for line in read_scores(run_dir)["sets"]}
    for codec in ("jpeg", "png", "originals"):
        assert summary.loc[codec, "fid"] == sets[codec]["fid"]
        assert summary.loc[codec, "kid_sd"] == sets[codec]["kid_sd"]
    assert (summary.loc["originals", "status"], summary.loc["originals", "n"]) == ("reference", 4)
    text = short_table(read_summary(run_dir))
    assert "FID, KID: n=8 images; under 2,048 FID is biased: compare at this n only" in text
    assert f"floor: originals, first half against second half (n=4): FID {sets['originals']['fid']:.1f}" in text
    assert f"{sets['jpeg']['fid']:.1f}" in next(line for line in text.splitlines() if line.startswith("jpeg"))
    assert not any(line.startswith("originals") for line in text.splitlines())


class FewerMeans(Means):
    """Another extractor, with weights that are not the published ones: mean colours of whole pictures."""

    sha256, resize, n_features, caution = "6" * 64, "none", 3, "made up"

    def features(self, images: Sequence[np.ndarray], batch: int) -> np.ndarray:
        return np.stack([image.mean((0, 1)) for image in images]).astype(np.float32)


def test_metrics_of_several_extractors_are_computed_apart(tmp_path: Path) -> None:
    dataset, run_dir = photographs(6), tmp_path / "run"
    scored_here(run_dir, dataset, "jpeg:quality=5")

    def load(name: str, weights: Path | None) -> Means:
        assert weights == (tmp_path / "clip.pt" if name == "clip" else None)
        if name == "dinov2":
            raise RuntimeError("no weights")
        return {"inception": Means, "clip": FewerMeans}[name](tmp_path / CALLS)

    metrics = ("fid", "fd_clip", "fd_dinov2")
    options = replace(options_in(tmp_path), metrics=metrics, clip_weights=tmp_path / "clip.pt")
    (line, _) = score(run_dir, dataset, options, FeatureSource(load)).values()
    stored = {folder.name.partition("-")[0] for folder in (tmp_path / "features").iterdir()}
    assert stored == {"5" * 16, "6" * 16}
    assert line["fid_warning"] == "n=6 is under 12: biased, singular covariance"
    assert (line["fd_clip_n"], line["fd_clip_extractor"], line["fd_clip_warning"]) == (6, "6" * 16, "made up")
    assert (line["fd_dinov2_n"], line["unscored"]["fd_dinov2"]) == (None, "no weights")
    jpeg = get_codec("jpeg", quality=5)
    means = FewerMeans(tmp_path / CALLS)
    sides = [means.features(images, 6) for images in (dataset.images, jpeg.decode(jpeg.encode(dataset.images)))]
    assert line["fd_clip"] == pytest.approx(fd_clip(*sides)["fd_clip"], rel=1e-9)
    (row,) = summarize_run(run_dir).query("codec == 'jpeg'").to_dict("records")
    assert (row["fd_clip_n"], row["fd_clip_warning"]) == (6, "made up")


@pytest.mark.proof
def test_features_are_stored_next_to_the_runs_by_default(tmp_path: Path) -> None:
    opened: list[Path] = []
    dataset, run_dir = photographs(4), tmp_path / "results" / "run"
    scored_here(run_dir, dataset, "png")
    features = FeatureSource(features_in(tmp_path).load, lambda path, extractor: opened.append(path) or Folder(path))
    options = replace(options_in(tmp_path), features=None)
    score(run_dir, dataset, options, features)
    assert opened == [tmp_path / "results" / "features"]

"""Guards the sliced Wasserstein distance of pictures: projections by hand, closed forms, and the floor of a run."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
from gaussian_source import GaussianSource
from small_run import evaluate_here
from toy_images import MemoryImages

from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.features.extractor import Extractor
from uqdm.bench.features.extractors.projections import load
from uqdm.bench.features.patch_projections import N_DIRECTIONS, N_PATCHES, SIDE, digest, directions, places
from uqdm.bench.metrics.mse import mse
from uqdm.bench.metrics.sliced_w2 import sliced_w2
from uqdm.bench.metrics.sliced_wasserstein import projected_distance
from uqdm.bench.progress.progress import RunProgress
from uqdm.bench.run.metric_choice import MetricChoice
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.schema import STATUS_REFERENCE
from uqdm.bench.scoring.options import ScoringOptions
from uqdm.bench.scoring.run import score_run
from uqdm.bench.scoring.selection import SetMetricBounds


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return load(device="cpu")


def noise(n: int, height: int, width: int) -> list[np.ndarray]:
    generator = np.random.default_rng(4)
    return [generator.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(n)]


def distance(extractor: Extractor, one: list[np.ndarray], other: list[np.ndarray]) -> float:
    return sliced_w2(extractor.features(one), extractor.features(other))["sliced_w2"]


def test_features_are_the_projections_of_sixteen_patches(extractor: Extractor) -> None:
    for image in noise(2, 21, 8) + noise(1, 64, 48):
        found = extractor.features([image])[0].reshape(N_PATCHES, N_DIRECTIONS)
        corners = [(top, left) for top in places(image.shape[0]) for left in places(image.shape[1])]
        for projections, (top, left) in zip(found, corners, strict=True):
            patch = image[top : top + SIDE, left : left + SIDE].transpose(2, 0, 1).reshape(-1).astype(np.float64)
            # 192 additions in float32, each rounded by up to 3e-5 where sums reach 500: 4e-4 with random signs.
            np.testing.assert_allclose(projections, patch @ directions().astype(np.float64), rtol=0, atol=1e-3)
        assert corners[0] == (0, 0)
        assert corners[-1] == (image.shape[0] - SIDE, image.shape[1] - SIDE)


def test_directions_are_what_stored_features_were_made_with() -> None:
    """Another digest means other features: runs scored before are then not comparable."""
    assert digest() == "2c5724cd86fa88979209aa7aeee26465040cb12e99f752d11486986dc72810fa"
    assert load(device="cpu").sha256 == digest()
    with pytest.raises(ValueError, match="no weights"):
        load(Path("weights.pt"))
    with pytest.raises(ValueError, match="a side of 7 px is under the 8 px of a patch"):
        places(7)


def test_sets_that_differ_by_a_constant_are_as_far_apart(extractor: Extractor) -> None:
    """(d . 1)^2 of a unit direction d in 192 dimensions is 1 in the mean; of 200 directions within 5 sqrt(2 / 200)."""
    images = [image // 2 for image in noise(6, 32, 32)]
    found = distance(extractor, images, [image + np.uint8(9) for image in reversed(images)])
    sums = np.square(directions().sum(0)).mean()
    assert found == pytest.approx(9 * math.sqrt(sums), rel=1e-5)  # float32 projections
    assert sums == pytest.approx(1, abs=5 * math.sqrt(2 / N_DIRECTIONS))
    assert distance(extractor, images, images[::-1]) == 0


def test_a_picture_is_at_most_the_root_of_its_mean_squared_error_away(extractor: Extractor) -> None:
    images = noise(5, 8, 8)  # all 16 patches are the picture
    generator = np.random.default_rng(6)
    noisy = [np.clip(image + generator.normal(0, 20, image.shape), 0, 255).astype(np.uint8) for image in images]
    projected = np.square(extractor.features(images) - extractor.features(noisy)).mean()
    found = distance(extractor, images, noisy)
    assert 0 < found <= math.sqrt(projected) * (1 + 1e-9)
    error = np.mean([mse(*pair) for pair in zip(images, noisy, strict=True)])
    assert projected == pytest.approx(error, rel=0.1)  # 200 directions of 192 dimensions, five pictures


def test_of_two_gaussians_it_is_the_difference_of_their_deviations() -> None:
    """White in D dimensions, deviations r and s: |r - s| along every direction; the estimate's bias is under 2 %."""
    source = GaussianSource([1.0] * 4)
    first, second = (source.draw(20_000, seed).reshape(-1, 4).numpy() for seed in (1, 2))
    rho = 0.7  # of the faithful picture of docs/theory.md
    found = projected_distance(first, rho * second)
    assert found == pytest.approx(1 - rho, rel=0.05)
    assert projected_distance(first, second) < 0.05


def test_columns_are_sorted_in_parts_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(7)
    sides = generator.normal(size=(2, 50, 12))
    whole = projected_distance(*sides)
    monkeypatch.setattr("uqdm.bench.metrics.sliced_wasserstein._MOST_VALUES", 100)
    assert projected_distance(*sides) == pytest.approx(whole, rel=1e-13)  # the parts are added in another order


@pytest.mark.slow
@pytest.mark.usefixtures("ray_on_two_cores")
def test_a_run_has_the_distance_of_each_setting_and_the_floor(tmp_path: Path, extractor: Extractor) -> None:
    images = [image for size in ((24, 24), (16, 33)) for image in noise(3, *size)]  # sizes may differ
    evaluate_here(tmp_path / "run", MemoryImages(images), "png", "toy-raw:drop=4", metrics=MetricChoice(("psnr_db",)))
    options = ScoringOptions(("sliced_w2",), tmp_path / "features", set_metrics=SetMetricBounds(least=2))
    score_run(tmp_path / "run", options, RunProgress(io.StringIO()), MemoryImages(images))
    summarize_run(tmp_path / "run")
    found = read_summary(tmp_path / "run").set_index("codec")
    assert found.sliced_w2["png"] == 0
    assert found.sliced_w2["toy-raw"] > 0
    assert (found.sliced_w2_n["png"], found.sliced_w2_extractor["png"]) == (6, digest()[:16])
    floor = found[found.status == STATUS_REFERENCE].sliced_w2.iloc[0]
    assert floor == distance(extractor, images[:3], images[3:])

"""Published curves beside a run on made-up Kodak photographs: recognized by their files, and not in statistics."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_run import measure_run

from uqdm.bench.analysis.bd_table import make_bd_table
from uqdm.bench.analysis.short_table import closing_message
from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import kodak, open_dataset
from uqdm.bench.plots import rate_distortion
from uqdm.bench.report.figures import figure_data
from uqdm.bench.run.json_files import read_manifest, read_origin
from uqdm.bench.run.layout import evaluation_path
from uqdm.bench.run.summary_reader import read_summary

Made = Callable[[int], Path]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 small different files, none of which has its official name."""
    root = tmp_path_factory.mktemp("made-up") / "photos"
    root.mkdir()
    for number in range(24):
        rows, columns = np.mgrid[:16, :24]
        image = np.stack([rows * 9 + number, columns * 7, rows + columns], axis=2).astype(np.uint8)
        Image.fromarray(image).save(root / f"holiday{number:02d}.png")
    return root


@pytest.fixture(scope="module")
def known(photographs: Path) -> tuple[str, ...]:
    return tuple(hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(photographs.iterdir()))


@pytest.fixture(scope="module")
def made(photographs: Path, known: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """Runs on the first images of the folder, whose files are taken for the official ones."""

    @functools.cache
    def make(n_images: int) -> Path:
        run_dir = tmp_path_factory.mktemp("run") / f"of{n_images}"
        measure_run(run_dir, open_dataset(f"folder:{photographs}", n_images), "jpeg:quality=10", "jpeg:quality=90")
        origin = {"origin": read_manifest(run_dir, "jpeg")["origin"]}
        evaluation_path(run_dir).write_text(json.dumps(origin))
        summarize_run(run_dir)
        return run_dir

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kodak, "SHA256", known)
        yield make


def test_a_folder_of_the_known_files_is_recognized_under_any_name(
    photographs: Path, known: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert open_dataset(f"folder:{photographs}").find_origin() is None
    monkeypatch.setattr(kodak, "SHA256", known)
    assert open_dataset(f"folder:{photographs}").find_origin() == kodak.ORIGIN
    monkeypatch.setattr(kodak, "SHA256", (*known[1:], "0" * 64))
    assert open_dataset(f"folder:{photographs}").find_origin() is None  # one other image
    assert open_dataset("demo", 8).find_origin() is None


def test_eight_of_the_images_show_the_curves_with_a_note(made: Made) -> None:
    run_dir = made(8)
    assert read_origin(run_dir) == kodak.ORIGIN
    (data,) = figure_data(read_summary(run_dir), read_origin(run_dir))["datasets"]
    assert data["published"] == "kodak"
    assert "The set is a part: 8 of the 24 published images (SHA-256 of each file)." in data["published_notes"]["kodak"]
    caption = rate_distortion.caption(run_dir)
    assert "the best of each family, not measured here" in caption
    assert "The set is a part: 8 of the 24" in caption
    assert "published" not in rate_distortion.caption(run_dir, "none")
    lines = {str(line.get_label()) for line in rate_distortion.draw(run_dir).axes[1].lines}
    assert {"VVC VTM [CompressAI], file", "QARV (Duan 2023), file"} <= lines
    one = rate_distortion.draw(run_dir, "coin").axes[1].get_legend()
    assert one is not None
    assert [text.get_text() for text in one.get_texts()] == ["COIN (Dupont 2021), unstated"]


def test_all_of_the_images_show_the_curves_without_it(made: Made) -> None:
    run_dir = made(24)
    figures = figure_data(read_summary(run_dir), read_origin(run_dir))
    assert "a part" not in figures["datasets"][0]["published_notes"]["kodak"]
    assert "The images are the published ones (SHA-256 of each file)." in rate_distortion.caption(run_dir)
    kodak_curves = figures["published"]["kodak"]
    assert kodak_curves["choice"] == "best"
    assert len(kodak_curves["systems"]) == 164
    vtm = next(one for one in kodak_curves["systems"] if one["system"] == "cai-vtm")
    assert {"psnr_db"} <= set(vtm["best"])
    assert vtm["source"].startswith("InterDigitalInc/CompressAI")


def test_published_curves_enter_no_statistics(made: Made) -> None:
    run_dir = made(8)
    assert rate_distortion.caption(run_dir).count("published") > 0

    def statistics() -> list[str]:
        summary = read_summary(run_dir).drop(columns=["unscored"])
        return [summary.to_csv(), make_bd_table(run_dir, None).to_csv(), closing_message(run_dir)]

    with_curves = statistics()
    path = evaluation_path(run_dir)
    moved = path.rename(run_dir / "moved.json")  # so the images are not recognized any more
    assert "published" not in rate_distortion.caption(run_dir)
    assert statistics() == with_curves
    moved.rename(path)
    assert not any(name in "".join(with_curves) for name in ("cai-vtm", "VTM", "coin", "DCAE"))

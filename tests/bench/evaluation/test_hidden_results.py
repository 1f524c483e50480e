"""Finished results that an evaluation would hide: it says so before it starts, with a remedy that keeps them."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from toy_images import MemoryImages, unmarked_images

from uqdm.bench.evaluation.evaluate import evaluate
from uqdm.bench.evaluation.hidden_results import finished_manifests, hidden_results
from uqdm.bench.evaluation.options import EvaluationOptions
from uqdm.bench.progress.progress import RunProgress
from uqdm.bench.run.codec_settings import parse_request, resolve

DATASET = MemoryImages(unmarked_images(4))


def manifest(*settings: str, fingerprint: str = DATASET.fingerprint, skipped: Sequence[str] = ()) -> dict[str, object]:
    listed = [{"setting": one, "skipped": "no tool" if one in skipped else None} for one in settings]
    return {"settings": listed, "dataset": {"name": "other", "fingerprint": fingerprint, "n_images": 9}}


def warnings(manifests: dict[str, dict[str, object]], named: dict[str, list[str]], *, prune: bool = False) -> list[str]:
    return list(hidden_results(manifests, DATASET, named, prune=prune))


def test_settings_that_are_not_named_are_warned_of_and_the_remedy_names_them() -> None:
    (warning,) = warnings({"jpeg": manifest("quality=7", "quality=8")}, {"jpeg": ["quality=8"]})
    assert warning.startswith("WARNING: jpeg was measured at quality=7 before")
    assert warning.endswith("add --codec jpeg:quality=7")
    assert "\n" not in warning


def test_a_sweep_that_is_left_out_is_named_by_the_codec_alone() -> None:
    sweep = [one.setting for one in resolve([parse_request("jpeg")])["jpeg"]]
    assert len(sweep) > 2
    (warning,) = warnings({"jpeg": manifest(*sweep)}, {"jpeg": ["quality=8"]})
    assert warning.endswith("add --codec jpeg")


def test_a_setting_of_a_codec_that_is_not_installed_here_is_named_whole() -> None:
    (warning,) = warnings({"gone": manifest("a=1", "a=2")}, {"gone": ["a=3"]})
    assert warning.endswith("add --codec gone:a=1 --codec gone:a=2")


def test_codecs_on_other_images_are_warned_of() -> None:
    (warning,) = warnings({"png": manifest("", fingerprint="9-x"), "webp": manifest("")}, {"jpeg": ["quality=8"]})
    assert warning.startswith("WARNING: png finished earlier in this run on other images (other, 9)")
    assert "memory (4)" in warning
    assert warning.endswith("Use the same --dataset and --limit, or another --out")


def test_nothing_is_said_where_nothing_is_hidden() -> None:
    same = {"jpeg": manifest("quality=8"), "png": manifest("")}
    assert not warnings(same, {"jpeg": ["quality=8", "quality=9"]})
    assert not warnings({"jpeg": manifest("quality=7", skipped=["quality=7"])}, {"jpeg": ["quality=8"]})
    assert not warnings({"jpeg": manifest("quality=7")}, {"jpeg": ["quality=8"]}, prune=True)


def test_a_manifest_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "jpeg.json").write_text("{")
    assert finished_manifests(tmp_path) == {}
    assert finished_manifests(tmp_path / "absent") == {}


@pytest.mark.usefixtures("ray_on_two_cores")
def test_the_remedy_of_the_warning_keeps_the_settings(tmp_path: Path) -> None:
    def run(*codecs: str) -> str:
        log = io.StringIO()
        options = EvaluationOptions(shard_size=4, score=False)
        evaluate(DATASET, resolve(map(parse_request, codecs)), tmp_path, options, RunProgress(log))
        return log.getvalue()

    assert "WARNING" not in run("toy-raw")
    said = run("toy-raw:drop=2")
    (warning,) = [line for line in said.splitlines() if "WARNING" in line]
    assert said.index("WARNING") < said.index("are done already")
    assert "WARNING" not in run("toy-raw:drop=2", *re.findall(r"--codec (\S+)", warning))
    assert set(pd.read_parquet(tmp_path / "per_image")["setting"]) == {"drop=0", "drop=2", "drop=4"}

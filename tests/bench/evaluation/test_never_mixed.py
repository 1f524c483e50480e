"""Guards against rows of two origins in one table: after any change, the rows equal those of a run in a new folder."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest
import safetensors.torch
import toy_codecs
from small_models import FREE_SLOPE, small_codec
from toy_images import MemoryImages, unmarked_images

import uqdm.progressive.codec
from uqdm.bench.evaluation.evaluate import evaluate
from uqdm.bench.evaluation.options import EvaluationOptions
from uqdm.bench.progress.progress import RunProgress
from uqdm.bench.run.codec_settings import parse_request, resolve
from uqdm.bench.schema import MEASURED
from uqdm.progressive import tolerance

pytestmark = pytest.mark.usefixtures("ray_on_two_cores")


def rows_of(folder: Path, dataset: MemoryImages, codec: str, shard_size: int = 4) -> pd.DataFrame:
    """The rows that an evaluation writes into ``folder``."""
    uqdm.progressive.codec._load.cache_clear()  # as in a new process
    codecs = resolve([parse_request(codec)])
    evaluate(dataset, codecs, folder, EvaluationOptions(shard_size=shard_size, score=False), RunProgress(io.StringIO()))
    rows = pd.read_parquet(folder / "per_image").drop(columns=[*MEASURED])
    assert (rows["status"] == "ok").all()
    (name,) = codecs
    manifest = json.loads((folder / "manifests" / f"{name}.json").read_text())
    assert {one["codec_version"] for one in manifest["settings"]} == set(rows["codec_version"])
    assert manifest["dataset"]["fingerprint"] == rows["fingerprint"].unique().item() == dataset.fingerprint
    return rows


def check_new(folder: Path, old: pd.DataFrame, dataset: MemoryImages, codec: str) -> pd.DataFrame:
    """The rows of another evaluation into the same folder; they must equal those of a run in a new folder."""
    new = rows_of(folder / "run", dataset, codec)
    pd.testing.assert_frame_equal(new, rows_of(folder / "new", dataset, codec))
    assert not new.reset_index(drop=True).equals(old.reset_index(drop=True))
    return new


def test_another_version_of_a_codec(toys: Path, tmp_path: Path) -> None:
    dataset = MemoryImages(unmarked_images(6))
    version = toys / toy_codecs.VERSION
    version.write_text("1")
    old = rows_of(tmp_path / "run", dataset, "toy-versioned")
    version.write_text("3")
    new = check_new(tmp_path, old, dataset, "toy-versioned")
    assert (set(old["codec_version"]), set(new["codec_version"])) == ({"toy 1"}, {"toy 3"})
    assert not set(old["picture_sha256"]) & set(new["picture_sha256"])
    version.write_text("1")  # the first version again: its shards are found
    pd.testing.assert_frame_equal(rows_of(tmp_path / "run", dataset, "toy-versioned"), old)
    assert len(list((tmp_path / "run" / "shards").rglob("*.parquet"))) == 2 * 2


@pytest.mark.proof
def test_other_weights_of_a_model_of_the_same_name(tmp_path: Path) -> None:
    dataset = MemoryImages([image[:5, :6] for image in unmarked_images(3)])
    model = tmp_path / "small"
    small_codec(model, FREE_SLOPE)
    old = rows_of(tmp_path / "run", dataset, f"uqdm:model={model}")
    weights = model / "model.safetensors"
    tensors = safetensors.torch.load_file(weights)
    safetensors.torch.save_file({name: 0.9 * tensor for name, tensor in tensors.items()}, weights)
    tolerance.record(model)
    new = rows_of(tmp_path / "run", dataset, f"uqdm:model={model}")  # no run in a new folder: actors take long to start
    assert len(old) == len(new)
    assert set(old["setting"]) == set(new["setting"])  # only the version differs
    assert not set(old["codec_version"]) & set(new["codec_version"])
    assert (new["ideal_bits"].dropna() != old["ideal_bits"].dropna()).any()


def test_other_settings(tmp_path: Path) -> None:
    dataset = MemoryImages(unmarked_images(6))
    old = rows_of(tmp_path / "run", dataset, "toy-raw:drop=2")
    new = check_new(tmp_path, old, dataset, "toy-raw:drop=3")
    assert set(new["setting"]) == {"drop=3"}


@pytest.mark.proof
def test_other_images_of_the_same_names(tmp_path: Path) -> None:
    first = MemoryImages(unmarked_images(6))
    second = MemoryImages([255 - image for image in first.images])
    assert (first.name, first.ids, len(first)) == (second.name, second.ids, len(second))
    old = rows_of(tmp_path / "run", first, "toy-raw")
    new = check_new(tmp_path, old, second, "toy-raw")
    assert not set(old["picture_sha256"]) & set(new["picture_sha256"])


@pytest.mark.proof
def test_one_image_among_others_that_stay(tmp_path: Path) -> None:
    first = MemoryImages(unmarked_images(6))
    second = MemoryImages([*first.images[:5], 255 - first.images[5]])
    old = rows_of(tmp_path / "run", first, "toy-raw")
    check_new(tmp_path, old, second, "toy-raw")


@pytest.mark.proof
def test_other_shard_sizes_give_the_same_rows_once(tmp_path: Path) -> None:
    dataset = MemoryImages(unmarked_images(6))
    old = rows_of(tmp_path, dataset, "toy-raw", shard_size=4)
    pd.testing.assert_frame_equal(rows_of(tmp_path, dataset, "toy-raw", shard_size=5), old)

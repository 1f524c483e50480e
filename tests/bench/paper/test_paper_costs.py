"""Guards the table of Appendix C: counts are those of the configurations, and verdicts follow from counts and rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from small_run import measure_run
from toy_images import MemoryImages

from uqdm.bench.analysis.published_curves import Relation
from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.paper.costs import COLUMNS, MAX_OVERHEAD_PERCENT, cost_table
from uqdm.bench.paper.measured import Run, read_run
from uqdm.bench.paper.networks import count, network_of, networks
from uqdm.bench.paper.protocol import Model
from uqdm.bench.paper.strips import WAYS, draw, read_strips
from uqdm.model import checkpoint
from uqdm.progressive import tolerance

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
SIZES = ("embedding_dim", "n_blocks", "norm_groups")
# Parameters without the schedule's slope, and multiply-accumulates of a call per pixel, of the authors' networks.
COUNTS = {
    "tiny": (167_494, 386_986),
    "small": (2_238_150, 2_359_200),
    "medium": (122_143_494, 105_238_272),
    "big": (237_609_734, 203_808_512),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A network of the size of uqdm-tiny with fresh weights."""
    folder = tmp_path_factory.mktemp("models") / "fresh"
    sizes = {name: getattr(networks()[0], name) for name in SIZES}
    config = {
        "image_size": 16,
        "schedule": {"slope": 18.0, "gamma_max": 6.0, "n_steps": 4},
        "denoiser": {"kind": "unet", **sizes},
    }
    torch.manual_seed(0)
    checkpoint.save(folder, config, checkpoint.build(config)[0])
    tolerance.record(folder)
    return Model("fresh", str(folder))


@pytest.fixture(scope="module")
def run_dir(model: Model, tmp_path_factory: pytest.TempPathFactory, photographs_uint8: list[np.ndarray]) -> Path:
    images = MemoryImages([image[:16, :16].copy() for image in photographs_uint8[:2]], name="imagenet64-few")
    run_dir = measure_run(tmp_path_factory.mktemp("costs") / "run", images, f"uqdm:model={model.path},seeds=1")
    summarize_run(run_dir)
    return run_dir


@pytest.fixture(scope="module")
def run(run_dir: Path) -> Run:
    return read_run(run_dir, "imagenet64")


def rows_of(table: pd.DataFrame, quantity: str) -> pd.DataFrame:
    return table[table["quantity"] == quantity].set_index("system")


# ---- networks -----------------------------------------------------------------------------------------------


def test_counts_are_those_of_the_published_networks() -> None:
    found = {network.name: network.counts for network in networks()}
    assert {name: (one.parameters, one.macs_per_pixel) for name, one in found.items()} == COUNTS


@pytest.mark.shared
def test_sizes_are_those_of_the_authors_configurations(shared: Path) -> None:
    for network in networks():
        config = json.loads((shared / "checkpoints" / f"uqdm-{network.name}" / "config.json").read_text())["model"]
        assert {name: config[name] for name in SIZES} == {name: getattr(network, name) for name in SIZES}


@pytest.mark.parametrize("network", networks(), ids=lambda network: network.name)
def test_sizes_are_those_of_the_training_configurations(network) -> None:
    config = yaml.safe_load((ROOT / "config" / "train" / f"imagenet64-{network.name}.yaml").read_text())
    denoiser = config["model"]["denoiser"]
    assert {name: denoiser[name] for name in SIZES} == {name: getattr(network, name) for name in SIZES}


def test_published_counts_are_judged(run: Run) -> None:
    table = cost_table(run, [])
    assert list(table.columns) == list(COLUMNS)
    parameters, macs = (rows_of(table, name) for name in ("parameters", "macs_per_pixel"))
    assert parameters.verdict.to_dict() == {"tiny": "differs", **dict.fromkeys(("small", "medium", "big"), "agrees")}
    assert parameters.reason["tiny"] == "the published configuration and checkpoint have 167,494"
    assert (macs.verdict == "agrees").all()
    channels = rows_of(table, "channels")
    assert (channels.published["medium"], channels.ours["medium"], channels.verdict["medium"]) == (128, 256, "differs")
    assert f"128 would make {count(128, 32, 32).parameters:,} parameters" in channels.reason["medium"]
    without = table[table.system == ""]
    assert set(without.verdict) == {"not run"}
    assert set(without["quantity"]) == {
        "file_overhead",
        "encode_seconds",
        "decode_seconds",
        "encode_calls",
        "decode_calls",
    }


def test_networks_are_not_compared_with_runs_on_other_kinds_of_images(run: Run) -> None:
    assert "parameters" not in set(cost_table(replace(run, name="cifar10"), [])["quantity"])


# ---- models of the run --------------------------------------------------------------------------------------


def test_calls_are_those_of_the_rows(run: Run, model: Model) -> None:
    table = cost_table(run, [model])
    (encode,) = table[table["quantity"] == "encode_calls"].itertuples()
    assert (encode.published, encode.ours, encode.verdict) == (4, 3, "differs")
    assert "the first depends on the seed alone" in encode.reason
    decode = table[table["quantity"] == "decode_calls"].set_index("setting")
    assert len(decode) == 5 * 3 + 1
    denoised = [decode.loc[f"step {step}, denoise"] for step in range(5)]
    assert [(row.published, row.ours) for row in denoised] == [(1, 0), (2, 1), (3, 2), (4, 3), (4, 3)]
    assert tuple(decode.loc["step 1, flow", ["published", "ours"]]) == (4, 3)


def test_seconds_are_shown_and_not_compared(run: Run, model: Model) -> None:
    table = cost_table(run, [model])
    (row,) = table[table["quantity"] == "encode_seconds"].itertuples()
    lossless = run.summary[run.summary.point == "lossless"].iloc[0]
    assert row.ours == lossless.encode_ms / 1e3
    assert (row.verdict, np.isnan(row.published)) == ("not comparable", True)
    assert "authors' GPU" in row.reason


def test_the_overhead_is_judged_by_its_interval(run: Run, model: Model) -> None:
    lossless = run.summary[run.summary.point == "lossless"].iloc[0]
    many = replace(run, n_images=300, relation=Relation("same", "The images are the published ones.", 0.0))
    (row,) = cost_table(many, [model]).query("quantity == 'file_overhead'").itertuples()
    assert row.ours == pytest.approx(100 * (lossless.bpp / lossless.ideal_bpp - 1), abs=1e-9)
    assert row.low <= row.ours <= row.high
    assert row.verdict == ("agrees" if row.low <= MAX_OVERHEAD_PERCENT else "differs")
    (few,) = cost_table(run, [model]).query("quantity == 'file_overhead'").itertuples()
    assert (few.verdict, few.reason) == ("not comparable", "n=2 is too few for an interval")
    other = replace(many, relation=Relation("other", "The images are others.", np.nan))
    (row,) = cost_table(other, [model]).query("quantity == 'file_overhead'").itertuples()
    assert (row.verdict, row.reason) == ("not comparable", "other images")


def test_a_model_is_recognized_by_its_configuration(model: Model, tmp_path: Path) -> None:
    found = network_of(model.path)
    assert found is not None
    assert found.name == "tiny"
    (tmp_path / "config.json").write_text(
        json.dumps({"model": {"embedding_dim": 256, "n_blocks": 64, "norm_groups": 32}})
    )
    assert network_of(str(tmp_path)) == networks()[3]
    for text in ("[]", "{", "null", '{"model": 3}'):
        (tmp_path / "config.json").write_text(text)
        assert network_of(str(tmp_path)) is None
    assert network_of(str(tmp_path / "nothing")) is None


# ---- pictures -----------------------------------------------------------------------------------------------


def test_strips_show_every_way_of_making_pictures(run_dir: Path, run: Run, model: Model) -> None:
    strip = read_strips(run_dir, run, str(run.summary.setting.iloc[0]))
    assert [name.partition(":")[0] for name in strip.names or []] == list(WAYS) * 2
    for pictures in strip.pictures:
        assert [picture.point for picture in pictures] == [f"step {step}" for step in range(5)]
        assert len({picture.reconstruction for picture in pictures}) == 1
    assert len(draw(run_dir, run, [model]).texts) > 3 * 2 * 5


def test_strips_without_a_model_say_so(run_dir: Path, run: Run, model: Model) -> None:
    (text,) = draw(run_dir, run, []).texts
    assert "no UQDM model is named" in text.get_text()
    (text,) = draw(run_dir, run, [replace(model, path="another")]).texts
    assert "is not in the run" in " ".join(text.get_text().split())

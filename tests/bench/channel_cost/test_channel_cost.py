"""Costs of channel simulation: files of the target, candidates by theory, and stopped messages."""

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from uqdm.bench.channel_cost.figure import caption, draw
from uqdm.bench.channel_cost.measure import METHODS, measure, measure_point
from uqdm.bench.channel_cost.options import ChannelCostOptions
from uqdm.bench.channel_cost.table import markdown
from uqdm.channel.poisson import PoissonFunctional
from uqdm.cli.main import app

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the target, quick form."""
    folder = tmp_path_factory.mktemp("channel")
    section = {"kl_bits": [1, 2, 4], "repetitions": 60, "draws": 4_000_000, "max_draws": 4_000_000}
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    config["channel_cost"] = section
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "channel_cost",
        "--cores",
        "1",
        "--snakefile",
        str(ROOT / "Snakefile"),
    ]
    command += ["--directory", str(folder), "--configfile", str(folder / "config.yaml")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return folder / "results" / "channel_cost"


@pytest.fixture(scope="module")
def table(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "table.csv").fillna({"bias": ""})


@pytest.mark.proof
@pytest.mark.workflow
def test_all_files_are_written(folder: Path) -> None:
    for name in ("table.csv", "table.md", "cost.png", "cost.svg"):
        assert (folder / name).stat().st_size > 500


@pytest.mark.proof
@pytest.mark.workflow
def test_poisson_candidates_are_within_a_factor_of_2_of_w_max(table: pd.DataFrame) -> None:
    rows = table[table.method == "poisson"].set_index("kl_bits")
    for kl_bits in (1, 2, 4):
        nats = kl_bits * math.log(2)
        wall = math.exp(nats + 4 * math.sqrt(2 * nats))
        # The mean of the 20 messages at 4 bits has a standard error of 22 %; seeds are fixed.
        assert wall / 2 < rows.draws[kl_bits] < 2 * wall
        assert rows.stopped[kl_bits] == 0


@pytest.mark.proof
@pytest.mark.workflow
def test_universal_quantization_takes_one_draw_a_dimension_at_any_divergence(table: pd.DataFrame) -> None:
    rows = table[table.method == "universal quantization"]
    assert rows.draws.tolist() == [1.0, 1.0, 1.0]
    assert rows.draws_high.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.proof
@pytest.mark.workflow
def test_all_methods_are_measured_with_intervals(table: pd.DataFrame) -> None:
    assert set(table.method) == {method.name for method in METHODS}
    known = table[table.stopped == 0]
    for name in ("code_bits", "excess_bits", "draws", "shift_sd"):
        assert (known[f"{name}_low"] <= known[name]).all()
        assert (known[name] <= known[f"{name}_high"]).all()
    np.testing.assert_allclose(known.excess_bits, known.code_bits - known.kl_bits, atol=1e-9)


def test_stopped_messages_are_counted_and_give_no_mean() -> None:
    row = measure_point(PoissonFunctional, 4.0, ChannelCostOptions(kl_bits=(4.0,), repetitions=12, max_draws=50_000))
    assert 0 < row.stopped < row.n == 12
    assert all(map(math.isnan, (row.code_bits, row.excess_bits, row.draws, row.draws_low, row.shift_sd)))
    text = markdown(pd.DataFrame([vars(row)]))
    assert f"| 4 | 12 | {row.stopped} | - | - | - | - |" in text
    # The figure draws an arrow there, not a point.
    texts = [one.get_text() for one in draw(pd.DataFrame([vars(row)])).axes[1].texts]
    assert f"{row.stopped} of 12\nstopped" in texts


def test_number_of_messages_does_not_depend_on_outcomes() -> None:
    options = ChannelCostOptions(kl_bits=(2.0,), repetitions=50, draws=40_000)
    seeded = [replace(options, seed=seed) for seed in range(3)]
    assert {measure_point(PoissonFunctional, 2.0, one).n for one in seeded} == {12}


def test_caption_has_number_of_messages_and_biased_methods() -> None:
    text = caption(measure(ChannelCostOptions(kl_bits=(1.0,), repetitions=3)))
    assert "3 to 3 messages per point" in text
    assert "Minimal random and ordered random coding are biased" in text


def test_command_prints_each_point_and_refuses_invalid_divergences(tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "out"), "--repetitions", "3"]
    done = CliRunner().invoke(app, ["bench", "channel", *out, "--kl-bits", "1"])
    assert done.exit_code == 0, done.output
    assert "universal quantization, 1 bits: " in done.output
    assert str(tmp_path / "out" / "table.csv") in done.output
    refused = CliRunner().invoke(app, ["bench", "channel", *out, "--kl-bits", "0.1"])
    assert refused.exit_code != 0
    assert isinstance(refused.exception, ValueError)

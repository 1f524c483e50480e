"""`snakemake paper_swirl` with settings smaller than `quick`: all outputs, and nothing to do in a second run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from uqdm.swirl.settings import QUICK, Settings, settings_of

pytestmark = pytest.mark.workflow

ROOT = Path(__file__).resolve().parents[2]
SMALLER = {"seeds": [0], "steps": [3, 5], "vdm_steps": [5, 60], "iterations": 30, "vdm_iterations": 30}
SMALLER |= {"points": 256, "sampled_points": 128}  # type: ignore[dict-item]


def snakemake(folder: Path, section: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
    config = {"runs": {"small": {"dataset": "demo", "codecs": {"png": None}}}, "swirl": section}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "paper_swirl", "--cores", "2", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(folder / "config.yaml"), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swirl")
    done = snakemake(folder, {"quick": True, **SMALLER})
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.proof
def test_tables_and_figures_are_written(folder: Path) -> None:
    run = folder / "results" / "paper_swirl"
    names = ("figure2", "figure6", "figure7", "reconstructions")
    figures = [f"figures/{name}.{kind}" for name in names for kind in ("png", "svg")]
    for product in ("table.csv", "table.md", "table.tex", *figures):
        assert (run / product).stat().st_size > 1000, product
    page = (run / "table.md").read_text()
    assert page.count("| holds ") + page.count("| fails ") + page.count("| undecided ") == 9  # a verdict a claim
    assert "gamma from -9 to 5" in page
    assert "30 iterations" in page


@pytest.mark.proof
def test_files_of_all_models_were_exact_and_rates_are_in_the_table(folder: Path) -> None:
    run = folder / "results" / "paper_swirl"
    files = pd.read_parquet(run / "measured" / "files-seed0.parquet")
    assert files.exact.all()
    assert set(files.n_steps) == {3, 5}
    table = pd.read_csv(run / "table.csv")
    rates = table[table.quantity == "nelbo_bpd"].set_index(["system", "n_steps"])["mean"]
    measured = pd.read_parquet(run / "measured" / "nelbo-seed0.parquet")
    total = measured.assign(total=measured[["prior_bpd", "steps_bpd", "last_stage_bpd"]].sum(axis=1))
    for key, mean in total.groupby(["system", "n_steps"]).total.mean().items():
        assert rates[key] == pytest.approx(mean, abs=1e-5)  # six decimals in the table


@pytest.mark.proof
def test_second_run_does_nothing(folder: Path) -> None:
    done = snakemake(folder, {"quick": True, **SMALLER})
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ({"steps": [3, 4]}, "lack 5"),
        pytest.param(
            {"iterations": 0}, "iterations", marks=pytest.mark.proof
        ),  # the schema, as tests/test_config_schema
        pytest.param({"step": [5]}, "step", marks=pytest.mark.proof),
    ],
)
def test_wrong_configuration_section_is_refused_before_work_starts(
    section: dict[str, Any], named: str, tmp_path: Path
) -> None:
    done = snakemake(tmp_path, section, "--dry-run")
    assert done.returncode == 1
    assert named in done.stdout + done.stderr


def test_quick_settings_are_smaller_and_can_be_overridden() -> None:
    assert settings_of({"quick": True}) == QUICK
    assert settings_of({"quick": False, "steps": None}) == Settings()
    assert all(getattr(QUICK, name) < getattr(Settings(), name) for name in ("iterations", "points", "sampled_points"))
    assert settings_of({"quick": True, "points": 99}).points == 99

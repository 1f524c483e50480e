"""Guards the Snakemake profiles: the SLURM profile matches the workflow and has all settings of the default one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]


def read(profile: str) -> dict[str, object]:
    return yaml.safe_load((ROOT / profile / "config.yaml").read_text())


@pytest.mark.workflow
def test_the_slurm_profile_names_rules_of_the_workflow(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "snakemake", "--list-rules", "--directory", str(tmp_path)]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--configfile", str(ROOT / "config" / "config.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    profile = read("workflow/profiles/slurm")
    assert set(profile["set-threads"]) | set(profile["set-resources"]) <= set(done.stdout.split())


def test_the_slurm_profile_gives_every_node_one_task_with_the_cores_of_its_threads() -> None:
    profile = read("workflow/profiles/slurm")
    for rule, resources in profile["set-resources"].items():
        assert resources["nodes"] == resources["tasks"] > 1
        assert resources["cpus_per_task"] == profile["set-threads"][rule]
        assert "--ntasks-per-node=1" in resources["slurm_extra"]


def test_the_slurm_profile_has_the_settings_of_the_default_one() -> None:
    assert read("profiles/default").items() <= read("workflow/profiles/slurm").items()

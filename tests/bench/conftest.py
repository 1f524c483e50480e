"""Fixtures of the benchmark's tests: toy codecs as an installed package, a small data set, a Ray session."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import report_run
import toy_codecs
from made_once import made_once
from small_run import measure_run
from toy_images import MemoryImages

import uqdm.codec
from uqdm.bench.datasets import open_dataset


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The toy codecs, registered by entry points, also for Ray workers and other processes."""
    folder = tmp_path_factory.mktemp("toys")
    toy_codecs.install(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]))
        uqdm.codec.CODECS.forget()
        yield folder
    uqdm.codec.CODECS.forget()


@pytest.fixture(scope="session")
def ray_on_two_cores(toys: Path) -> Iterator[None]:
    """One real Ray session for all tests that need workers."""
    from uqdm.bench.execute.ray_session import ray_session

    assert "RAY_ADDRESS" not in os.environ, "unset RAY_ADDRESS: the tests start their own Ray"
    with ray_session(2):
        yield


@pytest.fixture(scope="session")
def measured_run(toys: Path, request: pytest.FixtureRequest) -> Path:
    """A run of the toy codecs on seven photographs, one of which is marked so that `toy-faulty` fails on it.

    Raw at two settings (lossless, lossy), a progressive codec, one that fails on an image, one that is not installed.
    """
    demo = open_dataset("demo", limit=7)
    images = [demo.load(index).copy() for index in range(len(demo))]
    for index, image in enumerate(images):
        image[0, 0, 0] = toy_codecs.RAISE if index == 3 else 0
    codecs = ["toy-raw", "toy-model", "toy-faulty", "toy-absent"]
    return made_once(request, "measured", lambda folder: measure_run(folder, MemoryImages(images), *codecs))


@pytest.fixture(scope="session")
def reportable_run(toys: Path, request: pytest.FixtureRequest) -> Path:
    """A run of real codecs with all content of a report; see ``report_run.py``. It has no report yet."""
    return made_once(request, "reportable", report_run.make_run)


@pytest.fixture(scope="session")
def finished_run(measured_run: Path, request: pytest.FixtureRequest) -> Path:
    """The same run, summarized, plotted and reported."""

    def make(folder: Path) -> None:
        from uqdm.bench.analysis.summarize import summarize_run
        from uqdm.bench.plots import all_plots, save_plot
        from uqdm.bench.report import save_report

        shutil.copytree(measured_run, folder)
        summarize_run(folder)
        for plot in all_plots():
            save_plot(plot, folder)
        save_report(folder)

    return made_once(request, "finished", make)

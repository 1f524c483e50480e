"""What the tests of the evaluation share: toy codecs as an installed package, a small data set, a Ray session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import toy_codecs

import uqdm.codec


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The toy codecs, registered by entry points that Ray workers and other processes see too."""
    folder = tmp_path_factory.mktemp("toys")
    toy_codecs.install(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]))
        uqdm.codec._entry_points.cache_clear()
        yield folder
    uqdm.codec._entry_points.cache_clear()


@pytest.fixture(scope="session")
def ray_on_two_cores(toys: Path) -> Iterator[None]:
    """One real Ray session for all tests that need workers."""
    from uqdm.bench.ray_session import ray_session

    assert "RAY_ADDRESS" not in os.environ, "the tests start a Ray of their own"
    with ray_session(2):
        yield

"""The packages that hosts of recipes find on their path."""

from __future__ import annotations

from pathlib import Path

import pytest

from uqdm_baselines.remote.session import HOST_FILE

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path_of_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the benchmark puts on a host's path, and what its script adds."""
    monkeypatch.syspath_prepend(ROOT / "recipes")
    monkeypatch.syspath_prepend(HOST_FILE.parent)

"""Guards what scoring says of metrics whose weights the user has to name: nothing, unless they are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from uqdm.bench.features.extractors import loader
from uqdm.bench.metrics import all_set_metrics
from uqdm.bench.scoring.sets import _extractor


@dataclass
class Said:
    """Progress that keeps what it is told."""

    lines: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.mark.parametrize(("named", "n_lines"), [((), 0), (("fd_clip",), 1)])
def test_it_is_said_only_of_metrics_that_were_asked_for(
    named: tuple[str, ...], n_lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UQDM_CLIP", raising=False)
    spec = SimpleNamespace(weights=None, load=lambda name, path: loader(name)(path))
    said = Said()
    task: Any = SimpleNamespace(extractor_specs={"clip": spec}, metrics=all_set_metrics(), progress=said, named=named)
    line: Any = SimpleNamespace(reasons={})
    assert _extractor(task, "clip", [line]) is None
    assert len(said.lines) == n_lines
    assert "UQDM_CLIP=FILE" in line.reasons["fd_clip"]

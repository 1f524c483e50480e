"""Guards the status of a run in other processes: running, finished, stopped with a reason, or dead."""

from __future__ import annotations

import datetime
import io
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from small_run import evaluate_here
from toy_images import MemoryImages, unmarked_images
from typer.testing import CliRunner

from uqdm.bench.progress import progress, status
from uqdm.bench.progress.lock import FolderBusyError, locked
from uqdm.bench.progress.progress import RunProgress
from uqdm.bench.progress.show import show_progress
from uqdm.bench.progress.slowest_shards import ShardTiming
from uqdm.bench.progress.status import RunStatus, find_runs, run_status
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.layout import lock_path, status_path
from uqdm.cli.main import app

pytestmark = pytest.mark.slow

N_IMAGES = 30  # of 0.1 s each, on one core


def command(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["bench", "status", *map(str, arguments)])


def stored_status(run_dir: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(status_path(run_dir).read_text())
    return content


def begun(run_dir: Path) -> RunProgress:
    """A run that has done 450 of 1,000."""
    shown = RunProgress(io.StringIO(), status_path=status_path(run_dir))
    shown.plan("evaluate demo")
    shown.add("jpeg", "jpeg (8 settings)", total=800, stored=50)
    shown.add("png", "png (1 setting)", total=200, stored=200)
    shown.shard(ShardTiming("jpeg", "quality=50", 100, 150, 2.5, "node1"))
    shown.say("SKIPPED bpg: not installed")
    shown._stated = -status.SILENT_SECONDS  # the next count is written
    shown.advance("jpeg", 200, failed=3)
    return shown


@pytest.mark.cluster
def test_a_killed_run_is_running_and_then_died(toys: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    evaluate = [
        sys.executable,
        "-m",
        "uqdm.cli.main",
        "bench",
        "evaluate",
        f"--out={run_dir}",
        "--dataset=demo",
        "--no-score",
    ]
    evaluate += [f"--limit={N_IMAGES}", "--shard-size=2", "--cpus=1", "--codec=toy-slow"]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    with subprocess.Popen(evaluate, stderr=subprocess.DEVNULL, env=environment) as process:
        try:
            alive = seen(lambda: run_status(run_dir) if run_dir.is_dir() and status_path(run_dir).exists() else None)
            while alive.content["done"] == 0:
                alive = run_status(run_dir)
                assert process.poll() is None
                time.sleep(0.05)
        finally:
            process.kill()
    assert (alive.state, alive.content["what"], alive.content["total"]) == ("running", "evaluate demo", N_IMAGES)
    assert alive.holder is not None
    assert alive.holder.pid == alive.content["pid"] == process.pid
    assert f"process {process.pid} on {socket.gethostname()}" in alive.headline()
    dead = run_status(run_dir)
    assert dead.state == "died"
    assert 0 < dead.content["done"] < N_IMAGES
    text = command(run_dir).stdout
    assert f"evaluate demo, died: last update at {status._moment(dead.content['updated'])}; " in text
    assert f"{dead.content['done']} of {N_IMAGES} done are kept; run the same command again to resume" in text
    kept = list((run_dir / "shards").rglob("*.parquet"))
    assert 2 * len(kept) >= dead.content["done"]


def seen(look: Callable[[], RunStatus | None]) -> RunStatus:
    deadline = time.monotonic() + 120
    while (found := look()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_the_status_has_counts_slowest_shards_and_messages(tmp_path: Path) -> None:
    with locked(tmp_path, "evaluate demo"):
        begun(tmp_path)
        found = run_status(tmp_path)
    assert found.state == "running"
    lines = found.lines()
    assert lines[0].startswith(f"{tmp_path}: evaluate demo, running: 450/1,000 images x settings, 3 failed, ")
    assert lines[1].startswith("  jpeg (8 settings)  250/800, 3 failed, ")
    assert lines[2] == "  png (1 setting)    200/200"
    assert "  slow: jpeg quality=50, images 100-149: 2.5 s on node1" in lines
    assert lines[-1] == "  said: SKIPPED bpg: not installed"
    content = stored_status(tmp_path)
    assert content["codecs"]["jpeg"] | {"rate_per_s": 0, "seconds_left": 0} == {
        "title": "jpeg (8 settings)",
        "total": 800,
        "done": 250,
        "found": 50,
        "failed": 3,
        "rate_per_s": 0,
        "seconds_left": 0,
    }
    assert content["codecs"]["jpeg"]["rate_per_s"] == pytest.approx(200 / 2.5, rel=0.2)
    assert (content["pid"], content["host"], content["found"]) == (os.getpid(), socket.gethostname(), 250)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
        (KeyboardInterrupt(), "interrupted (Ctrl-C)"),
        (SystemExit(1), "ended by SIGTERM"),  # raised by Ray's handler of the signal
        (ValueError("x" * 10_000), "ValueError: " + "x" * 488),
    ],
)
def test_a_stopped_run_has_the_reason(error: BaseException, reason: str, tmp_path: Path) -> None:
    def run(shown: RunProgress) -> None:
        shown.plan("evaluate demo")
        shown.add("jpeg", "jpeg", total=1000, stored=10)
        raise error

    with pytest.raises(type(error)), show_progress(status_path=status_path(tmp_path)) as shown:
        run(shown)
    stopped = run_status(tmp_path)
    assert (stopped.state, stopped.reason) == ("stopped", reason)
    assert stopped.headline().endswith(f": {reason}; 10 of 1,000 done are kept; run the same command again to resume")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_termination_signal_is_the_reason(number: signal.Signals, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom uqdm.bench.progress.show import show_progress\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # it may be ignored, for example under nohup
        "with show_progress(status_path=Path(sys.argv[1])) as shown:\n"
        f"    shown.plan('evaluate demo')\n    os.kill(os.getpid(), {int(number)})\n    print('lives on')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(status_path(tmp_path))], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", "")
    assert run_status(tmp_path).reason == f"ended by {number.name}"


def test_nothing_is_written_before_the_folder_is_locked(tmp_path: Path) -> None:
    begun(tmp_path)
    before = status_path(tmp_path).read_bytes()
    with pytest.raises(FolderBusyError), show_progress(status_path=status_path(tmp_path)):
        raise FolderBusyError("in use")
    assert status_path(tmp_path).read_bytes() == before


def test_a_full_disk_does_not_stop_the_progress_and_is_the_reason_of_the_end(
    tmp_path: Path,
) -> None:
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], capture_output=True)
    except FileNotFoundError:
        pytest.skip("no program mount here")
    if done.returncode != 0:
        pytest.skip("mounting is not permitted here")
    try:
        stopped, reason = fill_up(tmp_path)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    assert (stopped.state, stopped.content["done"]) == ("stopped", 451)
    assert stopped.reason == f"OSError: {reason}"


def fill_up(disk: Path) -> tuple[RunStatus, OSError]:
    shown = begun(disk)
    with pytest.raises(OSError, match="No space left") as full, (disk / "ballast").open("wb", buffering=0) as ballast:
        ballast.writelines(itertools.repeat(bytes(1024)))
    shown._stated = -status.SILENT_SECONDS  # the next count is to be written, which fails
    shown.advance("jpeg", 1)
    assert stored_status(disk)["done"] == 450
    shown.end(full.value)
    return run_status(disk), full.value


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    written: list[Path] = []
    monkeypatch.setattr(progress, "write_bytes", lambda path, data: written.append(path))
    return written


def test_the_status_is_written_every_two_seconds_and_when_the_state_changes(
    writes: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    shown = RunProgress(io.StringIO(), status_path=tmp_path / "status.json")
    assert len(writes) == 0
    shown.plan("evaluate demo")
    shown.add("jpeg", "jpeg", total=1000, stored=0)
    assert len(writes) == 1
    for _ in range(100):
        now[0] += 0.1
        shown.advance("jpeg", 1)
    assert 1 + 4 <= len(writes) <= 1 + 5
    shown.end()
    assert 1 + 5 <= len(writes) <= 1 + 6


def date_back(run_dir: Path, **changes: Any) -> None:
    """Dates a run's status file back by two hours, and changes other keys."""
    long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=2)
    usual = {"host": socket.gethostname(), "updated": long_ago.isoformat(timespec="seconds")}
    content = {**stored_status(run_dir), **usual, **changes}
    status_path(run_dir).write_text(json.dumps(content))


def test_a_run_without_lock_is_alive_or_died_by_its_host_process_and_last_update(tmp_path: Path) -> None:
    begun(tmp_path)
    now = stored_status(tmp_path)["updated"]
    assert run_status(tmp_path).state == "running"  # this process exists, and the update is recent
    date_back(tmp_path)
    assert run_status(tmp_path).state == "died"  # the lock is free: the process id belongs to another process by now
    date_back(tmp_path, host="elsewhere", updated=now)
    assert run_status(tmp_path).state == "running"
    date_back(tmp_path, host="elsewhere")
    assert run_status(tmp_path).state == "died"
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(child, 0)
    date_back(tmp_path, pid=child, updated=now)
    assert run_status(tmp_path).state == "died"


def test_without_locks_a_run_whose_process_exists_is_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(run_dir: Path) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(status, "holder", no_locks)
    begun(tmp_path)
    date_back(tmp_path)
    assert run_status(tmp_path).state == "running"


def test_the_process_that_holds_the_lock_is_the_running_one(tmp_path: Path) -> None:
    begun(tmp_path)
    date_back(tmp_path, pid=1, state="stopped", reason="disk full")
    with locked(tmp_path, "score demo"):
        found = run_status(tmp_path)
    assert (found.state, found.reason) == ("running", None)
    assert f"score demo, running: 0 shards are kept; process {os.getpid()}" in found.headline()


def test_a_run_without_a_status_file_has_the_state_of_its_other_files(toys: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    evaluate_here(run_dir, MemoryImages(unmarked_images(7)), "toy-raw")
    unfinished = run_status(run_dir)
    assert unfinished.state == "unfinished"
    assert "6 shards are kept; run the same command again" in unfinished.headline()
    assert unfinished.lines()[1] == "  toy-raw  14/14"
    manifest = json.loads((run_dir / "manifests" / "toy-raw.json").read_text())
    outcome = {key: manifest[key] for key in ("codec", "ok", "failed", "skipped_settings", "reason")}
    content = {"codecs": {"toy-raw": outcome}, "dataset": manifest["dataset"]}
    (run_dir / "evaluation.json").write_text(json.dumps(content))
    assert run_status(run_dir).headline() == f"{run_dir}: evaluate memory, finished: 14/14 images x settings"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"state": "running"}'])
def test_a_status_file_that_does_not_read_counts_as_absent(content: str, tmp_path: Path) -> None:
    status_path(tmp_path).write_text(content)
    assert run_status(tmp_path).state == "unfinished"


WHOLE = {
    "what": "score demo",
    "state": "finished",
    "done": 2,
    "total": 2,
    "failed": 0,
    "pid": 2**40,
    "codecs": {"png": {"title": "png", "done": 2, "total": 2, "failed": 0}},
    "slowest_shards": [
        {"codec": "png", "setting": "", "start": 0, "stop": 2, "seconds": 0.5, "host": "here"},
    ],
    "messages": ["scored"],
}


@pytest.mark.parametrize("other", [None, [], {}, {"png": None}, -5, "\x1b[31m"], ids=repr)
def test_a_status_file_with_other_types_counts_as_absent(other: Any, tmp_path: Path) -> None:
    status_path(tmp_path).write_text(json.dumps(WHOLE))
    assert run_status(tmp_path).state == "finished"
    for key in WHOLE:
        status_path(tmp_path).write_text(json.dumps({**WHOLE, key: other}))
        assert command(tmp_path).exit_code == 0, key
        assert "\x1b" not in command(tmp_path).output
    for key in WHOLE["codecs"]["png"]:  # type: ignore[index]
        codec = {**WHOLE["codecs"]["png"], key: other}  # type: ignore[index]
        status_path(tmp_path).write_text(json.dumps({**WHOLE, "codecs": {"png": codec}}))
        assert command(tmp_path).exit_code == 0, key


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"codecs": []}', '{"codec": 1, "ok": "2"}', "[" * 100_000])
def test_evaluation_files_and_manifests_that_do_not_read_are_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "png.json").write_text(content)
    (tmp_path / "evaluation.json").write_text(content)
    result = command(tmp_path)
    assert result.exit_code == 0
    assert "unfinished" in result.output
    assert "evaluation.json: not what an evaluation writes" in result.output
    assert "png.json: not what an evaluation writes" in result.output


def test_a_fifo_in_the_place_of_a_status_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(status_path(tmp_path))
    os.mkfifo(tmp_path / "evaluation.json")
    assert run_status(tmp_path).state == "unfinished"


def test_a_folder_of_runs_gives_a_line_for_each_run_and_json(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        begun(tmp_path / name).end()
    (tmp_path / "features").mkdir()
    assert find_runs(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    lines = command(tmp_path).stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == [str(tmp_path / "a"), str(tmp_path / "b")]
    found = json.loads(command(tmp_path, "--json", "--watch").stdout)  # no run is under way: printed once
    assert [run["state"] for run in found] == ["finished", "finished"]
    assert found[0]["done"] == 450
    assert found[0]["codecs"]["jpeg"]["failed"] == 3


def test_watching_stops_when_the_run_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = begun(tmp_path)
    monkeypatch.setattr("uqdm.cli.bench.status._WATCH_SECONDS", 0)
    monkeypatch.setattr("uqdm.cli.bench.status.time.sleep", lambda seconds: shown.end())
    found = [line for line in command(tmp_path, "--watch").stdout.splitlines() if line.startswith(str(tmp_path))]
    assert [line.partition("evaluate demo, ")[2].split()[0].strip(":") for line in found] == ["running", "finished"]


def test_no_run_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="uqdm bench evaluate"):
        run_status(tmp_path)
    failed = command(tmp_path)
    assert failed.exit_code == 1
    assert f"no run in {tmp_path}" in str(failed.exception)


def test_reading_the_status_writes_nothing(tmp_path: Path) -> None:
    begun(tmp_path)
    command(tmp_path)
    assert not lock_path(tmp_path).exists()

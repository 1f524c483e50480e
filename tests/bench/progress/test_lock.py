"""Guards the lock of a run's folder: it is exclusive, names its holder, ends with it, and errors name a remedy."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from uqdm.bench.progress import lock
from uqdm.bench.progress.lock import FolderBusyError, FolderError, holder, locked
from uqdm.bench.run.layout import lock_path
from uqdm.cli.main import app

pytestmark = pytest.mark.slow

HOLD = """
import subprocess, sys, time
from pathlib import Path
from uqdm.bench.progress.lock import locked
with locked(Path(sys.argv[1]), "evaluate demo"):
    child = subprocess.Popen(["sleep", "60"], close_fds=False)  # as a daemon that outlives who started it
    print(child.pid, flush=True)
    time.sleep(60)
"""
WRITE_AS_NOBODY = """
import os
from pathlib import Path
from uqdm.bench.progress.lock import FolderError, locked
os.setgroups([]), os.setgid(65534), os.setuid(65534)
for folder in (Path("."), Path("below")):
    try:
        with locked(folder, "evaluate demo"):
            pass
    except FolderError as error:
        print(error)
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds ``tmp_path`` and has a child."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        yield process
    finally:
        os.kill(child, signal.SIGKILL)
        process.kill()
        process.communicate()


def test_the_error_of_a_second_run_names_the_holder_and_the_remedies(
    other: subprocess.Popen[str], tmp_path: Path
) -> None:
    found = holder(tmp_path)
    assert found is not None
    assert (found.host, found.pid, found.what) == (socket.gethostname(), other.pid, "evaluate demo")
    with pytest.raises(FolderBusyError) as caught, locked(tmp_path, "score demo"):
        pass
    text = str(caught.value)
    expected = [
        str(tmp_path),
        socket.gethostname(),
        f"process {other.pid}",
        "evaluate demo",
        f"kill {other.pid}",
        "--wait",
    ]
    assert [part for part in expected if part not in text] == []
    assert str(found.since).replace("T", " ") in text


def test_a_killed_holder_releases_the_folder_while_its_child_lives(
    other: subprocess.Popen[str], tmp_path: Path
) -> None:
    other.kill()
    other.wait()
    assert holder(tmp_path) is None
    with locked(tmp_path, "score demo"):
        found = holder(tmp_path)
        assert found is not None
        assert found.pid == os.getpid()  # not the dead one, which the file named until now
    assert holder(tmp_path) is None


def test_a_waiting_run_says_so_once_and_starts_when_the_folder_is_free(
    other: subprocess.Popen[str], tmp_path: Path
) -> None:
    said: list[str] = []
    threading.Timer(1.0, other.kill).start()
    with locked(tmp_path, "score demo", wait=True, say=said.append):
        other.wait(timeout=10)
    assert len(said) == 1
    assert f"waiting for process {other.pid}" in said[0]


def test_reading_the_holder_does_not_refuse_a_run(tmp_path: Path) -> None:
    with locked(tmp_path, "evaluate demo"):
        pass
    look = os.open(lock_path(tmp_path), os.O_RDONLY)
    fcntl.flock(look, fcntl.LOCK_SH)  # as `holder` does, but for longer
    threading.Timer(0.1, os.close, [look]).start()
    with locked(tmp_path, "evaluate demo"):
        pass


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"pid": "x", "host": 5, "what": "score"}'])
def test_a_malformed_lock_file_still_locks(content: bytes, tmp_path: Path) -> None:
    with locked(tmp_path, "evaluate demo"):
        lock_path(tmp_path).write_bytes(content)
        with pytest.raises(FolderBusyError, match="in use by process"), locked(tmp_path, "score demo"):
            pass


def test_a_file_system_without_locks_is_reported_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(file: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    said: list[str] = []
    with locked(tmp_path, "evaluate demo", say=said.append), locked(tmp_path, "evaluate demo"):
        pass
    assert len(said) == 1
    assert "no locks" in said[0]
    with pytest.raises(OSError, match="No locks available"):
        holder(tmp_path)


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for folder in (file, file / "below"):
        with pytest.raises(FolderError, match=r"a file is in the way.*choose another folder") as caught:
            lock.check_writable(folder)
        assert str(folder) in str(caught.value)


def test_a_folder_of_another_user_is_named(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    tmp_path.chmod(0o755)
    command = [sys.executable, "-c", WRITE_AS_NOBODY]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    remedy = "cannot write results there (Permission denied); choose another folder, or make it writable"
    assert done.stdout.splitlines() == [f".: {remedy}", f"below: {remedy}"], done.stderr


@contextlib.contextmanager
def mounted(folder: Path, *arguments: str) -> Iterator[None]:
    """Something mounted on a folder; the test is skipped where that is not permitted."""
    try:
        done = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no program mount here")
    if done.returncode != 0:
        pytest.skip(f"mounting is not permitted here: {done.stderr}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_read_only_file_system_is_named(tmp_path: Path) -> None:
    with mounted(tmp_path, "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs"):
        for folder in (tmp_path, tmp_path / "below"):
            with pytest.raises(FolderError, match=rf"{folder}: .*Read-only file system.*choose another"):
                lock.check_writable(folder)


def test_a_read_only_run_can_be_read_and_writing_to_it_is_an_error(measured_run: Path, tmp_path: Path) -> None:
    def bench(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["bench", *arguments])

    with mounted(tmp_path, "--bind", str(measured_run)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(tmp_path)], check=True)
        evaluated = bench("evaluate", "--dataset=demo", "--codec=png", f"--out={tmp_path}", f"--log={tmp_path}/logs/x")
        scored = bench("score", f"--run={tmp_path}", f"--log={tmp_path}/logs/x")
        scored_without_log = bench("score", f"--run={tmp_path}")
        for refused in (evaluated, scored, scored_without_log):
            assert isinstance(refused.exception, FolderError)
            assert "Read-only file system); choose another folder, or make it writable" in str(refused.exception)
        assert "toy-raw" in bench("status", str(tmp_path)).stdout
        assert "toy-raw" in bench("show", "--rows", str(tmp_path)).stdout

"""Guards the folder of a Ray session: short enough for sockets, private, and removed after its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from uqdm.bench.execute import private_folder as module
from uqdm.bench.execute.private_folder import MAX_PARENT_BYTES, NoFolderError, private_folder

HOLD = """
import os, signal
from uqdm.bench.execute.private_folder import private_folder
with private_folder() as folder:
    (folder / "token").touch()
    print(folder, flush=True)
    signal.pause()
"""


def test_a_long_or_missing_temporary_folder_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("long-" * 20)
    long.mkdir()
    for place in (str(long), "/proc/none"):
        monkeypatch.setenv("TMPDIR", place)
        with private_folder() as folder:
            assert len(os.fsencode(folder.parent)) <= MAX_PARENT_BYTES
            assert folder.stat().st_mode & 0o777 == 0o700
        assert not folder.exists()


def test_without_a_suitable_folder_a_message_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("long-" * 20)
    monkeypatch.setattr(module, "_candidates", lambda: [str(long), "/proc/none"])
    with (
        pytest.raises(NoFolderError, match=r"longer than \d+ bytes\), /proc/none \(.*\); set TMPDIR to a folder"),
        private_folder(),
    ):
        pass


def test_the_folder_of_a_killed_process_is_removed_and_that_of_a_living_one_stays() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TMPDIR"}
    command = [sys.executable, "-c", HOLD]
    holders = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    killed, living = (Path(holder.stdout.readline().strip()) for holder in holders)  # type: ignore[union-attr]
    holders[0].send_signal(signal.SIGKILL)
    holders[0].wait()
    assert killed.is_dir()
    with private_folder():
        assert not killed.exists()
        assert living.is_dir()
    holders[1].send_signal(signal.SIGTERM)
    holders[1].communicate()
    holders[0].communicate()

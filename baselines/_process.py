"""Runs a program in a folder, without a shell, within a time limit."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

_LOG_TAIL = 300  # characters of what a program printed that its error carries
_LOG_BYTES = 1 << 16  # of what it printed are read, from the end


class ProgramError(RuntimeError):
    """A program failed, took too long, or wrote no file. The message ends in what it printed last."""


def run(arguments: Sequence[str], folder: Path, timeout_s: float) -> str:
    """As :func:`execute`, returns what was printed; raises :class:`ProgramError` for a status other than 0 too."""
    status, printed = execute(arguments, folder, timeout_s)
    if status:
        how = f"signal {-status}" if status < 0 else f"status {status}"
        raise ProgramError(f"{arguments[0]} failed with {how}: {tail(printed)}")
    return printed


def execute(arguments: Sequence[str], folder: Path, timeout_s: float) -> tuple[int, str]:
    """Runs a program in ``folder`` without a shell: its exit status, and what it printed on stdout and stderr.

    Raises :class:`ProgramError` if it does not start, or is not done in time; then its children die with it.
    """
    log = folder / "printed.log"
    with log.open("wb") as stream:
        try:
            process = subprocess.Popen(
                arguments,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:  # ValueError: a zero byte in an argument
            raise ProgramError(f"{arguments[0]} does not start: {error}") from error
        status = _wait(process, timeout_s)
    printed = _read_end(log)
    if status is None:
        raise ProgramError(f"{arguments[0]} was stopped after {timeout_s:g} s: {tail(printed)}")
    return status, printed


def _read_end(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LOG_BYTES))
        return file.read().decode(errors="replace")


def _wait(process: subprocess.Popen[bytes], timeout_s: float) -> int | None:
    """The exit status; None where the time was up. Whatever happens, nothing runs on."""
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # start_new_session made it the leader of a group
            process.wait()


def tail(printed: str) -> str:
    """The end of what a program printed, on one line."""
    text = " ".join(printed.split()) or "it printed nothing"
    return text if len(text) <= _LOG_TAIL else f"...{text[-_LOG_TAIL:]}"

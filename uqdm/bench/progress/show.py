"""Shows the progress of a command: on the terminal, in its log and in the status file, however it ends."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from uqdm.bench.progress.live_table import LiveTable
from uqdm.bench.progress.lock import FolderError
from uqdm.bench.progress.progress import RunProgress
from uqdm.interrupts import before_leaving, interrupts_raised, noted
from uqdm.output import OutputError, check_output, is_text


@contextlib.contextmanager
def show_progress(log_path: Path | None = None, status_path: Path | None = None) -> Iterator[RunProgress]:
    """A :class:`~uqdm.bench.progress.progress.RunProgress` on stderr: a live table on a terminal, else lines.

    The log is emptied once work begins. The status file says at the end whether the run finished, or stopped by an
    exception or by a signal that asks the process to end. Raises
    :class:`~uqdm.bench.progress.lock.FolderError` where the log cannot be written.
    """
    with contextlib.ExitStack() as stack:
        log = None if log_path is None else stack.enter_context(_open_log(log_path))
        display = stack.enter_context(LiveTable()) if sys.stderr.isatty() else None
        progress = RunProgress(log=log, display=display, status_path=status_path)
        if display is not None:
            display.show(progress)
        stack.enter_context(interrupts_raised())
        stack.enter_context(before_leaving(progress.end))
        try:
            yield progress
        except BaseException as error:
            progress.end(noted() or error)
            raise
        progress.end()


def _open_log(path: Path) -> TextIO:
    try:
        if path.is_file():
            check_output(path, is_text, force=None)
    except OutputError as error:
        raise FolderError(str(error)) from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a", encoding="utf-8")  # until work begins, another process may write to it
    except OSError as error:
        reason = error.strerror or str(error)
        raise FolderError(
            f"{path}: cannot write the log there ({reason}); choose another folder, or make it writable"
        ) from error

"""Ctrl-C and SIGTERM of the workflow: passed on to the commands under way, and told in one line."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType

import psutil

from uqdm.interrupts import Interrupted

_COMMAND = "uqdm"
_KEPT = "what is finished is kept; run the same command again to continue"


class StopSignals:
    """Handles the signals of a process of Snakemake, once its jobs may start."""

    def __init__(self) -> None:
        self._stopped: Interrupted | None = None

    def watch(self, logger: logging.Logger) -> None:
        """From now on a signal is passed on to the commands under way, and Snakemake waits for their end.

        Snakemake itself ignores SIGTERM until the commands are done. Its messages after a signal are not printed.
        """

        def stop(number: int, frame: FrameType | None) -> None:
            if self._stopped is None:
                self._stopped = Interrupted(number)
                self._stopped.kept = _KEPT
                logger.addFilter(lambda record: False)
            pass_on(number)
            raise KeyboardInterrupt

        for one in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(one) is not signal.SIG_IGN:
                signal.signal(one, stop)

    def leave(self) -> None:
        """Ends the process with one line and the exit status of the signal; does nothing without a signal."""
        if self._stopped is not None:
            print(self._stopped.line(), file=sys.stderr)
            sys.exit(self._stopped.code)


def pass_on(number: int) -> None:
    """Sends a signal to the commands of this package that this process has started."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if any(Path(part).name == _COMMAND for part in process.cmdline()[:2]):
                os.kill(process.pid, number)

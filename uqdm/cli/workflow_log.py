"""Snakemake's messages on the terminal in short: a line for each rule, and for each failure one with the reason.

Snakemake's own log in ``.snakemake/log`` keeps all messages in full. Texts that are not known here are shown unchanged.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uqdm.text import one_line, printable

STREAM_HANDLER = "DefaultStreamHandler"
"""Snakemake's name of its handler for the terminal."""

_LEFT_OUT_EVENTS = {"job_started", "job_finished", "progress", "resources_info"}
_LEFT_OUT_TEXTS = (
    "Assuming unrestricted shared filesystem usage",
    "Building DAG of jobs",
    "Using shell:",
    "Provided cores:",
    "Rules claiming more threads",
    "Conda environments: ignored",
    "Singularity containers: ignored",
    "Select jobs to execute",
    "Shutting down, this might take some time",
    "Exiting because a job execution failed",
    "Elapsed time:",
)
_TOLD_BY_A_FAILURE = ("CalledProcessError", "At least one job did not complete successfully")
"""Errors that the line of a rule that failed stands for."""
_INTO_LOG = "2>&1"
"""In a command whose messages all go into its log; others print them on the terminal themselves."""
_LINE_LENGTH = 500
_TAIL_BYTES = 1 << 16


def shorten(logger: logging.Logger) -> None:
    """Makes the messages that a logger of Snakemake prints on the terminal short."""
    for handler in logger.handlers:
        if handler.name == STREAM_HANDLER:
            handler.addFilter(is_shown)
            handler.setFormatter(ShortFormatter(handler.formatter or logging.Formatter()))


def is_shown(record: logging.LogRecord) -> bool:
    """Whether a message says something to a user; a rule without files of its own, such as ``all``, is left out."""
    event = _event(record)
    if event in _LEFT_OUT_EVENTS or str(record.msg).startswith(_LEFT_OUT_TEXTS):
        return False
    if event == "error" and any(text in str(record.msg) for text in _TOLD_BY_A_FAILURE):
        return False
    return event != "job_info" or bool(getattr(record, "log", None))


class ShortFormatter(logging.Formatter):
    """Formats events of jobs in one line; leaves other messages to another formatter."""

    def __init__(self, usual: logging.Formatter) -> None:
        super().__init__()
        self._usual = usual

    def format(self, record: logging.LogRecord) -> str:
        """The text of a message."""
        told = record.__dict__
        match _event(record):
            case "job_info":
                return f"{_clock(record)}  {rule_line(told)}"
            case "job_error":
                return f"{_clock(record)}  {failure_line(told)}"
            case "run_info" if isinstance(told.get("stats"), Mapping):
                return plan_line(told["stats"])
        return self._usual.format(record)


def rule_line(job: Mapping[str, Any]) -> str:
    """A rule that starts: its name, what it works on, and its log.

    >>> rule_line({"rule_name": "plot", "wildcards": {"run": "demo"}, "log": ["results/demo/logs/plot.log"]})
    'rule plot: demo (log: results/demo/logs/plot.log)'
    """
    about = " ".join(str(value) for value in dict(job.get("wildcards") or {}).values())
    log = ", ".join(map(str, job.get("log") or ()))
    return printable(f"rule {job['rule_name']}: {about}".rstrip() + (f" (log: {log})" if log else ""))


def failure_line(job: Mapping[str, Any]) -> str:
    """A rule that failed, with its log, and the last line of that where the command prints nothing itself."""
    logs = [str(path) for path in job.get("log") or ()]
    is_silent = _INTO_LOG in (job.get("shellcmd") or "")
    ends = next((text for text in map(last_line, logs) if text), "") if is_silent else ""
    said = f": {ends}" if ends else ""
    return printable(f"FAILED rule {job['rule_name']}{said} (log: {', '.join(logs) or 'none'})")


def plan_line(stats: Mapping[str, int]) -> str:
    """The number of jobs, and the rules.

    >>> plan_line({"evaluate": 1, "plot": 2, "all": 1, "total": 4})
    '4 jobs: evaluate, plot x 2, all'
    """
    rules = [name if count == 1 else f"{name} x {count}" for name, count in stats.items() if name != "total"]
    total = stats.get("total", len(rules))
    return f"{total} job{'s' if total != 1 else ''}: {', '.join(rules)}"


def last_line(path: str | Path) -> str:
    """The last line of a log that is not blank, cut to a length; empty where there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return one_line(next((line for line in reversed(lines) if line.strip()), ""), _LINE_LENGTH)


def _event(record: logging.LogRecord) -> str:
    event = getattr(record, "event", None)
    return str(getattr(event, "value", event) or "")


def _clock(record: logging.LogRecord) -> str:
    return time.strftime("%H:%M:%S", time.localtime(record.created))

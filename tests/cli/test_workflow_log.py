"""Guards what the workflow prints: a line for each rule, a line for a failure with its reason, and nothing lost."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import pytest
from snakemake.logging import ColorizingTextHandler, DefaultFormatter
from snakemake_interface_logger_plugins.common import LogEvent

from uqdm.cli.workflow_log import STREAM_HANDLER, last_line, shorten

JOB = {
    "rule_name": "plot",
    "rule_msg": None,
    "jobid": 3,
    "input": ["a"],
    "output": ["b"],
    "wildcards": {"run": "demo"},
    "log": ["plot.log"],
    "conda_env": None,
    "shellcmd": "uqdm bench plot > plot.log 2>&1",
    "aux": {},
}


@pytest.fixture
def log() -> tuple[logging.Logger, io.StringIO]:
    """A logger with the handler and the formatter of Snakemake, made short, and what it prints."""
    printed = io.StringIO()
    logger = logging.Logger("workflow")
    handler = ColorizingTextHandler(nocolor=True, stream=printed, formatter=DefaultFormatter())
    handler.name = STREAM_HANDLER
    logger.addHandler(handler)
    shorten(logger)
    return logger, printed


def tell(logger: logging.Logger, event: LogEvent | None, text: str = "", **values: Any) -> None:
    logger.info(text, extra={"event": event, **values})


def test_a_rule_is_one_line_with_its_log(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, printed = log
    tell(logger, LogEvent.JOB_INFO, **JOB)
    assert printed.getvalue().strip()[8:] == "  rule plot: demo (log: plot.log)"


def test_a_failure_is_one_line_with_the_reason_and_the_log(
    log: tuple[logging.Logger, io.StringIO], tmp_path: Path
) -> None:
    logger, printed = log
    file = tmp_path / "plot.log"
    file.write_text("Traceback ...\nerror: no plot; draw one\n\n")
    tell(logger, LogEvent.JOB_ERROR, **{**JOB, "log": [str(file)]})
    assert printed.getvalue().strip()[8:] == f"  FAILED rule plot: error: no plot; draw one (log: {file})"


def test_the_reason_is_not_repeated_where_the_command_has_printed_it(
    log: tuple[logging.Logger, io.StringIO], tmp_path: Path
) -> None:
    logger, printed = log
    file = tmp_path / "evaluate.log"
    file.write_text("error: no cluster\n")
    tell(logger, LogEvent.JOB_ERROR, **{**JOB, "log": [str(file)], "shellcmd": "uqdm bench evaluate --log=x"})
    tell(logger, LogEvent.ERROR, "RuleException:\nCalledProcessError in file ...", exception="RuleException")
    tell(logger, LogEvent.ERROR, "WorkflowError:\nAt least one job did not complete successfully.")
    tell(logger, LogEvent.ERROR, "WorkflowError:\nanother")
    failed, *others = printed.getvalue().strip().splitlines()
    assert failed[8:] == f"  FAILED rule plot (log: {file})"
    assert others == ["WorkflowError:", "another"]


def test_the_plan_is_one_line(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, printed = log
    tell(logger, LogEvent.RUN_INFO, "Job stats:\n...", stats={"evaluate": 2, "all": 1, "total": 3})
    assert printed.getvalue() == "3 jobs: evaluate x 2, all\n"


@pytest.mark.parametrize("event", [LogEvent.JOB_STARTED, LogEvent.JOB_FINISHED, LogEvent.PROGRESS])
def test_steps_of_snakemake_itself_are_left_out(event: LogEvent, log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, printed = log
    tell(logger, event, "Execute 1 jobs...", done=1, total=2)
    tell(logger, None, "Select jobs to execute...")
    tell(logger, LogEvent.JOB_INFO, **{**JOB, "rule_name": "all", "log": []})
    assert printed.getvalue().strip() == ""


def test_texts_that_are_not_known_are_shown(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, printed = log
    tell(logger, None, "Nothing to be done (all requested files are present and up to date).")
    logger.error("something new")
    assert printed.getvalue().splitlines() == [
        "Nothing to be done (all requested files are present and up to date).",
        "something new",
    ]


def test_other_handlers_keep_everything() -> None:
    logger = logging.Logger("workflow")
    kept = io.StringIO()
    logger.addHandler(logging.StreamHandler(kept))
    shorten(logger)
    tell(logger, None, "Select jobs to execute...")
    assert kept.getvalue() == "Select jobs to execute...\n"


def test_the_last_line_of_an_absent_or_empty_or_long_log(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    assert last_line(file) == ""
    file.write_text("\n\n")
    assert last_line(file) == ""
    file.write_bytes(b"x" * 200_000 + b"\n\xff the end\n")
    assert last_line(file) == "\ufffd the end"

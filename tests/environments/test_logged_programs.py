"""Programs that make environments: their logs, and the errors that these become."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from deadline import no_hang

from uqdm.environments.contract import EnvironmentMakeError
from uqdm.environments.logged import LoggedPrograms


@pytest.fixture
def programs(tmp_path: Path) -> LoggedPrograms:
    lock = os.open(tmp_path / ".lock", os.O_CREAT | os.O_RDWR)
    variables = {**os.environ, "PIP_RETRIES": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
    return LoggedPrograms("environment lock.txt", tmp_path / "made.log", tmp_path, variables, lock)


def test_output_goes_into_the_log_and_is_returned_where_it_is_wanted(programs: LoggedPrograms) -> None:
    programs.run("echo", "into the log")
    assert programs.output("echo", "for the caller") == "for the caller\n"
    assert programs.log.read_text() == "$ echo 'into the log'\ninto the log\n$ echo 'for the caller'\n"


def test_a_failure_has_the_last_errors_of_that_program(programs: LoggedPrograms) -> None:
    programs.run("sh", "-c", "echo 'ERROR: an earlier one'")
    text = "echo Working; echo 'ERROR: first'; echo 'ERROR: \033[31msecond'; echo done; exit 3"
    with pytest.raises(EnvironmentMakeError) as raised:
        programs.run("sh", "-c", text)
    assert str(raised.value) == (
        f"environment lock.txt: sh failed with status 3: ERROR: first ERROR: \\x1b[31msecond; log: {programs.log}"
    )


def test_a_failure_without_an_error_has_the_last_lines(programs: LoggedPrograms) -> None:
    with pytest.raises(EnvironmentMakeError, match="sh failed with signal 9: two three four; log: "):
        programs.run("sh", "-c", "printf 'one\\ntwo\\nthree\\n\\nfour\\n'; kill -9 $$")
    with pytest.raises(EnvironmentMakeError, match="sh failed with status 1: it printed nothing; log: "):
        programs.run("sh", "-c", "exit 1")


def test_a_program_that_does_not_start_is_an_error(programs: LoggedPrograms) -> None:
    with pytest.raises(
        EnvironmentMakeError, match=r"^environment lock.txt: no-such-program does not start: No such file"
    ):
        programs.run("no-such-program")


@pytest.mark.slow
def test_an_index_that_is_not_reached_is_told_with_the_log(programs: LoggedPrograms, tmp_path: Path) -> None:
    options = ["--no-deps", "--index-url", "http://127.0.0.1:9/simple/", "-d", tmp_path]
    with pytest.raises(EnvironmentMakeError) as raised:
        programs.run(sys.executable, "-m", "pip", "download", *options, "idna==3.7")
    message = str(raised.value)
    assert message.startswith("environment lock.txt: pip failed with status 1: ERROR: ")
    assert "no index of packages was reached: check the network, the proxy and PIP_INDEX_URL" in message
    assert message.endswith(f"; log: {programs.log}")


@pytest.mark.slow
def test_a_package_that_does_not_exist_is_not_a_fault_of_the_network(programs: LoggedPrograms, tmp_path: Path) -> None:
    options = ["--no-deps", "--no-index", "--find-links", tmp_path, "-d", tmp_path]
    with pytest.raises(
        EnvironmentMakeError, match=r"distribution found for no-such-package==1\.0 \(check its name, the network and P"
    ):
        programs.run(sys.executable, "-m", "pip", "download", *options, "no-such-package==1.0")


def test_an_exception_kills_the_program_and_its_children(programs: LoggedPrograms, tmp_path: Path) -> None:
    script = "sleep 600 & echo $! > child; echo $$ > self; wait"
    with pytest.raises(TimeoutError), no_hang(1.0):
        programs.run("sh", "-c", script)
    pids = [int((tmp_path / name).read_text()) for name in ("child", "self")]
    with no_hang():
        while any(map(is_running, pids)):
            time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_a_program_holds_the_descriptor_that_it_inherits(programs: LoggedPrograms) -> None:
    code = f"import os; print(os.fstat({programs.inherited}).st_ino)"
    assert int(programs.output(sys.executable, "-c", code)) == os.fstat(programs.inherited).st_ino

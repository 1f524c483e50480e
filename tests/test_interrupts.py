"""Guards signals that ask a process to end: when they are raised, held, or end the process at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

BEGIN = (
    "import os, signal, sys, time\n"
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background job of a shell ignores it
    "from uqdm.interrupts import *\n"
    "from uqdm.interrupts import SIGNALS\n"
    "def send(number): os.kill(os.getpid(), number)\n"
)


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", BEGIN + code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_raised_at_once_with_its_exit_status(number: signal.Signals) -> None:
    code = f"signal.signal(signal.SIGHUP, signal.SIG_DFL)\nwith interrupts_raised():\n    send({int(number)})\n"
    done = run(code + "    print('lives on')\n")
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", "")


def test_a_held_signal_is_raised_at_the_end_or_where_the_code_asks() -> None:
    code = "with interrupts_raised():\n    with interrupts_held():\n        send(15)\n        print('held')\n"
    assert run(code + "    print('after')\n").stdout == "held\n"
    assert run(code + "        raise_if_interrupted()\n        print('after')\n").stdout == "held\n"
    assert run(code).returncode == 143


def test_an_error_of_a_held_block_takes_precedence() -> None:
    done = run("with interrupts_raised(), interrupts_held():\n    send(2)\n    raise ValueError('a fault')\n")
    assert done.stderr.splitlines()[-1] == "ValueError: a fault"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_leaves_at_once_after_its_last_calls(number: signal.Signals) -> None:
    code = (
        "import atexit\natexit.register(print, 'clean-up')\n"
        "def last(error): error.kept = 'all is kept'; print('last call')\n"
        "with interrupts_raised(), before_leaving(last), leaving_at_once():\n"
        f"    try: send({int(number)})\n"
        "    finally: print('clean-up')\n"
    )
    done = run(code)
    name = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
    assert (done.returncode, done.stdout) == (128 + number, "last call\n")
    assert done.stderr == f"stopped by {name}: all is kept\n"


def test_a_second_signal_ends_work_that_is_held_but_the_same_one_twice_is_one() -> None:
    code = (
        "from uqdm import interrupts\n"
        "with interrupts_raised(), interrupts_held():\n"
        "    send(2); send(15); print('held', flush=True)\n"
        "    interrupts.AGAIN_SECONDS = 0\n"
        "    send(15); print('lives on')\n"
    )
    done = run(code)
    assert (done.returncode, done.stdout) == (130, "held\n")
    assert done.stderr == "stopped by Ctrl-C: run the same command again\n"


def test_ignored_signals_stay_ignored_and_handlers_are_restored() -> None:
    code = (
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\nbefore = [signal.getsignal(one) for one in SIGNALS]\n"
        "with interrupts_raised():\n    send(1)\n    print('ignored')\n"
        "print(before == [signal.getsignal(one) for one in SIGNALS])\n"
    )
    assert run(code).stdout == "ignored\nTrue\n"


def test_handlers_of_a_library_are_replaced_again() -> None:
    code = "with interrupts_raised():\n    signal.signal(15, lambda *_: print('library'))\n    renew()\n    send(15)\n"
    done = run(code)
    assert (done.returncode, done.stdout) == (143, "")


def test_a_plug_in_does_not_turn_a_signal_into_an_error_of_its_own() -> None:
    code = "from uqdm.plugins import contained\nwith interrupts_raised(), contained():\n    send(15)\n"
    assert run(code).returncode == 143


def test_nothing_is_changed_where_signals_are_not_turned_on() -> None:
    code = "with interrupts_held(), leaving_at_once():\n    send(15)\n"
    assert run(code).returncode == -signal.SIGTERM


def test_every_command_says_that_it_was_stopped() -> None:
    code = "from uqdm.cli import main\ndef app(**_): send(2)\nmain.app = app\nmain.main()\n"
    done = run(code)
    assert (done.returncode, done.stderr) == (130, f"stopped by Ctrl-C: run the same command again{os.linesep}")

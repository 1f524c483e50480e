"""Programs whose output goes into a log file, and what a log says when one fails."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uqdm.environments.contract import EnvironmentMakeError
from uqdm.text import one_line

_TAIL_BYTES = 1 << 14
_TAIL_LINES = 3
_TAIL_LENGTH = 600  # characters
_NO_INDEX = re.compile(
    r"NewConnectionError|ConnectTimeoutError|ConnectionResetError|NameResolutionError|MaxRetryError|ProxyError"
    r"|SSLError|SSLCertVerificationError|Failed to establish a new connection|Temporary failure in name resolution"
    r"|Could not fetch URL|CondaHTTPError|Could not resolve host|Connection (?:refused|timed out)"
)
_NO_VERSION = "(from versions: none)"
"""What pip says of a package that no index has, and also where it does not say that it reached none."""


@dataclass(frozen=True)
class LoggedPrograms:
    """Runs programs one after another, without a shell, with their output in one log.

    ``inherited`` is a descriptor that they keep open: if this process is killed, the lock of the environment is held as
    long as one of them still writes into it.
    """

    about: str
    """Begins the messages of errors."""
    log: Path
    folder: Path
    """Working directory of the programs."""
    variables: Mapping[str, str]
    inherited: int

    def run(self, *words: str | Path) -> None:
        """Runs a program; raises :class:`EnvironmentMakeError`, with the end of its output, if it fails."""
        with self.log.open("ab") as log:
            self._run(words, log.fileno())

    def output(self, *words: str | Path) -> str:
        """As :meth:`run`, but returns what the program writes on standard output."""
        with self.log.open("ab") as log:
            return self._run(words, log.fileno(), subprocess.PIPE)

    def _run(self, words: Sequence[str | Path], log: int, stdout: int | None = None) -> str:
        texts = list(map(str, words))
        os.write(log, f"$ {shlex.join(texts)}\n".encode(errors="surrogateescape"))
        started_at = os.fstat(log).st_size
        try:
            process = subprocess.Popen(
                texts,
                cwd=self.folder,
                env=dict(self.variables),
                stdin=subprocess.DEVNULL,
                stdout=log if stdout is None else stdout,
                stderr=log,
                pass_fds=[self.inherited],
                start_new_session=True,
            )
        except OSError as error:
            raise EnvironmentMakeError(f"{self.about}: {texts[0]} does not start: {error.strerror}") from error
        with _killed_on_error(process):
            printed, _ = process.communicate()
        if process.returncode:
            raise EnvironmentMakeError(self._failure(texts, process.returncode, started_at))
        return (printed or b"").decode(errors="replace")

    def _failure(self, words: Sequence[str], status: int, started_at: int) -> str:
        how = f"signal {-status}" if status < 0 else f"status {status}"
        text = _end_of(self.log, started_at)
        lines = [line for line in text.splitlines() if line.strip()]
        errors = [line for line in lines if line.lstrip().lower().startswith("error")] or lines
        said = one_line(" ".join(errors[-_TAIL_LINES:]), _TAIL_LENGTH, end=True) or "it printed nothing"
        return f"{self.about}: {_program(words)} failed with {how}: {said}{_index_hint(text)}; log: {self.log}"


@contextlib.contextmanager
def _killed_on_error(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Kills a program and its children if the block ends by an exception, for instance by Ctrl-C."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


def _end_of(log: Path, start: int) -> str:
    """The end of what a log has from a place on."""
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(start, size - _TAIL_BYTES))
        return file.read().decode(errors="replace")


def _program(words: Sequence[str]) -> str:
    """The program of a command: the module, where Python runs one."""
    return words[2] if words[1:2] == ["-m"] else Path(words[0]).name


def _index_hint(text: str) -> str:
    """What else to check if the log says that no index of packages was reached, or that it may be so."""
    if not _NO_INDEX.search(text):
        return " (check its name, the network and PIP_INDEX_URL)" if _NO_VERSION in text else ""
    return (
        " (no index of packages was reached: check the network, the proxy and PIP_INDEX_URL, or make it on a machine "
        "that reaches one, in a folder that both share by UQDM_ENVIRONMENTS)"
    )

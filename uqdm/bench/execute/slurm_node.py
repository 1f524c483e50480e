"""``python -m uqdm.bench.execute.slurm_node ADDRESS RESOURCE``: runs a Ray node while standard input is open.

:mod:`uqdm.bench.execute.slurm` runs it by ``srun`` on the nodes of an allocation. It has the cores and GPUs of its job
step.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

from uqdm.bench.execute.private_folder import private_folder
from uqdm.bench.execute.slurm import object_store_bytes
from uqdm.machine import available_cores

_DRAIN_SECONDS = 5.0


def main(arguments: Sequence[str]) -> int:
    """Joins the head at ADDRESS with the resource RESOURCE, and returns Ray's exit status when the node ends."""
    address, resource = arguments
    signal.signal(signal.SIGTERM, _leave)
    with private_folder() as folder:
        return _run(address, resource, str(folder / "r"))


def _run(address: str, resource: str, folder: str) -> int:
    """Runs the node with its sockets and logs in ``folder``, whose path is short enough for sockets."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", f"--address={address}", "--block"]
    command += [f"--num-cpus={available_cores()}", f"--resources={json.dumps({resource: 1})}"]
    command += ["--disable-usage-stats", "--include-log-monitor=false", f"--temp-dir={folder}"]
    store = object_store_bytes()
    command += [] if store is None else [f"--object-store-memory={store}"]
    environment = {**os.environ, "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"}  # no job here needs time to drain
    node = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, start_new_session=True)
    threading.Thread(target=_leave_with_input, daemon=True).start()
    try:
        return node.wait()
    finally:
        _end(node)


def _leave(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _leave_with_input() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _end(node: subprocess.Popen[bytes]) -> None:
    """Ends Ray's processes here: first in order, then by SIGKILL those that wait for a head that is gone."""
    node.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        node.wait(_DRAIN_SECONDS)
    with contextlib.suppress(ProcessLookupError):  # all have ended
        os.killpg(node.pid, signal.SIGKILL)
    node.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

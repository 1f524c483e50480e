"""Guards where an evaluation runs: a dead cluster is named at once, a local Ray has the cores asked for."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import pytest


def test_a_cluster_that_does_not_answer_is_named_at_once() -> None:
    with socket.socket() as closed:  # bound but not listening: nobody answers there
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        code = "from uqdm.bench.ray_session import ray_session\nwith ray_session(1): pass"
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "RAY_ADDRESS": address},
            capture_output=True,
            text=True,
            check=False,
        )
    assert f"ConnectionError: RAY_ADDRESS={address}: no Ray cluster answers" in done.stderr
    assert time.monotonic() - started < 30


@pytest.mark.usefixtures("ray_on_two_cores")
def test_a_local_session_has_the_cores_asked_for_and_is_shared() -> None:
    import ray

    from uqdm.bench.ray_session import ray_session

    with ray_session(1) as resources:  # the one that runs already, with its two
        assert resources.cpus == 2
    assert ray.is_initialized()

"""The cluster of an evaluation, access to its Ray, and the death of a part of Ray."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from drivers import Driver, stored

# Connects as another user of this machine would: with a token of his own, or with none.
ASK = "from ray._raylet import GcsClient; print(GcsClient(address={!r}).internal_kv_keys(b'', None, timeout=5))"


def test_a_cluster_that_does_not_answer_is_named_at_once() -> None:
    with socket.socket() as closed:  # bound but not listening: connections are refused
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        code = "from uqdm.bench.execute.ray_session import ray_session\nwith ray_session(1): pass"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "RAY_ADDRESS": address},
            capture_output=True,
            text=True,
            check=False,
            timeout=100,  # Ray itself would try for two minutes
        )
    assert f"ConnectionError: RAY_ADDRESS={address}: no Ray cluster answers" in done.stderr


KEPT = """
import ray
from uqdm.bench.execute.ray_session import ray_kept, ray_session
nodes = []
with ray_kept():
    print("before", ray.is_initialized())
    try:
        with ray_session(1):
            nodes.append(ray.get_runtime_context().get_node_id())
            raise ValueError("a stage failed")
    except ValueError:
        pass
    print("between", ray.is_initialized())
    with ray_session(1):
        nodes.append(ray.get_runtime_context().get_node_id())
print("after", ray.is_initialized(), "one Ray:", len(set(nodes)) == 1)
"""


@pytest.mark.cluster
def test_a_kept_ray_serves_several_sessions_and_then_ends() -> None:
    printed = subprocess.check_output([sys.executable, "-c", KEPT], text=True)
    assert printed.splitlines() == ["before False", "between True", "after False one Ray: True"]


@pytest.mark.usefixtures("ray_on_two_cores")
def test_a_local_session_has_the_cores_asked_for_and_is_shared() -> None:
    import ray

    from uqdm.bench.execute.ray_session import ray_session

    with ray_session(1) as resources:  # the running session, with two cores
        assert resources.cpus == 2
    assert ray.is_initialized()


@pytest.mark.usefixtures("ray_on_two_cores")
def test_a_local_session_listens_only_at_the_loopback_address() -> None:
    own = psutil.Process()
    names = set()
    for process in [own, *own.children(recursive=True)]:
        for connection in process.net_connections(kind="inet"):
            if connection.status == psutil.CONN_LISTEN or not connection.raddr:
                names.add(process.name())
                assert connection.laddr.ip in ("127.0.0.1", "::1", "::ffff:127.0.0.1")
    assert {"gcs_server", "raylet"} <= names


@pytest.mark.usefixtures("ray_on_two_cores")
def test_a_local_session_has_a_private_folder_and_refuses_a_client_without_its_token() -> None:
    import ray

    token = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.parent.stat().st_mode & 0o777 == 0o700
    node = ray._private.worker._global_node
    assert Path(node.get_session_dir_path()).is_relative_to(token.parent)
    command = [sys.executable, "-c", ASK.format(ray.get_runtime_context().gcs_address)]
    others = {"mine": {}, "wrong": {"RAY_AUTH_TOKEN": "0" * 64}, "none": {"RAY_AUTH_MODE": "disabled"}}
    asked = {
        name: subprocess.Popen(
            command, env={**os.environ, **other}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for name, other in others.items()
    }
    said = {name: process.communicate()[1] for name, process in asked.items()}
    assert {name: process.returncode for name, process in asked.items()} == {"mine": 0, "wrong": 1, "none": 1}
    assert "AuthenticationError" in said["wrong"]
    assert "AuthenticationError" in said["none"]


LIMITED = ("--cpus=2", "--shard-size=1", "--limit=48")


def ray_of(driver: Driver) -> list[psutil.Process]:
    """Raylet and GCS of a driver."""
    try:
        return [one for one in psutil.Process(driver.process.pid).children() if one.name() in ("raylet", "gcs_server")]
    except psutil.Error:
        return []


@pytest.mark.cluster
@pytest.mark.usefixtures("toys")
def test_the_death_of_raylet_or_gcs_is_a_message_and_the_same_command_resumes(tmp_path: Path) -> None:
    kept: dict[str, int] = {}
    for name, role in {"raylet": "its raylet", "gcs_server": "its GCS"}.items():
        driver = Driver(tmp_path, ["toy-slow"], "demo", options=LIMITED)
        driver.wait_for_shards(len(kept) + 2)
        tree = psutil.Process(driver.process.pid).children(recursive=True)
        next(one for one in ray_of(driver) if one.name() == name).kill()
        printed = driver.finish(60)
        assert driver.process.returncode == 1
        errors = [line for line in printed.splitlines() if not line.startswith("evaluate demo")]
        assert len(errors) == 1
        assert errors[0].startswith("error: Ray ended while it was needed: its ")
        assert f"{role}, which" in errors[0]  # a slow machine may notice the death of the other one, too, which follows
        assert errors[0].endswith("what is finished is kept, and the same command resumes from there")
        assert not psutil.wait_procs(tree, timeout=5)[1]
        assert kept.items() <= stored(tmp_path).items()
        kept = stored(tmp_path)
    finished = Driver(tmp_path, ["toy-slow"], "demo", options=LIMITED)
    assert "48 ok, 0 failed" in finished.finish()
    assert kept.items() <= stored(tmp_path).items()

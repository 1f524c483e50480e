"""A Ray session for one evaluation: the cluster of ``RAY_ADDRESS``, the nodes of a SLURM job, or this machine."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import ray._private.node
import ray._private.ray_constants
import ray._private.utils

from uqdm.bench.execute import slurm
from uqdm.bench.execute.private_folder import private_folder
from uqdm.bench.execute.ray_guard import environment_variables, loopback_only, own_token, shared_token
from uqdm.bench.execute.ray_watch import OnLoss, Watch, watching
from uqdm.interrupts import are_raised, before_leaving, interrupts_held, leaving_at_once, renew
from uqdm.machine import available_cores

_CONNECT_SECONDS = 10
_STARTS = 3
_NO_HANDLER = "RAY_DISABLE_FAILURE_SIGNAL_HANDLER"
"""Environment variable with which Ray's core installs no handlers of signals: read when Ray is imported, so by the
processes that are started; in this process the constant of the same name in ``ray_constants`` counts."""


@dataclass(frozen=True)
class Resources:
    """All that the session has; of the object store only the part on this node, where inputs are put."""

    cpus: int
    gpus: int
    object_store_bytes: int
    nodes: int = 1


@contextlib.contextmanager
def ray_session(cpus: int | None = None, on_loss: OnLoss | None = None) -> Iterator[Resources]:
    """Connects to ``RAY_ADDRESS`` if that is set, and starts nothing; else starts Ray here on ``cpus`` cores.

    None means all cores that this process may use. A Ray that is started here listens only at 127.0.0.1 and requires a
    token of its own. In a SLURM job of several nodes the others join with the cores and GPUs that the job has there,
    and leave at the end (see :mod:`uqdm.bench.execute.slurm`); they require a token, too. A session that the caller has
    already started is used and left running, and inside of :func:`ray_kept` Ray stays up for later sessions.

    A process cannot outlive the Ray that it has connected to. Where Ray's raylet or GCS dies, ``on_loss`` is called
    with the reason, and the process ends with a line on stderr and exit status 1 (see
    :mod:`uqdm.bench.execute.ray_watch`).

    Raises ConnectionError, naming the address or the nodes, where the cluster does not answer or does not come up, and
    OSError where this machine lacks what Ray needs.
    """
    kept = _kept
    with contextlib.ExitStack() as stack:
        if kept is not None:
            kept.on_loss = on_loss
        if not ray.is_initialized():
            os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
            _start(cpus, stack, on_loss if kept is None else kept.lost)
            if kept is not None:
                kept.stack.push(stack.pop_all())
        total = ray.cluster_resources()
        try:
            yield Resources(
                int(total.get("CPU", 1)),
                int(total.get("GPU", 0)),
                _own_object_store_bytes(),
                sum(node["Alive"] for node in ray.nodes()),
            )
        finally:
            if kept is not None:
                kept.on_loss = None


class _Kept:
    """A Ray that is kept for several sessions, and what its loss is reported to: the latest session."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.stack = stack
        self.on_loss: OnLoss | None = None

    def lost(self, error: BaseException) -> None:
        if self.on_loss is not None:
            self.on_loss(error)


_kept: _Kept | None = None


@contextlib.contextmanager
def ray_kept() -> Iterator[None]:
    """A Ray that a session starts inside of the block stays up for the sessions after it, and ends with the block.

    Stages that follow each other in one process so start it once. Nothing is started if no session is. Inside of
    another such block it changes nothing.
    """
    global _kept
    if _kept is not None:
        yield
        return
    with contextlib.ExitStack() as stack:
        _kept = _Kept(stack)
        try:
            yield
        finally:
            _kept = None


def _own_object_store_bytes() -> int:
    """Size of the object store on the node of this process, where its objects are put."""
    own = ray.get_runtime_context().get_node_id()
    found = [node["Resources"].get("object_store_memory", 0) for node in ray.nodes() if node["NodeID"] == own]
    return int(max(found, default=0)) or 2**30


def _start(cpus: int | None, stack: contextlib.ExitStack, on_loss: OnLoss | None) -> None:
    address = os.environ.get("RAY_ADDRESS")
    if address:
        watch = stack.enter_context(watching(on_loss))
        stack.enter_context(before_leaving(lambda error: watch.leaving()))
        stack.callback(_shut_down, watch)
        _connect(address)
        watch.connected_to(ray.get_runtime_context().gcs_address)
        return
    allocation = slurm.find_allocation()
    folder = stack.enter_context(private_folder())
    stack.enter_context(shared_token() if allocation else own_token(folder))
    watch = stack.enter_context(watching(on_loss, folder))
    stack.enter_context(before_leaving(lambda error: watch.leaving()))
    stack.callback(_shut_down, watch)
    if allocation:
        head_cpus = (cpus or available_cores()) if allocation.here else 0
        _start_here(head_cpus, folder, slurm.address_towards(allocation.others[0]))
        stack.enter_context(slurm.joined(allocation, ray.get_runtime_context().gcs_address))
    else:
        with loopback_only():
            _start_here(cpus or available_cores(), folder)
    watch.connected()


def _shut_down(watch: Watch) -> None:
    """Ends Ray; a signal meanwhile is raised afterwards."""
    with interrupts_held():
        watch.closing()
        ray.shutdown()


@contextlib.contextmanager
def _starting() -> Iterator[None]:
    """While Ray starts in this process, a signal ends the process at once, and Ray's own handlers are not used.

    Ray's core has threads that crash when its start is interrupted. Its handlers of SIGTERM print C++ stacks and exit
    with status 15. A process that leaves at once is cleaned up after by the sentinel.
    """
    if not are_raised():
        yield
        return
    with contextlib.ExitStack() as stack:
        stack.callback(renew)
        stack.enter_context(_replaced(ray._private.utils, "set_sigterm_handler", lambda handler: None))
        stack.enter_context(_replaced(ray._private.ray_constants, _NO_HANDLER, True))
        stack.enter_context(environment_variables({_NO_HANDLER: "1"}))
        with leaving_at_once():
            yield


@contextlib.contextmanager
def _replaced(module: Any, name: str, value: object) -> Iterator[None]:
    """While the block runs, an attribute of a module of Ray's has another value."""
    before = getattr(module, name, None)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def _connect(address: str) -> None:
    try:
        _check_listening(address)
        with _starting():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except OSError as error:
        raise ConnectionError(
            f"RAY_ADDRESS={address}: no Ray cluster answers ({error}); start one there, set RAY_AUTH_MODE=token "
            "and RAY_AUTH_TOKEN if it asks for a token, or unset RAY_ADDRESS to run on this machine"
        ) from error


def _start_here(cpus: int, folder: Path, ip: str | None = None) -> None:
    """Starts Ray on this machine. On a busy machine that may exceed Ray's limit of 30 s; then it is tried again."""
    store = slurm.object_store_bytes()
    address: dict[str, Any] = {} if ip is None else {"_node_ip_address": ip}
    for attempt in range(_STARTS):
        try:
            with _starting(), _without_unused_processes():
                ray.init(
                    address="local",
                    num_cpus=cpus,
                    object_store_memory=store,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    _temp_dir=str(folder / "r"),
                    **address,
                )
            break
        except Exception as error:  # Ray raises no class of its own here
            ray.shutdown()
            if "timed out during startup" not in str(error) or attempt + 1 == _STARTS:
                raise


def _check_listening(address: str) -> None:
    """Raises OSError if nothing listens at ``host:port``; Ray itself would try for two minutes."""
    host, _, port = address.rpartition(":")
    if port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()


_UNUSED = ("start_monitor", "start_log_monitor", "start_api_server")
"""Methods of Ray's node that start processes for which a session on this machine has no use."""


@contextlib.contextmanager
def _without_unused_processes() -> Iterator[None]:
    """Ray starts no autoscaler, no server of the dashboard, and no forwarder of the workers' output.

    Each takes most of a second of a core to start, and the autoscaler delays the end by a second.
    """
    node = ray._private.node.Node
    with contextlib.ExitStack() as stack:
        for name in _UNUSED:
            if hasattr(node, name):
                stack.enter_context(_replaced(node, name, lambda *_, **__: None))
        yield

"""A Ray session for one evaluation: on this machine, or on the cluster of ``RAY_ADDRESS``."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import ray

from uqdm.bench.provenance import available_cores

_KNOCK_SECONDS = 10
_STARTS = 3


@dataclass(frozen=True)
class Resources:
    """What the session has in all."""

    cpus: int
    gpus: int
    object_store_bytes: int


@contextlib.contextmanager
def ray_session(cpus: int | None = None) -> Iterator[Resources]:
    """Connects to ``RAY_ADDRESS`` if that is set, and starts nothing; else starts Ray here on ``cpus`` cores.

    None means all cores that this process may use. A session that the caller has already made is used and left
    running. Raises ConnectionError, naming the address, where the cluster does not answer.
    """
    ours = not ray.is_initialized()
    if ours:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        _start(cpus)
    try:
        total = ray.cluster_resources()
        yield Resources(
            int(total.get("CPU", 1)), int(total.get("GPU", 0)), int(total.get("object_store_memory", 2**30))
        )
    finally:
        if ours:
            ray.shutdown()


def _start(cpus: int | None) -> None:
    address = os.environ.get("RAY_ADDRESS")
    if address:
        try:
            _knock(address)
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except OSError as error:
            raise ConnectionError(
                f"RAY_ADDRESS={address}: no Ray cluster answers ({error}); start one there, set RAY_AUTH_MODE=token "
                "and RAY_AUTH_TOKEN if it asks for a token, or unset RAY_ADDRESS to run on this machine"
            ) from error
        return
    _start_here(cpus or available_cores())
    _stop_autoscaler()


def _start_here(cpus: int) -> None:
    """Starts Ray on this machine. On a crowded one Ray's own limit of 30 s for that can run out: then once more."""
    for attempt in range(_STARTS):
        try:
            ray.init(
                address="local",
                num_cpus=cpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
            return
        except Exception as error:  # Ray raises no class of its own here
            ray.shutdown()
            if "timed out during startup" not in str(error) or attempt + 1 == _STARTS:
                raise


def _knock(address: str) -> None:
    """Raises OSError if nothing listens at ``host:port``; Ray itself would try for two minutes."""
    host, _, port = address.rpartition(":")
    if port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()


def _stop_autoscaler() -> None:
    """Ends the process that would scale a cluster: one machine has nothing to scale, and it delays shutdown by 1 s."""
    node = getattr(ray._private.worker, "_global_node", None)
    for info in getattr(node, "all_processes", {}).get("monitor", ()):
        info.process.kill()

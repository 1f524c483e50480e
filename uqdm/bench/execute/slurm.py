"""Ray on the nodes of a SLURM allocation: a head in this process, and a Ray node on every other node, by ``srun``.

Each node is a job step of its own, so that the loss of one does not end the others. It ends with its standard input, a
pipe from this process: however this process ends, even by SIGKILL, the nodes end with it.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import ray

from uqdm.machine import available_cores

SWITCH = "UQDM_SLURM"
"""The environment variable that, set to ``off``, keeps Ray on this machine within an allocation of several."""

START_LIMIT_SECONDS = 180.0
"""How long nodes may take to come up: importing Ray from a cold shared file system is slow."""

_POLL_SECONDS = 0.2
_STOP_SECONDS = 15.0
_STORE_SHARE = 0.3  # as Ray's own of a machine's memory
_LOG_LINES = 12
_LOG_BYTES = 4000
_DETAILED_NODES = 3
_RESOURCE = "slurm:"
_KEPT = {"SLURM_JOB_ID", "SLURM_JOBID", "SLURM_CLUSTER_NAME", "SLURM_CONF"}


@dataclass(frozen=True)
class Allocation:
    """The nodes of a SLURM job by name, and which of them this process is on; None on a login node, after salloc."""

    job: str
    nodes: tuple[str, ...]
    here: str | None

    @property
    def others(self) -> tuple[str, ...]:
        """The nodes that this process is not on."""
        return tuple(node for node in self.nodes if node != self.here)


def find_allocation() -> Allocation | None:
    """The SLURM allocation of this process, if it has other nodes than this one; None if not, or if switched off.

    Raises ValueError where SLURM runs this command several times at once, or where the switch is neither on nor off.
    """
    job, switch = os.environ.get("SLURM_JOB_ID"), os.environ.get(SWITCH, "on")
    if switch not in ("on", "off"):
        raise ValueError(f"{SWITCH}={switch}: set it to off to stay on this machine, or leave it unset")
    if job is None or switch == "off":
        return None
    tasks = os.environ.get("SLURM_STEP_NUM_TASKS", "1")
    if tasks != "1":
        raise ValueError(
            f"SLURM runs this command {tasks} times at once; run it once (in the batch script without srun, or with "
            "srun --ntasks=1): it starts Ray on the other nodes itself"
        )
    allocation = Allocation(job, _nodes(job), os.environ.get("SLURMD_NODENAME"))
    return allocation if allocation.others else None


def _nodes(job: str) -> tuple[str, ...]:
    """All nodes of a job. Inside a job step the environment may name those of the step alone, so SLURM is asked."""
    try:
        listed = _output("squeue", "--noheader", f"--jobs={job}", "--format=%N")
    except (OSError, subprocess.SubprocessError):  # squeue is not on all compute nodes
        listed = os.environ.get("SLURM_JOB_NODELIST", "")
    if not listed:
        return ()
    try:
        return tuple(_output("scontrol", "show", "hostnames", listed).split())
    except (OSError, subprocess.SubprocessError) as error:
        raise ConnectionError(
            f"SLURM job {job}: cannot tell its nodes ({error}); set {SWITCH}=off to stay on this machine"
        ) from error


def object_store_bytes() -> int | None:
    """Size of Ray's object store on this node: a share of the memory that SLURM limits the job to.

    None outside a job and where its memory has no limit: then Ray takes a share of the machine's memory.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return None
    try:
        described = _output("scontrol", "show", "job", job, "--oneliner")
    except (OSError, subprocess.SubprocessError):
        return None
    return int(_STORE_SHARE * _memory_bytes(described, available_cores())) or None


def _memory_bytes(described: str, cores: int) -> float:
    """The memory of a job on a node where it has so many cores, from ``scontrol show job``; 0 if unlimited.

    >>> _memory_bytes("JobId=7 MinMemoryCPU=500M Nice=0", 4) / 2**20
    2000.0
    """
    found = re.search(r"MinMemory(Node|CPU)=([0-9.]+)([KMGT]?)", described)
    if not found:
        return 0.0
    amount = float(found[2]) * 1024 ** (1 + "KMGT".index(found[3] or "M"))
    return amount * (cores if found[1] == "CPU" else 1)


def _output(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout.strip()


def address_towards(node: str) -> str | None:
    """The IP address by which this machine reaches ``node``; None, for Ray to find one, if its name has no address."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((node, 9))  # sends nothing
            return str(probe.getsockname()[0])
    except OSError:
        return None


@dataclass(frozen=True)
class _Node:
    """A Ray node that was started on another machine, and the process of its srun."""

    name: str
    process: subprocess.Popen[bytes]
    log: BinaryIO

    def last_lines(self) -> str:
        """The end of its output. It writes to the same open file, whose position must not change."""
        fd = self.log.fileno()
        text = os.pread(fd, _LOG_BYTES, max(0, os.fstat(fd).st_size - _LOG_BYTES)).decode(errors="replace")
        return " | ".join(text.splitlines()[-_LOG_LINES:]) or "it wrote nothing"


@contextlib.contextmanager
def joined(allocation: Allocation, address: str, limit_seconds: float = START_LIMIT_SECONDS) -> Iterator[None]:
    """While the block runs, the other nodes of an allocation are part of the cluster of the Ray head at ``address``.

    Raises ConnectionError, naming each node that did not come up within the limit with its last lines of output.
    """
    nodes: list[_Node] = []
    try:
        for name in allocation.others:
            nodes.append(_start(name, allocation.job, address))  # noqa: PERF401 (if one fails, those before it are stopped)
        _wait(nodes, allocation.job, limit_seconds)
        yield
    finally:
        _stop(nodes)


def _start(name: str, job: str, address: str) -> _Node:
    step = ["--overlap", "--export=ALL", "--no-kill", "--nodes=1", "--ntasks=1", "--cpu-bind=none"]
    command = ["srun", f"--jobid={job}", *step, f"--nodelist={name}", "--job-name=uqdm-ray"]
    command += [sys.executable, "-m", "uqdm.bench.execute.slurm_node", address, resource_of(name)]
    log = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the node)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(),
            start_new_session=True,  # srun must not react to Ctrl-C
        )
    except OSError as error:
        raise ConnectionError(
            f"SLURM job {job}: cannot run srun ({error}); set {SWITCH}=off to stay on this machine"
        ) from error
    return _Node(name, process, log)


def _environment() -> dict[str, str]:
    """The environment of srun, without options of the present step: the node gets all that the job has there."""
    return {
        key: value for key, value in os.environ.items() if key in _KEPT or not re.match("SLURM_|SRUN_|SBATCH_", key)
    }


def resource_of(name: str) -> str:
    """The Ray resource that identifies a node of SLURM among those of Ray.

    >>> resource_of("gpu07")
    'slurm:gpu07'
    """
    return f"{_RESOURCE}{name}"


def _present() -> set[str]:
    return {resource for node in ray.nodes() if node["Alive"] for resource in node["Resources"]}


def _wait(nodes: Sequence[_Node], job: str, limit_seconds: float) -> None:
    deadline = time.monotonic() + limit_seconds
    while absent := [node for node in nodes if resource_of(node.name) not in _present()]:
        over = [node for node in absent if node.process.poll() is not None]
        if over or time.monotonic() > deadline:
            why = "ended" if over else f"did not come up within {limit_seconds:g} s"
            output = "; ".join(_details(node, place) for place, node in enumerate(over or absent))
            raise ConnectionError(
                f"SLURM job {job}: {len(over or absent)} of {len(nodes)} Ray nodes {why}: {output}. Is this "
                f"environment ({sys.prefix}) there on each node? {SWITCH}=off stays on this machine"
            )
        time.sleep(_POLL_SECONDS)


def _details(node: _Node, place: int) -> str:
    """A node's name, with its output for the first few: where many fail, they fail for the same reason."""
    return f"{node.name}: {node.last_lines()}" if place < _DETAILED_NODES else node.name


def _stop(nodes: Sequence[_Node]) -> None:
    """Ends the nodes: first by closing their input, then by signals to srun, which passes them on."""
    for node in nodes:
        with contextlib.suppress(OSError):  # it has ended
            node.process.stdin.close()  # type: ignore[union-attr]
    deadline = time.monotonic() + _STOP_SECONDS
    for end in (None, subprocess.Popen.terminate, subprocess.Popen.kill):
        for node in nodes:
            if end is not None and node.process.poll() is None:
                end(node.process)
        for node in nodes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                node.process.wait(max(0.1, deadline - time.monotonic()))
        deadline = time.monotonic() + _STOP_SECONDS
    for node in nodes:
        node.log.close()

"""The machine that this process runs on: processor, cores, memory, GPUs."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any


@functools.cache
def machine() -> dict[str, Any]:
    """Processor, cores, memory, GPUs, platform and Python of the machine that this process runs on."""
    return {
        "cpu": _cpu_model(),
        "cores": available_cores(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpus": _gpus(),
        "platform": platform.platform(),
        "python": platform.python_version(),
    }


def available_cores() -> int:
    """Cores that this process may use: those it is bound to, at most SLURM's number if SLURM does not bind."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    given = os.environ.get("SLURM_CPUS_ON_NODE", "")
    return min(bound, int(given)) if given.isdigit() and int(given) else bound


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _gpus() -> list[str]:
    if shutil.which("nvidia-smi") is None:
        return []
    return command_output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader").splitlines()


def command_output(*command: str) -> str:
    """Standard output of a command; empty if it fails, since a missing fact must not stop an evaluation."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()

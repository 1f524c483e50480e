"""Ways to run a decoder in another process: batch, threads, kernels of the networks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

# Kernels without vector instructions, or with older ones: what another processor would run.
PLAIN_KERNELS = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}


@dataclass(frozen=True)
class Cell:
    """One way to run a decoder. ``batch`` counts the files that are given at once.

    ``onednn`` and the environment matter for networks; codecs without one are not run in cells ``of_networks``.
    """

    name: str
    batch: int = 1
    threads: int = 1
    onednn: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def of_networks(self) -> bool:
        """Whether it differs from others in the kernels of networks."""
        return bool(self.environment) or not self.onednn

    def process_environment(self) -> dict[str, str]:
        """The environment of a process that decodes in this way: that of this process, changed."""
        # Threads that wait would otherwise take the cores of those that work.
        threads = {"OMP_NUM_THREADS": str(self.threads), "OMP_WAIT_POLICY": "passive"}
        return {**os.environ, **self.environment, **threads}


HERE = Cell("another process")
"""The way of the benchmark's workers, in another process."""

OTHERS = (
    Cell("2 threads, batch 4", batch=4, threads=2),
    Cell("no oneDNN", onednn=False),
    Cell("plain kernels", environment=PLAIN_KERNELS),
    Cell("2 threads, batch 4, plain kernels, no oneDNN", 4, 2, False, PLAIN_KERNELS),
)
"""The other ways."""


def set_up_torch(threads: int, onednn: bool) -> None:
    """Sets the threads and kernels of PyTorch in this process."""
    import torch

    torch.set_num_threads(threads)
    torch.backends.mkldnn.set_flags(onednn)

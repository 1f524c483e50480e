"""Guards the threads of a worker: libraries that were loaded with more threads use those of the worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys

CODE = """
import json, os
import numpy as np  # loads OpenBLAS, which reads the variables now
from threadpoolctl import threadpool_info
from uqdm.bench.execute.actors import THREAD_VARIABLES, ActorProcess
threads = lambda: [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
before = threads()
ActorProcess(1, holds_gpu=False)
print(json.dumps([before, threads(), [os.environ[name] for name in THREAD_VARIABLES]]))
"""


def test_a_worker_of_one_core_computes_linear_algebra_with_one_thread() -> None:
    """Snakemake starts commands with the variables of all cores of a rule."""
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
    before, after, variables = json.loads(done.stdout)
    assert set(before) == {min(2, os.cpu_count() or 1)}
    assert set(after) == {1}
    assert variables == ["1", "1", "1"]

"""The source of features says what to install where a library of the network cannot be imported."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
sys.modules["torchvision"] = None  # importing it raises ImportError
from uqdm.bench.scoring.feature_source import load_extractor
try:
    load_extractor("inception", None)
except ValueError as error:
    print(error)
"""


def test_a_torchvision_that_cannot_be_imported_is_named_with_the_remedy() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("the feature extractor inception cannot be imported (")
    assert "torchvision" in done.stdout
    assert done.stdout.endswith("install torch and torchvision of one release from one package index\n")

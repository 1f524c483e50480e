"""Guards that results have their provenance."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path

import pyarrow as pa

from uqdm.bench.run.provenance import git_revision, package_versions, provenance, read_provenance, with_provenance


def test_provenance_names_project_packages_and_machine() -> None:
    origin = provenance()
    assert origin["project"] == f"uqdm {importlib.metadata.version('uqdm')}"
    assert origin["machine"]["python"] == platform.python_version()
    assert origin["machine"]["cores"] >= 1
    assert origin["machine"]["cpu"]


def test_packages_are_those_the_project_requires() -> None:
    versions = package_versions()
    assert {"numpy", "torch", "ray", "pillow", "pillow-avif-plugin"} <= versions.keys()
    assert versions["numpy"] == importlib.metadata.version("numpy")
    assert "pytest" not in versions


def test_git_revision_is_that_of_the_checkout() -> None:
    root = Path(__file__).resolve().parents[3]
    head = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    expected = head.stdout.strip() or None
    found = git_revision()
    assert (found.removesuffix("+dirty") if found else None) == expected


def test_provenance_does_not_change_other_metadata() -> None:
    schema = with_provenance(pa.schema([], metadata={"other": "kept"}), {"a": 1})
    assert schema.metadata[b"other"] == b"kept"
    assert read_provenance(schema) == {"a": 1}
    assert read_provenance(pa.schema([])) == {}

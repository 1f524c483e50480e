"""The locked versions: plain lines, which admit PyTorch's wheels without CUDA where an index has them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from documented import ROOT

LOCK = ROOT / "requirements.lock"


def locked() -> dict[str, str]:
    lines = [line for line in LOCK.read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in lines)
    return dict(line.split("==") for line in lines)


def write_wheel(folder: Path, name: str, version: str) -> None:
    """A wheel without files of its own: enough for pip to choose between versions."""
    folder.mkdir(exist_ok=True)
    information = f"{name}-{version}.dist-info"
    files = {
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(content)}\n"
    files[f"{information}/RECORD"] = f"{record}{information}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, content in files.items():
            wheel.writestr(path, content)


def test_pip_prefers_a_cpu_wheel_of_the_locked_version_where_an_index_has_one(tmp_path: Path) -> None:
    versions = {name: locked()[name] for name in ("torch", "torchvision")}
    for name, version in versions.items():
        write_wheel(tmp_path / "usual", name, version)
        write_wheel(tmp_path / "cpu", name, f"{version}+cpu")
    places = ["--no-index", "--find-links", str(tmp_path / "usual"), "--find-links", str(tmp_path / "cpu")]
    options = ["--dry-run", "--ignore-installed", "--no-deps", "--quiet", "--report", "-", "-c", str(LOCK)]
    command = [sys.executable, "-m", "pip", "install", *places, *options, *versions]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    chosen = {one["metadata"]["name"]: one["metadata"]["version"] for one in json.loads(done.stdout)["install"]}
    assert chosen == {name: f"{version}+cpu" for name, version in versions.items()}

"""Guards `python -m uqdm`: the program of the script `uqdm`, from any folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_module_runs_the_command_line(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("uqdm")
    for arguments in (["models", "--help"], ["bnch"]):
        by_module, by_script = (
            subprocess.run([*program, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
            for program in ([sys.executable, "-m", "uqdm"], [script])
        )
        assert (by_module.returncode, by_module.stdout, by_module.stderr) == (
            by_script.returncode,
            by_script.stdout,
            by_script.stderr,
        )
        assert "Usage: uqdm " in by_module.stdout + by_module.stderr

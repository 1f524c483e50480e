"""Adds the workflow to wheels: Snakefile, rules, configuration, profiles and recipes.

They come from their places in the checkout. Everything else is in ``pyproject.toml``.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

FILES = ("Snakefile",)
FOLDERS = ("workflow", "config", "profiles", "recipes")


class BuildWithWorkflow(build_py):
    """Copies the workflow's files into ``uqdm/packaged``, where :mod:`uqdm.cli.packaged` finds them."""

    def run(self) -> None:
        """Builds as usual; an editable installation uses the files of the checkout."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "uqdm" / "packaged"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in FILES:
            shutil.copyfile(name, target / name)
        for name in FOLDERS:
            shutil.copytree(name, target / name, ignore=shutil.ignore_patterns("__pycache__"))


setup(cmdclass={"build_py": BuildWithWorkflow})

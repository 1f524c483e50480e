"""A clone of other people's code: found, put on the path, and identified by its commit."""

import subprocess
import sys
from pathlib import Path


def use_repository(path, *files):
    """Puts a clone on Python's path, and returns the first digits of its commit; ``-changed`` follows local changes.

    Exits with a message if one of ``files``, relative to it, is missing.
    """
    root = Path(path).resolve()
    for file in files:
        if not (root / file).is_file():
            raise SystemExit("{} is no clone of that repository: it has no {}".format(root, file))
    sys.path.insert(0, str(root))
    return commit_of(root)


def commit_of(root):
    """The commit of a clone; ``unknown`` without git."""
    try:
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        return commit + ("-changed" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(root, *words):
    done = subprocess.run(["git", "-C", str(root)] + list(words), check=True, stdout=subprocess.PIPE)
    return done.stdout.decode().strip()

"""What the hosts of the recipes share. Python 3.8 or newer and NumPy; :mod:`rans` needs CompressAI, too.

A host script finds it by ``sys.path.insert(0, str(Path(__file__).resolve().parents[1]))``. The benchmark hashes the
script but not this package, so hosts name :func:`digest` among their parameters.
"""

import hashlib
from pathlib import Path


def digest():
    """The first digits of a SHA-256 of this package's files."""
    found = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        found.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:8]

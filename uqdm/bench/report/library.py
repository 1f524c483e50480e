"""The plotting library that is embedded in the page."""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
from dataclasses import dataclass

import plotly
from plotly.offline import get_plotlyjs


@dataclass(frozen=True)
class Library:
    """Plotly's script: the embedded text (gzip in base64), its hash for the page's policy, and a credit."""

    embedded: str
    csp_hash: str
    credit: str


@functools.cache
def plotly_library() -> Library:
    """The script of the installed Plotly package.

    It is compressed: the page holds 2 MB instead of 5, and none of the addresses that the script names for maps.
    """
    code = get_plotlyjs().encode()
    embedded = base64.b64encode(gzip.compress(code, mtime=0)).decode()
    return Library(
        embedded, csp_hash(code), f"plotly.js, MIT licence, from the Python package plotly {plotly.__version__}"
    )


def csp_hash(script: bytes) -> str:
    """The hash of a script, as a Content-Security-Policy contains it.

    >>> csp_hash(b"")
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    """
    return f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"

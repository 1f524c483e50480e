"""What the terminal cannot show does not end a command."""

from __future__ import annotations

import sys


def show_any_text() -> None:
    """Has standard output and errors show escapes such as ``\\u2264`` for characters that their encoding lacks.

    Boxes of tables are drawn in ASCII there by rich itself.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # none where it is closed, or a test's buffer
            stream.reconfigure(errors="backslashreplace")


def showable(text: str) -> str:
    """``text`` with escapes for what standard output cannot show, so that it has the width that it will have there."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)

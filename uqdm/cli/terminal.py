"""Characters that the terminal cannot show do not end a command."""

from __future__ import annotations

import sys


def show_any_text() -> None:
    """Makes standard output and errors show escapes such as ``\\u2264`` for characters that their encoding lacks.

    rich itself draws boxes of tables in ASCII there.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # none where it is closed, or a test's buffer
            stream.reconfigure(errors="backslashreplace")


def showable(text: str) -> str:
    """``text`` with escapes for characters that standard output cannot show, so that its width is right."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)

"""Errors that a user can fix, other than wrong values (ValueError), and their text on one line."""

from __future__ import annotations

from uqdm.text import one_line


class UserError(RuntimeError):
    """Something outside the program's code is wrong: an installation, a program, a file, another process.

    The message names the input, the problem and the remedy. The command line prints it without a traceback.
    """


USER_ERRORS = (ValueError, LookupError, OSError, UserError)
"""Errors of which the command line prints only the message. All others are faults of the program."""


def message_of(error: BaseException) -> str:
    """One line for the user. A bare key is unclear, so failed lookups inside the program name their type.

    >>> message_of(ValueError("quality=0: must be at least 1"))
    'quality=0: must be at least 1'
    >>> message_of(KeyError("psnr"))
    "KeyError: 'psnr' (UQDM_TRACEBACK=1 shows where)"
    """
    text = one_line(str(error))
    if type(error) in (KeyError, IndexError) or not text:
        return f"{type(error).__name__}: {text} (UQDM_TRACEBACK=1 shows where)"
    return text

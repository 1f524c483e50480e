"""Errors with the name of the file that they concern."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def about(file: Path) -> Iterator[None]:
    """Adds the file's name to the error of a library about its content.

    >>> with about(Path("photo.png")):
    ...     raise ValueError("not an image")
    Traceback (most recent call last):
    ...
    ValueError: photo.png: not an image
    """
    try:
        yield
    except ValueError as error:
        raise type(error)(f"{file}: {error}") from error

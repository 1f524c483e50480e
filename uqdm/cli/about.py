"""Errors that name the file they are about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def about(file: Path) -> Iterator[None]:
    """Puts the file's name before what a library says is wrong with its content.

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

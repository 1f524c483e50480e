"""Hashes of files and of commands."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path


def file_sha256(path: Path) -> str:
    """SHA-256 of a whole file in hexadecimal digits; it is read again only when its size or time has changed."""
    found = path.stat()
    return _sha256(path, found.st_size, found.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _sha256(path: Path, size: int, changed_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def words_sha256(words: Iterable[str], is_path: Callable[[str], bool] = lambda word: "/" in word) -> str:
    """SHA-256 of a command: of its words, but for files that it names by path of their names and contents.

    >>> words_sha256(["python", "-u"]) == words_sha256(["python", "-u"]) != words_sha256(["python -u"])
    True
    """
    digest = hashlib.sha256()
    for word in words:
        option, value = split_option(word)
        is_file = is_path(value) and os.path.isfile(value)
        parts = [option, Path(value).name, file_sha256(Path(value))] if is_file else [word]
        digest.update("".join(f"{len(part)}:{part}" for part in (*parts, "")).encode(errors="surrogateescape"))
    return digest.hexdigest()


def split_option(word: str) -> tuple[str, str]:
    """An option up to its ``=``, and its value; a word that is no such option is a value.

    >>> split_option("--env-file=a=b"), split_option("image.sif")
    (('--env-file=', 'a=b'), ('', 'image.sif'))
    """
    option, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
    return (option + equals, value) if equals or not option else ("", word)

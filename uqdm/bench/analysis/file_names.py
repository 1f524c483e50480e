"""Names of extracted files: readable, safe on every file system, and all different."""

from __future__ import annotations

import hashlib
import re

_LONGEST = 80  # characters of a part of a name


class FileNames:
    """Names with one prefix; no two that it gives are equal, upper and lower case apart."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._taken: set[str] = set()

    def name(self, parts: tuple[str, ...], suffix: str) -> str:
        """``PREFIX__PART__PART.SUFFIX``; where that is taken, a hash of the parts is appended.

        >>> names = FileNames("image3")
        >>> names.name(("jpeg", "quality=50"), ".jpg"), names.name(("JPEG", "quality=50"), ".jpg")
        ('image3__jpeg__quality=50.jpg', 'image3__JPEG__quality=50-a607a6ce.jpg')
        """
        stem = "__".join([self._prefix, *(safe(part) for part in parts if part)])
        ending = re.sub(r"[^A-Za-z0-9.-]", "", suffix)
        if (stem + ending).casefold() in self._taken:
            stem += f"-{_digest(repr(parts))}"
        self._taken.add((stem + ending).casefold())
        return stem + ending


def safe(text: str) -> str:
    """A text as a part of a file's name: letters, digits and ``.=,+-``; of a long one the end is replaced by a hash.

    >>> safe("quality=50"), safe("step 2"), safe("../a b")
    ('quality=50', 'step-2', 'a-b')
    """
    kept = re.sub(r"[^A-Za-z0-9.=,+-]+", "-", text).strip(".-") or "-"
    return kept if len(kept) <= _LONGEST else f"{kept[: _LONGEST - 9]}-{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]

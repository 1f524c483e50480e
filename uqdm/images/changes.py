"""What reading changes by rule: where the pixels are not all that the file shows, the change has a name.

Grey that is replicated, a palette that is looked up, opaque alpha, and 1, 2 or 4 bits scaled to 255 change nothing.
"""

from __future__ import annotations

import enum
import zlib
from collections.abc import Iterable, Sequence


class Change(enum.StrEnum):
    """A change of the picture, as text for the user."""

    ALPHA = "alpha composited on white"
    ORIENTATION = "turned as its orientation says"
    DEPTH = "fewer than 8 bits a channel, scaled and rounded"
    PROFILE = "colour profile or gamma not applied"
    FIRST = "first of several pictures"


SEPARATOR = "; "
_LISTED = 3  # images that a note names; the rest are counted


def changes_text(changes: Iterable[Change | str]) -> str:
    """Changes as one text, as in the column ``original_changes``; empty if there are none.

    >>> changes_text([Change.ALPHA, Change.FIRST])
    'alpha composited on white; first of several pictures'
    """
    return SEPARATOR.join(changes)


def changes_note(change: str, names: Sequence[str], n_images: int) -> str:
    """One change of some images of a data set, as a line for the user.

    >>> changes_note(Change.ALPHA, ["a.png", "b.png"], 24)
    '2 of 24 images: alpha composited on white (a.png, b.png); rates and metrics are of these pixels, not of the files'
    """
    listed = ", ".join(names[:_LISTED])
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return (
        f"{len(names)} of {n_images} image{'' if n_images == 1 else 's'}: {change} ({listed}{more}); rates and metrics "
        "are of these pixels, not of the files"
    )


def profile_changes(profile: bytes) -> tuple[Change, ...]:
    """The change by an ICC profile: none if there is no profile, or if it names sRGB, which pixels are taken for.

    >>> profile_changes(b"... desc sRGB IEC61966-2.1 ..."), profile_changes(b"... Display P3 ...")
    ((), (<Change.PROFILE: 'colour profile or gamma not applied'>,))
    """
    names_srgb = b"sRGB" in profile or "sRGB".encode("utf-16-be") in profile
    return () if not profile or names_srgb else (Change.PROFILE,)


def depth_changes(maximum: int) -> tuple[Change, ...]:
    """The change by scaling values of 0 to ``maximum`` to 0 to 255: none if no value is rounded.

    >>> depth_changes(31), depth_changes(15)
    ((<Change.DEPTH: 'fewer than 8 bits a channel, scaled and rounded'>,), ())
    """
    return (Change.DEPTH,) if 255 % maximum else ()


def inflated(data: bytes) -> bytes:
    """The start of decompressed data, at most 1 MiB; the data itself where it does not decompress."""
    try:
        return zlib.decompressobj().decompress(data, 2**20)
    except zlib.error:
        return data

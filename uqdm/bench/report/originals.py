"""What the page says of originals that the data set does not give any more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

_LISTED = 3  # reasons that are named; the rest are counted


class HasOriginals(Protocol):
    """The part of :class:`~uqdm.bench.run.pictures.RunPictures` that is used here."""

    @property
    def original_faults(self) -> list[str]:
        """Why the data set did not give originals that were asked for, each reason once."""


def original_notes(runs: Iterable[HasOriginals]) -> list[str]:
    """A text for each data set that is gone or has changed; call it after all originals were asked for."""
    return [_note(run.original_faults) for run in runs if run.original_faults]


def _note(faults: list[str]) -> str:
    listed = "; ".join(faults[:_LISTED])
    more = f"; and {len(faults) - _LISTED} more reasons" if len(faults) > _LISTED else ""
    return (
        f"The data set no longer gives every original: {listed}{more}. An original shown here is one that the run "
        "kept, or a picture that was measured to be exact."
    )

"""What the page says of originals: what reading changed, and which the data set does not give any more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from uqdm.images.changes import SEPARATOR, changes_note

if TYPE_CHECKING:
    import pandas as pd

    from uqdm.bench.run.pictures import RunPictures

_LISTED = 3  # reasons that are named; the rest are counted


def original_notes(runs: Iterable[RunPictures]) -> list[str]:
    """Texts on the originals of each data set; call it after all originals were asked for."""
    notes = []
    for run in runs:
        notes += [f"{note}. Exact, or lossless, means equal to these pixels." for note in _changes(run.rows)]
        notes += [_note(run.original_faults)] if run.original_faults else []
    return notes


def _changes(rows: pd.DataFrame) -> list[str]:
    """For each kind of change by reading, the images that it applies to."""
    images = rows.drop_duplicates("image_index")
    by_change: dict[str, list[str]] = {}
    for name, text in zip(images.image_id, images.original_changes.fillna(""), strict=True):
        for change in filter(None, text.split(SEPARATOR)):
            by_change.setdefault(change, []).append(str(name))
    return [changes_note(change, names, len(images)) for change, names in by_change.items()]


def _note(faults: list[str]) -> str:
    listed = "; ".join(faults[:_LISTED])
    more = f"; and {len(faults) - _LISTED} more reasons" if len(faults) > _LISTED else ""
    return (
        f"The data set no longer gives every original: {listed}{more}. An original shown here is one that the run "
        "kept, or a picture that was measured to be exact."
    )

"""Options of a comparison of curves."""

from __future__ import annotations

from dataclasses import dataclass

from uqdm.option_fields import option


@dataclass(frozen=True)
class ComparisonOptions:
    """What BD-rates and BD-qualities of a run are measured against."""

    anchor: str = option(
        "jpeg-tuned", "Codec that every curve of a run is held against; a run without it takes another of its own"
    )

"""Options of a comparison of curves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uqdm.option_fields import option

ANCHORS = ("jpeg", "jpeg-tuned")
"""Codecs that curves are compared with if no other is named: the first of these that has a curve."""

FAITHFUL = ("denoise", "mean", "lambda 0")
"""Reconstructions of least squared error, by their names in the rows."""
REALISTIC = ("ancestral", "flow", "sample", "lambda 1")
"""Reconstructions that look like samples of the data; gains are over the first of these that a point has."""

PUBLISHED_HELP = (
    "Published curves beside those of a run on the same images: best, all, none, or names with commas between"
)
PUBLISHED_DEFAULT = "the best of each family; of the paper's systems all"


@dataclass(frozen=True)
class ComparisonOptions:
    """What curves of a run are compared with."""

    anchor: str = option(
        "jpeg-tuned", "Codec that every curve is compared with; a run without it uses another of its codecs"
    )
    imported: tuple[Path, ...] | None = option(
        None, "Files of curves of others, CSV or CompressAI's JSON, that plots and report show too", none="none"
    )

"""The source of features of pictures: the extractor and the store of features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from uqdm.bench.scoring.extraction import Extractor, Store


def load_inception(weights: Path | None) -> Extractor:
    """The Inception network; raises ValueError with the remedy if its weights are missing."""
    from uqdm.bench.features.extractor import Extractor as InceptionExtractor  # imports torch

    return InceptionExtractor.load(weights)


def open_features(folder: Path, extractor: Extractor) -> Store:
    """The store of an extractor's features below ``folder``."""
    from uqdm.bench.features.store import FeatureStore

    return FeatureStore(folder, extractor.sha256)


@dataclass(frozen=True)
class FeatureSource:
    """Loads the extractor from a file of weights (None: the default file), and opens the store of its features."""

    load: Callable[[Path | None], Extractor] = load_inception
    open_store: Callable[[Path, Extractor], Store] = open_features

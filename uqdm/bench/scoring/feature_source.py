"""The source of features of pictures: the extractor and the store of features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from uqdm.bench.scoring.extraction import Extractor, Store
from uqdm.text import error_text


def load_inception(weights: Path | None) -> Extractor:
    """The Inception network; raises ValueError with the remedy if its weights or libraries are missing."""
    try:
        from uqdm.bench.features.extractor import Extractor as InceptionExtractor  # imports torch
    except (ImportError, RuntimeError) as error:  # the latter: torchvision was built for another torch
        raise ValueError(
            f"the Inception network cannot be imported ({error_text(error, 200)}); install torch and torchvision "
            "of one release from one package index"
        ) from error
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

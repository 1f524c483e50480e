"""The source of features of pictures: extractors and the store of features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from uqdm.bench.features import extractors
from uqdm.bench.scoring.extraction import Extractor, Store
from uqdm.text import error_text


def load_extractor(name: str, weights: Path | None) -> Extractor:
    """The extractor ``name``; raises ValueError with the remedy if its weights or libraries are missing."""
    try:
        load = extractors.loader(name)
    except (ImportError, RuntimeError) as error:  # the latter: torchvision was built for another torch
        raise ValueError(
            f"the feature extractor {name} cannot be imported ({error_text(error, 200)}); install torch and "
            "torchvision of one release from one package index"
        ) from error
    return load(weights)


def open_features(folder: Path, extractor: Extractor) -> Store:
    """The store of an extractor's features below ``folder``."""
    from uqdm.bench.features.store import FeatureStore

    return FeatureStore(folder, extractor.sha256, extractor.n_features)


@dataclass(frozen=True)
class FeatureSource:
    """Loads an extractor by its name from a file of weights (None: the default), and opens the store of features."""

    load: Callable[[str, Path | None], Extractor] = load_extractor
    open_store: Callable[[Path, Extractor], Store] = open_features

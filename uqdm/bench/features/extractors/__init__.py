"""Feature extractors, one module for each: its function ``load`` makes an extractor from a file of weights.

A metric of sets names its extractor (``SetMetric.extractor``), which is the name of a module here.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uqdm.bench.features.extractor import Extractor


def extractor_names() -> tuple[str, ...]:
    """The names of all extractors, sorted.

    >>> extractor_names()
    ('clip', 'dinov2', 'inception', 'projections')
    """
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def loader(name: str) -> Callable[[Path | None], Extractor]:
    """The function that loads the extractor ``name`` with the weights of a file; None: where its module finds them.

    Imports torch; raises ImportError if a library is missing. The function raises
    :class:`~uqdm.bench.features.weight_files.WeightsError` with the remedy if the weights are missing.
    """
    load: Callable[[Path | None], Extractor] = importlib.import_module(f"{__name__}.{name}").load
    return load

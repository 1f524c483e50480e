"""A section of the configuration about published figures, as codecs to run and as options of ``uqdm bench paper``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from uqdm.bench.datasets import spec_of
from uqdm.bench.paper.protocol import Model, Weights, codecs
from uqdm.bench.scoring.selection import SetMetricBounds, bounds_of_run

PUBLISHED_ON = ("cifar10", "imagenet64")
"""Kinds of data sets that the published figures are of."""


@dataclass(frozen=True)
class PublishedFigures:
    """What to measure for the published figures of one data set."""

    dataset: str
    """The images, as ``uqdm bench evaluate --dataset`` takes them."""
    limit: int | None = None
    """Only the first N images; all if None."""
    models: tuple[Model, ...] = ()
    """UQDM models for the published rows of UQDM."""
    weights: tuple[Weights, ...] = ()
    """Checkpoints for the published rows of learned codecs."""
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """More parameters of codecs, by name."""
    set_metrics: SetMetricBounds | None = None
    """Images and settings that set metrics are computed on; None for the usual ones."""

    @classmethod
    def from_mapping(cls, section: Mapping[str, Any], name: str) -> PublishedFigures:
        """The section of one data set; ``name`` begins messages of ValueErrors."""
        return cls(
            spec_of(section["dataset"]),
            section.get("limit"),
            _models(section.get("models") or {}),
            _weights(section.get("checkpoints") or {}),
            section.get("options") or {},
            bounds_of_run(section.get("set_metrics"), name),
        )

    def codecs(self) -> dict[str, Any]:
        """The codecs of the published rows, as under ``runs`` in the configuration.

        Raises ValueError for options of a codec that is none of them.

        >>> list(PublishedFigures("cifar10").codecs())
        ['jpeg', 'jpeg2000', 'bpg', 'hyperprior']
        """
        return codecs(self.models, self.options, self.weights)

    def arguments(self) -> list[str]:
        """The options of ``uqdm bench paper`` about models and checkpoints.

        >>> PublishedFigures.from_mapping({"dataset": "demo", "models": {"tiny": "models/tiny"}}, "paper").arguments()
        ['--model=tiny=models/tiny']
        """
        options = []
        for model in self.models:
            options.append(f"--model={model.label}={model.path}")
            options += [f"--published-model={model.label}"] if model.is_published else []
        for weights in self.weights:
            options += [f"--checkpoint={weights.system}={file}" for file in weights.files]
            options += [f"--published-checkpoints={weights.system}"] if weights.is_published else []
        return options


def _models(given: Mapping[str, Any]) -> tuple[Model, ...]:
    """Models by label, each a path, or a mapping with ``path`` and ``published``."""
    found = []
    for label, value in given.items():
        wanted: Mapping[str, Any] = {"path": value} if isinstance(value, str) else value
        found.append(Model(label, wanted["path"], wanted.get("published", False)))
    return tuple(found)


def _weights(given: Mapping[str, Any]) -> tuple[Weights, ...]:
    """Checkpoints by published system, each a list of files, or a mapping with ``files`` and ``published``."""
    found = []
    for system, value in given.items():
        if value is not None:
            wanted: Mapping[str, Any] = {"files": value} if isinstance(value, list) else value
            found.append(Weights(system, tuple(wanted["files"]), wanted.get("published", False)))
    return tuple(found)

"""The configuration's section ``paper`` as runs and as options of ``uqdm bench paper``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from uqdm.bench.paper.protocol import Model, codecs

PUBLISHED_ON = ("cifar10", "imagenet64")
"""The data sets of the published figures."""


def paper_runs(section: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A run for each data set of the section, as under ``runs`` in the configuration.

    Raises ValueError for options of codecs that are not in the paper's rows.

    >>> list(paper_runs({"cifar10": {"dataset": "cifar10"}})["paper_cifar10"]["codecs"])
    ['jpeg', 'jpeg2000', 'bpg']
    """
    return {
        f"paper_{name}": {
            "dataset": wanted["dataset"],
            "limit": wanted.get("limit"),
            "codecs": codecs(models(wanted), wanted.get("options")),
            "set_metrics": wanted.get("set_metrics"),
        }
        for name, wanted in section.items()
    }


def models(wanted: Mapping[str, Any]) -> list[Model]:
    """The UQDM models of one data set's section: a path, or a mapping with ``path`` and ``published``, by label."""
    found = []
    for label, value in (wanted.get("models") or {}).items():
        path, is_published = (
            (value, False) if isinstance(value, str) else (value["path"], value.get("published", False))
        )
        found.append(Model(label, path, is_published))
    return found


def paper_options(wanted: Mapping[str, Any]) -> list[str]:
    """The options of ``uqdm bench paper`` for one data set's section.

    >>> paper_options({"models": {"tiny": "models/uqdm-tiny"}})
    ['--model=tiny=models/uqdm-tiny']
    """
    options = []
    for model in models(wanted):
        options.append(f"--model={model.label}={model.path}")
        options += [f"--published-model={model.label}"] if model.is_published else []
    return options

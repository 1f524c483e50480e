"""Names that a shell completes: codecs, data sets, metrics, plots, models, environments, folders of runs.

Nothing heavy is imported.

Each function takes the beginning that the user has typed, and returns what it may become. Where nothing is returned,
bash and zsh complete the names of files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

RESULTS = Path("results")


def codecs(incomplete: str) -> list[str]:
    """Names of codecs.

    >>> codecs("jpeg2000-")
    ['jpeg2000-progressive', 'jpeg2000-tuned']
    """
    from uqdm.codec import codec_names

    return _beginning(codec_names(), incomplete)


def data_sets(incomplete: str) -> list[str]:
    """Kinds of data set.

    >>> data_sets("de")
    ['demo']
    """
    from uqdm.bench.datasets import dataset_kinds

    return _beginning(dataset_kinds(), incomplete)


def metrics(incomplete: str) -> list[str]:
    """Names of metrics, of single images and of sets.

    >>> metrics("ps")
    ['psnr_db']
    """
    from uqdm.bench.metrics import declared

    return _beginning([metric.name for metric in declared()], incomplete)


def families(incomplete: str) -> list[str]:
    """Families of systems with published curves.

    >>> families("autoe")
    ['autoencoder']
    """
    from uqdm.bench.analysis.published_systems import FAMILIES

    return _beginning(FAMILIES, incomplete)


def published(incomplete: str) -> list[str]:
    """Sets of images with published curves.

    >>> published("kod")
    ['kodak', 'kodak-512crop']
    """
    from uqdm.bench.analysis.published_systems import set_names

    return _beginning(set_names(), incomplete)


def plots(incomplete: str) -> list[str]:
    """Names of plots.

    >>> plots("rate_di")
    ['rate_distortion', 'rate_dists']
    """
    from uqdm.bench.plots import PLOTS

    return _beginning(PLOTS.names(), incomplete)


def models(incomplete: str) -> list[str]:
    """Names of shipped models.

    >>> models("uqdm-p")
    ['uqdm-pixel']
    """
    from uqdm.model.zoo import shipped_names

    return _beginning(shipped_names(), incomplete)


def published_models(incomplete: str) -> list[str]:
    """Names of published models, which can be fetched.

    >>> published_models("uqdm-t")
    ['uqdm-tiny']
    """
    from uqdm.model.zoo import KNOWN

    return _beginning(KNOWN, incomplete)


def environments(incomplete: str) -> list[str]:
    """Names of the environments that are stored."""
    from uqdm.environments.inventory import stored_names

    return _beginning(stored_names(), incomplete)


def runs(incomplete: str) -> list[str]:
    """Folders of runs in ``results``, and those whose path begins so."""
    from uqdm.bench.run.layout import is_run

    try:
        found = [*RESULTS.glob("*"), *Path(os.path.dirname(incomplete)).glob("*")]
        return _beginning(dict.fromkeys(str(path) for path in sorted(found) if is_run(path)), incomplete)
    except OSError:
        return []


def one_of(*choices: str) -> Callable[[str], list[str]]:
    """A function that completes one of a few words.

    >>> one_of("cpu", "cuda")("cu")
    ['cuda']
    """

    def complete(incomplete: str) -> list[str]:
        return _beginning(choices, incomplete)

    return complete


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]

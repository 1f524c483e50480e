"""The curves that the authors of UQDM published, as data, to show next to measured ones; the two are never mixed."""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from uqdm.bench.datasets import Origin

FOLDER = Path(__file__).resolve().parents[2] / "published"
"""A CSV file for each data set."""

COLUMNS = {
    "dataset": "name of the data set",
    "system": "codec, or model and way of making pictures",
    "point": "position on its curve, from 0",
    "bpp": "bits per pixel, mean over images",
    "psnr_db": "dB, mean over the images that are not exact; inf where all are",
    "fid": "Fréchet inception distance of the pictures to the originals",
    "kind": "what the rate is: 'file' (size of a real file), 'ideal' (a model's estimate) or 'unstated'",
    "protocol": "how the figures were made",
    "source": "the publication",
    "suspect": "true if a figure is doubtful",
    "suspect_reason": "which, and why",
}
"""The columns of those files."""

N_IMAGES = 10_000
"""Number of images of every published figure."""


@dataclass(frozen=True)
class PublishedImages:
    """The images of the figures for a data set: a description, and the release that they come from."""

    text: str
    release: str
    whole: bool
    """True if they are the whole release; False if it is not known which part of it they are."""


IMAGES = {
    "cifar10": PublishedImages("the 10,000 test images of CIFAR-10", "cifar10-test", whole=True),
    "imagenet64": PublishedImages(
        "10,000 validation images of the newer ImageNet64 release without duplicates of training images; which 10,000 "
        "is not published",
        "imagenet64-val",
        whole=False,
    ),
}
"""By the names of :func:`published_names`."""


@dataclass(frozen=True)
class Relation:
    """The relation of the images of a run to those of the published figures.

    ``kind`` is "same" (the same images), "part" (some of them), "sample" (from the same release), "named" (only the
    name agrees) or "other". ``sampling`` times the sampling error of a run's mean is the error of its difference from
    the published mean; NaN if the images are of different kinds.
    """

    kind: str
    text: str
    sampling: float

    @property
    def published_images(self) -> str:
        """The published images in a few words, for the legend of a plot."""
        beside = {"same": "the same", "part": "these among them", "other": "none of these"}
        return f"{N_IMAGES:,} images, {beside.get(self.kind, 'perhaps none of these')}"


def published_names() -> list[str]:
    """Names of the data sets that there are figures for.

    >>> published_names()
    ['cifar10', 'imagenet64']
    """
    return sorted(path.stem for path in FOLDER.glob("*.csv"))


def published_name(dataset: str) -> str | None:
    """The published data set that a run's data set belongs to, by its name; None if there are no figures for it.

    The first word of the name counts, so that a part of a data set is recognized.

    >>> published_name("cifar10-part-test"), published_name("CIFAR10"), published_name("demo")
    ('cifar10', 'cifar10', None)
    """
    first = re.split(r"[^a-z0-9]", dataset.lower())[0]
    return first if first in published_names() else None


def relation(name: str, dataset: str, n_images: int, origin: Origin | None = None) -> Relation:
    """The relation of ``n_images`` images of the data set ``dataset`` to those of the figures ``name``.

    The mean over n of the N published images differs from the mean over all N by sqrt(1 - n/N) of its own sampling
    error; two means over independent samples of n and N images by sqrt(1 + n/N) of that of the first (Cochran,
    Sampling Techniques, 1977, ch. 2).

    >>> relation("cifar10", "cifar10-part-test", 1017).kind, relation("cifar10", "demo", 128).kind
    ('named', 'other')
    """
    theirs = IMAGES[name]
    share = min(n_images / N_IMAGES, 1.0)
    independent = math.sqrt(1 + share)
    if origin is None or (origin.release == theirs.release and not origin.proof):
        if published_name(dataset) != name:
            return Relation("other", f"The images of {dataset} are others than the published ones.", math.nan)
        known = "by its name" if origin is None else "by number and form of its images"
        return Relation("named", f"{dataset} is taken for images of that kind {known}; nothing proves it.", independent)
    if origin.release != theirs.release:
        return Relation("other", f"The images are of {origin.text}, others than the published ones.", math.nan)
    if not theirs.whole:
        text = f"The images are of {origin.text} ({origin.proof}); whether they are the published ones is not known."
        return Relation("sample", text, independent)
    if n_images == N_IMAGES:
        return Relation("same", f"The images are the published ones ({origin.proof}).", 0.0)
    text = f"The images are the first {n_images:,} of the published ones ({origin.proof})."
    return Relation("part", text, math.sqrt(1 - share))


@functools.cache
def published(name: str) -> pd.DataFrame:
    """The figures for one data set, with the columns of ``COLUMNS``; raises LookupError for an unknown one.

    >>> float(published("cifar10").query("system == 'jpeg'").bpp.max())
    10.7999
    """
    import pandas as pd

    if name not in published_names():
        raise LookupError(f"no published figures for {name!r}; there are some for: {', '.join(published_names())}")
    types = {"suspect_reason": str, "suspect": bool}
    return pd.read_csv(FOLDER / f"{name}.csv", dtype=types, keep_default_na=False, na_values={"fid": [""]})

"""The sets of images that there are published curves for, how the images of a run relate to them, and the figures that
the authors of UQDM published, as data. They are shown next to measured curves, and never enter statistics.

:mod:`uqdm.bench.analysis.published_systems` has the curves of all sets in one form.
"""

from __future__ import annotations

import csv
import functools
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from uqdm.registry import suggest
from uqdm.text import counted

if TYPE_CHECKING:
    import pandas as pd

    from uqdm.bench.datasets import Origin

FOLDER = Path(__file__).resolve().parents[2] / "published"
"""A CSV file for each data set of the paper."""
FIELD = FOLDER / "field"
"""Published curves of other systems: ``sets.csv``, ``systems.csv``, ``sources.csv`` and ``points/SET.csv``."""

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
"""Number of images of every figure of the paper."""
LEAST_PART = 8
"""Images of a set that is known by its files that a run needs for the set's curves: fewer say little of the mean."""


@dataclass(frozen=True)
class PublishedImages:
    """The images of the figures for a data set: a description, and the release that they come from."""

    text: str
    release: str
    whole: bool
    """True if they are the whole release; False if it is not known which part of it they are."""
    n: int | None = N_IMAGES
    """Their number; None if the sources do not say it."""
    by_files: bool = False
    """True if the images of a run are recognized by the hashes of their files, in any order; False if by name."""
    caveat: str = ""


IMAGES = {
    "cifar10": PublishedImages("the 10,000 test images of CIFAR-10", "cifar10-test", whole=True),
    "imagenet64": PublishedImages(
        "10,000 validation images of the newer ImageNet64 release without duplicates of training images; which 10,000 "
        "is not published",
        "imagenet64-val",
        whole=False,
    ),
}
"""Those of the paper, by the names of :func:`published_names`."""


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
    n_published: int | None = N_IMAGES

    @property
    def published_images(self) -> str:
        """The published images in a few words, for the legend of a plot."""
        beside = {"same": "the same", "part": "these among them", "other": "none of these"}
        count = "" if self.n_published is None else f"{counted(self.n_published, 'image')}, "
        return f"{count}{beside.get(self.kind, 'perhaps none of these')}"


@functools.cache
def field_sets() -> dict[str, PublishedImages]:
    """The images of the published curves of the field, by the names of their sets.

    >>> field_sets()["kodak"].n, field_sets()["kodak"].by_files, field_sets()["tecnick"].by_files
    (24, True, False)
    """
    with (FIELD / "sets.csv").open(encoding="utf-8", newline="") as file:
        return {
            row["data_set"]: PublishedImages(
                row["images"],
                row["data_set"],
                whole=True,
                n=int(row["n_images"]) if row["n_images"] else None,
                by_files=row["identity"] == "files",
                caveat=row["caveat"],
            )
            for row in csv.DictReader(file)
        }


def images_of(name: str) -> PublishedImages:
    """The images of the published curves of a set; raises LookupError with suggestions for an unknown one."""
    known = {**IMAGES, **field_sets()}
    if name not in known:
        raise LookupError(f"no published curves on {name!r}{suggest(name, known)}; known sets: {', '.join(known)}")
    return known[name]


def published_names() -> list[str]:
    """Names of the data sets that the paper has figures for.

    >>> published_names()
    ['cifar10', 'imagenet64']
    """
    return sorted(path.stem for path in FOLDER.glob("*.csv"))


def published_name(dataset: str) -> str | None:
    """The published set that a run's data set belongs to by its name; None if there is none.

    The first word of the name counts for the paper's sets, so that a part of a data set is recognized; other sets need
    their own name. Sets that are known by their files are not found by name.

    >>> published_name("cifar10-part-test"), published_name("CIFAR10"), published_name("demo")
    ('cifar10', 'cifar10', None)
    >>> published_name("CLIC2020-pro-valid"), published_name("kodak")
    ('clic2020-pro-valid', None)
    """
    lowered = dataset.lower()
    if lowered in field_sets():
        return None if field_sets()[lowered].by_files else lowered
    first = re.split(r"[^a-z0-9]", lowered)[0]
    return first if first in published_names() else None


def matching_set(dataset: str, n_images: int, origin: Origin | None = None) -> str | None:
    """The published set whose curves belong beside a run on ``n_images`` images of ``dataset``; None if none does.

    Of a set that is known by its files, the run needs :data:`LEAST_PART` images. ``origin`` is what the run knows of
    its images.

    >>> from uqdm.bench.datasets import Origin
    >>> kodak = Origin("kodak", "photographs of the Kodak suite", "SHA-256 of each file")
    >>> [matching_set("my-photos", n, kodak) for n in (7, 8, 24)], matching_set("my-photos", 24)
    ([None, 'kodak', 'kodak'], None)
    """
    theirs = field_sets().get(origin.release) if origin is not None and origin.proof else None
    if origin is not None and theirs is not None and theirs.by_files:
        return origin.release if n_images >= LEAST_PART else None
    return published_name(dataset)


def relation(name: str, dataset: str, n_images: int, origin: Origin | None = None) -> Relation:
    """The relation of ``n_images`` images of the data set ``dataset`` to those of the figures ``name``.

    The mean over n of the N published images differs from the mean over all N by sqrt(1 - n/N) of its own sampling
    error; two means over independent samples of n and N images by sqrt(1 + n/N) of that of the first (Cochran,
    Sampling Techniques, 1977, ch. 2).

    >>> relation("cifar10", "cifar10-part-test", 1017).kind, relation("cifar10", "demo", 128).kind
    ('named', 'other')
    """
    theirs = images_of(name)
    kind, text, sampling = _relation(theirs, name, dataset, n_images, origin)
    return Relation(kind, text, sampling, theirs.n)


def _relation(
    theirs: PublishedImages, name: str, dataset: str, n_images: int, origin: Origin | None
) -> tuple[str, str, float]:
    share = min(n_images / theirs.n, 1.0) if theirs.n else math.nan
    independent = math.sqrt(1 + share)
    if origin is None or (origin.release == theirs.release and not origin.proof):
        if published_name(dataset) != name:
            return "other", f"The images of {dataset} are others than the published ones.", math.nan
        known = "by its name" if origin is None else "by number and form of its images"
        text = f"{dataset} is taken for images of that kind {known}; nothing proves it."
        return "named", text + _count_differs(theirs, name, n_images), independent
    if origin.release != theirs.release:
        return "other", f"The images are of {origin.text}, others than the published ones.", math.nan
    if not theirs.whole:
        text = f"The images are of {origin.text} ({origin.proof}); whether they are the published ones is not known."
        return "sample", text, independent
    if n_images == theirs.n:
        return "same", f"The images are the published ones ({origin.proof}).", 0.0
    text = f"The images are the first {n_images:,} of the published ones ({origin.proof})."
    if theirs.by_files:
        text = f"The set is a part: {n_images} of the {theirs.n} published images ({origin.proof})."
    return "part", text, math.sqrt(1 - share)


def _count_differs(theirs: PublishedImages, name: str, n_images: int) -> str:
    """A remark on a run whose number of images shows that they are not all of the published ones."""
    if name in IMAGES or theirs.n in (None, n_images):
        return ""
    return f" It has {counted(n_images, 'image')}, the published set {theirs.n:,}."


@functools.cache
def published(name: str) -> pd.DataFrame:
    """The paper's figures for one data set, with the columns of ``COLUMNS``; raises LookupError for an unknown one.

    >>> float(published("cifar10").query("system == 'jpeg'").bpp.max())
    10.7999
    """
    import pandas as pd

    if name not in published_names():
        raise LookupError(f"no published figures for {name!r}; there are some for: {', '.join(published_names())}")
    types = {"suspect_reason": str, "suspect": bool}
    return pd.read_csv(FOLDER / f"{name}.csv", dtype=types, keep_default_na=False, na_values={"fid": [""]})

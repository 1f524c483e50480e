"""The curves that the authors of UQDM published, as data: for looking at beside one's own, never mixed with them."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

FOLDER = Path(__file__).parent.parent / "published"
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


IMAGES = {
    "cifar10": "10,000 images, the test set of CIFAR-10",
    "imagenet64": "10,000 images of ImageNet64's validation set (npz release, duplicates of training images removed)",
}
"""What the figures of each data set were measured on."""


def published_names() -> list[str]:
    """Names of the data sets that there are figures for.

    >>> published_names()
    ['cifar10', 'imagenet64']
    """
    return sorted(path.stem for path in FOLDER.glob("*.csv"))


def published_name(dataset: str) -> str | None:
    """The data set that a name of a run's data set stands for; None if there are no figures for it.

    Names are what there is to go by: the first word counts, so a part of the images goes by the name of the whole.

    >>> published_name("cifar10-part-test"), published_name("CIFAR10"), published_name("demo")
    ('cifar10', 'cifar10', None)
    """
    first = re.split(r"[^a-z0-9]", dataset.lower())[0]
    return first if first in published_names() else None


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

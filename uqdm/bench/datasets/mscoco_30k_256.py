"""The data set ``mscoco-30k-256``: 30,000 images of COCO 2014's validation set, 256 x 256 pixels.

``mscoco-30k-256:PATH`` names their folder. There is no official release: papers choose 30,000 of the 40,504 images, and
make them square, by rules of their own. Number and sizes are checked; results of two copies are of the same images only
if their fingerprints agree.

Source of the photographs: Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014.
"""

from __future__ import annotations

from collections.abc import Mapping

from uqdm.bench.datasets._base import Origin
from uqdm.bench.datasets._published_folder import PublishedFolder, Size, wrong_sizes

SIDE = 256


class Mscoco30k256(PublishedFolder):
    """The 30,000 images."""

    kind = "mscoco-30k-256"
    origin = Origin("mscoco-30k-256", "30,000 validation images of COCO 2014 at 256 x 256", "")
    n_images = 30_000
    folders = ("mscoco-30k-256",)
    fetch = (
        "Fetch http://images.cocodataset.org/zips/val2014.zip, and write the 30,000 images of your protocol with "
        "256 x 256 pixels, as PNG, into a folder named mscoco-30k-256."
    )

    def size_fault(self, sizes: Mapping[str, Size]) -> str:
        """Compares height and width."""
        is_right = {name: size == (SIDE, SIDE) for name, size in sizes.items()}
        return wrong_sizes(sizes, is_right, f"{SIDE} x {SIDE}")

"""The data set ``clic2020-test``: the test images of CLIC 2020, 250 professional and 178 mobile ones, whole.

``clic2020-test:PATH`` names a folder with both unpacked archives, each in a folder of its own or together. The order
is that of the file names. Hashes of the images are not published: the number of images, and the number of 256 x 256
patches for FID that their sizes give, are checked.

Source: Challenge on Learned Image Compression, https://clic.compression.cc/; the number of patches: Mentzer et al.,
High-Fidelity Generative Image Compression, NeurIPS 2020.
"""

from __future__ import annotations

from collections.abc import Mapping

from uqdm.bench.datasets._base import Origin
from uqdm.bench.datasets._published_folder import PublishedFolder, Size, n_patches

PATCHES = 28_650


class Clic2020Test(PublishedFolder):
    """The 428 images."""

    kind = "clic2020-test"
    origin = Origin("clic2020-test", "the 428 test images of CLIC 2020, 250 professional and 178 mobile", "")
    n_images = 250 + 178
    folders = ("clic2020-test",)
    fetch = (
        "Fetch CLIC2020Professional_test.zip (250 images) and CLIC2020Mobile_test.zip (178 images) from "
        "https://data.vision.ee.ethz.ch/cvl/clic/test/ and unpack both into one folder named clic2020-test."
    )

    def size_fault(self, sizes: Mapping[str, Size]) -> str:
        """Compares the number of patches of all images; that of a part of them is not known."""
        found = n_patches(sizes)
        if len(sizes) < self.n_images or found == PATCHES:
            return ""
        return f"the images have sizes that give {found:,} patches of 256 x 256 pixels, not {PATCHES:,}"

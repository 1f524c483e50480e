"""The data set ``div2k-val``: the 100 validation images of DIV2K in high resolution, 2040 pixels on the longer side.

``div2k-val:PATH`` names the folder with ``0801.png`` to ``0900.png``. Hashes of the images are not published: names and
sizes are checked, and, of all images together, the number of 256 x 256 patches for FID that the sizes give.

Source: Agustsson & Timofte, NTIRE 2017 Challenge on Single Image Super-Resolution: Dataset and Study, CVPR Workshops
2017; the number of patches: Muckley et al., Improving Statistical Fidelity for Neural Image Compression, ICML 2023.
"""

from __future__ import annotations

from collections.abc import Mapping

from uqdm.bench.datasets._base import Origin
from uqdm.bench.datasets._published_folder import PublishedFolder, Size, n_patches, wrong_sizes

LONGER_SIDE = 2040
PATCHES = 6_573


class Div2kVal(PublishedFolder):
    """The 100 images."""

    kind = "div2k-val"
    origin = Origin("div2k-val", "the 100 validation images of DIV2K, high resolution", "")
    n_images = 100
    file_names = tuple(f"{number:04d}.png" for number in range(801, 901))
    folders = ("div2k-val", "DIV2K_valid_HR")
    below = ("DIV2K_valid_HR",)
    fetch = "Fetch https://data.vision.ee.ethz.ch/cvl/DIV2K/DIV2K_valid_HR.zip and unpack it."

    def size_fault(self, sizes: Mapping[str, Size]) -> str:
        """Compares the longer side of each image, and the number of patches of all."""
        is_right = {name: max(size) == LONGER_SIDE for name, size in sizes.items()}
        fault = wrong_sizes(sizes, is_right, f"{LONGER_SIDE} on the longer side")
        found = n_patches(sizes)
        if fault or len(sizes) < self.n_images or found == PATCHES:
            return fault
        return f"the images have sizes that give {found:,} patches of 256 x 256 pixels, not {PATCHES:,}"

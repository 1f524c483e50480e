"""The data set ``tecnick``: the 100 colour images of Tecnick's TESTIMAGES, 1200 x 1200 pixels.

``tecnick:PATH`` names the folder with ``RGB_OR_1200x1200_001.png`` to ``RGB_OR_1200x1200_100.png``, or the folder
``TESTIMAGES`` of the unpacked archive. Hashes of the images are not published: names and sizes are checked.

Source: Asuni & Giachetti, TESTIMAGES: A Large-scale Archive for Testing Visual Devices and Basic Image Processing
Algorithms, STAG 2014, https://testimages.org/.
"""

from __future__ import annotations

from collections.abc import Mapping

from uqdm.bench.datasets._base import Origin
from uqdm.bench.datasets._published_folder import PublishedFolder, Size, wrong_sizes

SIDE = 1200
_FOLDER = "RGB/RGB_OR_1200x1200"


class Tecnick(PublishedFolder):
    """The 100 images."""

    kind = "tecnick"
    origin = Origin("tecnick", "the 100 images of Tecnick TESTIMAGES, RGB 1200 x 1200", "")
    n_images = 100
    file_names = tuple(f"RGB_OR_1200x1200_{number:03d}.png" for number in range(1, 101))
    folders = ("tecnick", "TESTIMAGES")
    below = (f"TESTIMAGES/{_FOLDER}", _FOLDER, "RGB_OR_1200x1200")
    fetch = (
        "Fetch https://sourceforge.net/projects/testimages/files/OLD/OLD_SAMPLING/testimages.zip and unpack it; the "
        f"images are in TESTIMAGES/{_FOLDER}."
    )

    def size_fault(self, sizes: Mapping[str, Size]) -> str:
        """Compares height and width."""
        is_right = {name: size == (SIDE, SIDE) for name, size in sizes.items()}
        return wrong_sizes(sizes, is_right, f"{SIDE} x {SIDE}")

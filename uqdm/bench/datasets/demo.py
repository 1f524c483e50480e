"""The data set ``demo``: 128 tiles of 64x64 from seven colour photographs in two installed packages.

Nothing is downloaded. Each photograph is box-reduced by 4, 3 and 2, so that its tiles look like small images and
not like magnified ones, and each reduced photograph is cut into tiles without overlap (the margins that remain
are split evenly). Of these the 128 with the most detail are kept; that drops tiles of bare sky and blurred ground.
Order: one tile of each photograph in turn, the most reduced tiles first, so that the first few images are varied.

The tiles of a photograph are not independent, and its reductions show one scene: intervals over these images
describe the demo, not photographs in general.

Credits: *astronaut*, NASA, public domain; *chelsea*, Stefan van der Walt, CC0; *coffee*, Rachel Michetti,
courtesy of Pikolo Espresso Bar, CC0; *rocket*, SpaceX, public domain; *motorcycle_left*, Middlebury Stereo
Datasets 2014 (Scharstein et al., GCPR 2014); *china*, danielbuechele on Flickr, CC BY 2.0; *flower*, vultilion on
Flickr, CC BY 2.0. The first five come with scikit-image, the last two with scikit-learn.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Self

import numpy as np

from uqdm.bench.datasets._base import DataSet, DataSetError
from uqdm.images import read_image

COUNT = 128
TILE = 64  # pixels, height and width
REDUCTIONS = (4, 3, 2)


@dataclass(frozen=True)
class Photograph:
    """A photograph inside an installed package, known by the SHA-256 of its file."""

    package: str
    path: str
    sha256: str


# The hash is of the file, not of its pixels: JPEG decoders may differ by a grey level, which the fingerprint shows.
PHOTOGRAPHS = (
    Photograph("skimage", "data/astronaut.png", "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"),
    Photograph("skimage", "data/chelsea.png", "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb"),
    Photograph("skimage", "data/coffee.png", "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7"),
    Photograph("skimage", "data/rocket.jpg", "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c"),
    Photograph(
        "skimage", "data/motorcycle_left.png", "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179"
    ),
    Photograph(
        "sklearn", "datasets/images/china.jpg", "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29"
    ),
    Photograph(
        "sklearn", "datasets/images/flower.jpg", "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638"
    ),
)


class Demo(DataSet):
    """128 photographic tiles of 64x64, the same on every machine."""

    kind = "demo"
    holds_pixels = True

    def __init__(self, tiles: dict[str, np.ndarray]) -> None:
        super().__init__("demo", "demo", list(tiles))
        self._tiles = list(tiles.values())

    @classmethod
    def open(cls, argument: str, limit: int | None) -> Self:
        """Cuts the tiles (a fifth of a second) and keeps the first ``limit``."""
        return cls(dict(list(_demo_tiles().items())[:limit]))

    def read(self, index: int) -> np.ndarray:
        """Tile ``index``, uint8 [64, 64, 3]."""
        return self._tiles[index]


def _demo_tiles() -> dict[str, np.ndarray]:
    by_photograph = [_photograph_tiles(photograph) for photograph in PHOTOGRAPHS]
    turns = [item for turn in zip_longest(*(tiles.items() for tiles in by_photograph)) for item in turn if item]
    # The last tile kept has 5.26 grey levels of detail, the first one dropped 4.65: decoders differ by less.
    kept = {name for name, _ in sorted(turns, key=lambda item: _detail(item[1]), reverse=True)[:COUNT]}
    return {name: tile for name, tile in turns if name in kept}


def _photograph_tiles(photograph: Photograph) -> dict[str, np.ndarray]:
    image, stem = _read_photograph(photograph), Path(photograph.path).stem
    tiles = {}
    for factor in REDUCTIONS:
        reduced = _box_reduce(image, factor)
        rows, columns = reduced.shape[0] // TILE, reduced.shape[1] // TILE
        grid = _centre(reduced, rows * TILE, columns * TILE).reshape(rows, TILE, columns, TILE, 3)
        for row, column in np.ndindex(rows, columns):
            tiles[f"{stem}-reduced{factor}-row{row}-column{column}"] = grid[row, :, column].copy()
    return tiles


def _box_reduce(image: np.ndarray, factor: int) -> np.ndarray:
    """Means of boxes of ``factor`` x ``factor`` pixels, in whole numbers, halves rounded up."""
    height, width = image.shape[0] // factor, image.shape[1] // factor
    boxes = _centre(image, height * factor, width * factor).reshape(height, factor, width, factor, 3)
    return ((boxes.sum((1, 3), dtype=np.uint32) + factor**2 // 2) // factor**2).astype(np.uint8)


def _centre(image: np.ndarray, height: int, width: int) -> np.ndarray:
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def _detail(tile: np.ndarray) -> float:
    """Mean absolute difference of vertical and of horizontal neighbours, added; grey levels."""
    return sum(float(np.abs(np.diff(tile.astype(np.int16), axis=axis)).mean()) for axis in (0, 1))


def _read_photograph(photograph: Photograph) -> np.ndarray:
    remedy = 'install the versions this release was made with: pip install "scikit-image==0.26.0" "scikit-learn==1.9.1"'
    spec = importlib.util.find_spec(photograph.package)  # finds the folder without importing the package
    if spec is None or not spec.submodule_search_locations:
        raise DataSetError(f"demo: package {photograph.package} is not installed; {remedy}")
    path = Path(spec.submodule_search_locations[0], photograph.path)
    if not path.is_file():
        raise DataSetError(f"demo: the installed {photograph.package} has no {photograph.path}; {remedy}")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != photograph.sha256:
        raise DataSetError(f"demo: {path} is not the file that the demo is cut from; {remedy}")
    return read_image(data, name=str(path))

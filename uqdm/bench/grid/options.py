"""Options of a grid of pictures."""

from __future__ import annotations

from dataclasses import dataclass

from uqdm.bench.analysis.equal_rate import TOLERANCE
from uqdm.bench.grid.window import AUTOMATIC_SIDE, parse_crop
from uqdm.option_fields import check_bounds, option

FORMATS = ("png", "pdf", "html")
"""The files of a grid by their suffixes."""


@dataclass(frozen=True)
class GridOptions:
    """Which pictures a grid shows, and what is written under them."""

    images: tuple[str, ...] | None = option(
        None, "Images, by index or id", none="three, of low to high PSNR", joined=True
    )
    bpp: tuple[float, ...] | None = option(
        None,
        "Rates, bits per pixel",
        none="two of each image at which most codecs have a picture",
        above=0,
        joined=True,
    )
    codecs: tuple[str, ...] | None = option(
        None,
        "Codec, label, or curve such as 'uqdm flow'; columns are in this order",
        flag="--codec",
        none="every codec that has a picture",
    )
    metrics: tuple[str, ...] | None = option(
        None, "Metric under the pictures, e.g. lpips", flag="--metric", none="PSNR and up to three others"
    )
    crop: str | None = option(
        None,
        "Part that is shown - X,Y,WIDTH,HEIGHT in pixels, a side for a place where the codecs differ most, or whole",
        none=f"side {AUTOMATIC_SIDE}",
    )
    tolerance_percent: float = option(
        round(100 * (TOLERANCE - 1), 9), "Greatest difference of rates, in percent", flag="--tolerance", minimum=0
    )
    formats: tuple[str, ...] = option(
        FORMATS, f"File to write: {', '.join(FORMATS)}", flag="--format", in_section=False
    )

    def __post_init__(self) -> None:
        check_bounds(self)
        parse_crop(self.crop)
        for name in self.formats:
            if name not in FORMATS:
                raise ValueError(f"format={name!r}: choose from {', '.join(FORMATS)}")

    @property
    def tolerance(self) -> float:
        """The greatest ratio of two rates that count as one."""
        return 1 + self.tolerance_percent / 100

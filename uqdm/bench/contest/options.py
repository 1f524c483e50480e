"""What the page of a contest shows."""

from __future__ import annotations

from dataclasses import dataclass

from uqdm.bench.grid.options import GridOptions
from uqdm.option_fields import check_bounds, option


@dataclass(frozen=True)
class PageOptions:
    """The rates and images of the page of a contest."""

    bpp: tuple[float, ...] = option(
        (0.2, 0.5, 1.0), "Rates at which codecs are compared, bits per pixel", above=0, joined=True
    )
    lowest_bpp: float = option(0.1, "Lowest rate of the plots and of the verdicts, bits per pixel", above=0)
    highest_bpp: float = option(1.0, "Highest rate of these", above=0)
    realism: tuple[str, ...] = option(
        ("lpips",), "Metrics that are drawn against distortion at each of the rates", joined=True
    )
    images: tuple[str, ...] | None = option(
        None, "Images that are shown, by index or id", none="three, of low to high PSNR", joined=True
    )
    tolerance_percent: float = option(
        40.0,
        "Greatest difference of the rate of a picture from that of its row, in percent",
        flag="--tolerance",
        minimum=0,
    )

    def __post_init__(self) -> None:
        check_bounds(self)
        if not self.bpp:
            raise ValueError("bpp=[]: name a rate at least")
        if not self.lowest_bpp < self.highest_bpp:
            raise ValueError(f"highest_bpp={self.highest_bpp:g}: must be above lowest_bpp={self.lowest_bpp:g}")

    def grid(self, columns: tuple[str, ...], metrics: tuple[str, ...]) -> GridOptions:
        """The options of the grid of pictures with these columns, and these metrics under the pictures."""
        return GridOptions(self.images, self.bpp, columns, metrics, tolerance_percent=self.tolerance_percent)

"""The rate at which a row of the results is plotted and compared: that of its files, or the ideal one without files.

Every table and plot with an ideal rate shows :data:`NO_FILE` next to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uqdm.bench.schema import RATE_IDEAL

if TYPE_CHECKING:
    import pandas as pd

NO_FILE = "(ideal, no file)"
"""Appended to the name of a codec that has ideal rates and no files."""
ENDS = ("", "_low", "_high")


def is_ideal(frame: pd.DataFrame) -> pd.Series:
    """Which rows of a summary, or of single images, have ideal rates and no files."""
    import pandas as pd

    if "rate_kind" not in frame:
        return pd.Series(False, index=frame.index)
    return (frame.rate_kind == RATE_IDEAL).astype(bool)


def is_empty(summary: pd.DataFrame) -> pd.Series:
    """Which rows of a summary hold no bits of the image: the picture is made from header and seed alone.

    Such a point, a progressive file's step 0, is a place to start from and no choice of rate: its ideal bits are 0.

    >>> import pandas as pd
    >>> is_empty(pd.DataFrame({"bpp": [0.05, 0.6, 0.7], "ideal_bpp": [0.0, 0.5, np.nan]})).tolist()
    [True, False, False]
    """
    import pandas as pd

    if "ideal_bpp" not in summary:
        return pd.Series(False, index=summary.index)
    return (summary.ideal_bpp == 0).astype(bool)


def with_rates(summary: pd.DataFrame) -> pd.DataFrame:
    """A summary with columns ``rate_bpp``, ``rate_bpp_low`` and ``rate_bpp_high``.

    >>> import pandas as pd
    >>> both = pd.DataFrame({"rate_kind": ["file", "ideal"], "bpp": [2.0, np.nan], "ideal_bpp": [1.9, 1.5]})
    >>> with_rates(both).rate_bpp.tolist()
    [2.0, 1.5]
    """
    ideal, none = is_ideal(summary), np.full(len(summary), np.nan)
    rates = {
        f"rate_bpp{end}": np.where(ideal, summary.get(f"ideal_bpp{end}", none), summary.get(f"bpp{end}", none))
        for end in ENDS
    }
    return summary.assign(**{name: values.astype(float) for name, values in rates.items()})


def image_rates(rows: pd.DataFrame) -> pd.Series:
    """The rate of each row of single images, bits per pixel."""
    ideal = is_ideal(rows)
    if not ideal.any():
        return rows.bpp
    return rows.bpp.where(~ideal, rows.ideal_bits / (rows.height * rows.width))


def labelled(name: str, ideal: bool) -> str:
    """A codec's name, with :data:`NO_FILE` if its rates are ideal.

    >>> labelled("vdm", True), labelled("jpeg", False)
    ('vdm (ideal, no file)', 'jpeg')
    """
    return f"{name} {NO_FILE}" if ideal else name

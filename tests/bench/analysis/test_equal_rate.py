"""Guards which of a codec's pictures is nearest to a rate, and what counts as one rate."""

from __future__ import annotations

import pandas as pd

from uqdm.bench.analysis.equal_rate import is_equal_rate, nearest, too_far


def test_the_nearest_rate_is_nearest_by_ratio() -> None:
    rows = pd.DataFrame({"rate_bpp": [1.0, 3.0, 3.0], "psnr_db": [20.0, 30.0, 31.0]})
    assert nearest(rows, 1.8)["psnr_db"] == 31  # 3 is 1.67 times as much, 1 a 1.8th
    assert nearest(rows, 1.7)["psnr_db"] == 20


def test_another_tolerance_takes_the_place_of_the_usual_one() -> None:
    assert not is_equal_rate(1.0, 1.4)
    assert is_equal_rate(1.0, 1.4, tolerance=1.4)
    assert not is_equal_rate(1.0, 1.1, tolerance=1.025)
    assert too_far(1.0, 1.1, "", tolerance=1.025) == "No picture within 2.5 % of 1.000 bpp; the nearest has 1.100 bpp."

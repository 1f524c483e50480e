"""Guards which points of a stream are shown: none that says nothing, and never none at all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from uqdm.bench.analysis.picture_choice import telling_points


def rows(*points: tuple[str, float | None, list[float], float]) -> pd.DataFrame:
    """Rows of two images: name, ideal bits and bpp of each point, and the errors of both images there."""
    return pd.DataFrame(
        [
            {"image_index": image, "point": name, "point_index": place, "ideal_bits": bits, "mse": mse, "bpp": bpp}
            for place, (name, bits, errors, bpp) in enumerate(points)
            for image, mse in enumerate(errors)
        ]
    )


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (  # the demo run: step 0 holds nothing, step 4 and lossless are one picture
            [
                ("step 0", 0, [9, 9], 0.05),
                ("step 1", 8, [2, 2], 1),
                ("step 4", 99, [0, 0], 8),
                ("lossless", 99, [0, 0], 8),
            ],
            ["step 1", "lossless"],
        ),
        ([("step 4", 90, [0, 0], 8), ("lossless", 99, [0, 0], 9)], ["step 4"]),  # the later one costs more
        ([("step 4", 90, [0, 1], 8), ("lossless", 99, [0, 0], 9)], ["step 4", "lossless"]),  # not all are exact
        ([("scan 1", np.nan, [4, 4], 1), ("scan 2", np.nan, [3, 3], 2)], ["scan 1", "scan 2"]),  # no ideal bits
    ],
)
def test_points_that_say_nothing_are_left_out(points: list, expected: list[str]) -> None:
    found = rows(*points)
    assert telling_points(found) == expected
    assert telling_points(found[::-1]) == expected

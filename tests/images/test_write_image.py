"""Writing image files: which suffixes keep every pixel, and which do not."""

from __future__ import annotations

import numpy as np
import pytest

from uqdm.images import read_image
from uqdm.images.write import FORMAT_BY_SUFFIX, check_holds, image_bytes, written_format


@pytest.mark.parametrize("suffix", list(FORMAT_BY_SUFFIX))
def test_exact_formats_keep_every_pixel_and_others_report_their_error(
    suffix: str, photographs_uint8: list[np.ndarray]
) -> None:
    kind = written_format(suffix)
    data, error = image_bytes(photographs_uint8[0], kind)
    found = int(np.abs(read_image(data).astype(int) - photographs_uint8[0]).max())
    assert error == found
    assert kind.exact == (found == 0)


def test_unknown_suffixes_and_sizes_that_a_format_cannot_hold_are_refused() -> None:
    for suffix in ("", ".xyz", ".pgm", ".pdf", ".ico", ".h5"):
        with pytest.raises(ValueError, match=r"unknown kind of image .* keep every pixel: \.png"):
            written_format(suffix)
    check_holds(written_format(".webp"), 16383, 1)
    with pytest.raises(ValueError, match="16384 x 1 pixels; WEBP holds at most 16383"):
        check_holds(written_format(".webp"), 16384, 1)

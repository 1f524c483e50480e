"""The choice among several seeds of a tile: the best for its first step, or for the whole file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_models import CODED_SLOPE, small_codec, small_sections_codec

from uqdm.codec import ParameterError, get_codec
from uqdm.coding.container import parse


@pytest.mark.parametrize("kind", ["stepwise", "sections"])
def test_seeds_chosen_for_lossless_give_nearly_the_smallest_file(
    tmp_path: Path, kind: str, photographs_uint8: list[np.ndarray]
) -> None:
    codec = (
        small_codec(tmp_path / "small", CODED_SLOPE)
        if kind == "stepwise"
        else small_sections_codec(CODED_SLOPE, (1, 2, 3, 2), bounded=True)
    )
    image = photographs_uint8[0][:8, :8]
    sizes = [len(codec.compress([image], seed=seed, seeds=1)[0]) for seed in range(16)]
    (best,) = codec.compress([image], seeds_for="lossless")
    assert 1 << parse(best).header.seed_bits == 16
    assert len(best) <= min(sizes) + 8  # offsets and the field of the seeds
    assert (codec.decompress([best])[0] == image).all()


def test_seeds_for_defaults_to_step1(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> None:
    codec = small_codec(tmp_path / "small", CODED_SLOPE)
    image = photographs_uint8[0][:8, :8]
    assert codec.compress([image], seeds=4) == codec.compress([image], seeds=4, seeds_for="step1")
    with pytest.raises(ValueError, match="seeds_for='both': choose one of step1, lossless"):
        codec.compress([image], seeds_for="both")
    with pytest.raises(ValueError, match="needs more than one seed"):
        codec.compress([image], seeds=1, seeds_for="lossless")


def test_setting_omits_default_seeds_for(tmp_path: Path) -> None:
    small_codec(tmp_path / "small", CODED_SLOPE)
    assert "seeds_for" not in get_codec("uqdm", model=str(tmp_path / "small")).setting
    assert get_codec("uqdm", model=str(tmp_path / "small"), seeds_for="lossless").setting.endswith("seeds_for=lossless")
    with pytest.raises(ParameterError, match="choose one of step1, lossless"):
        get_codec("uqdm", model=str(tmp_path / "small"), seeds_for="both")

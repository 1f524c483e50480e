"""Files of DDCM with a single point: those of several rates are points of one curve, which may have a label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ddcm_models import model_folder

from uqdm.bench.run.codec_settings import parse_request, resolve
from uqdm.codec import get_codec


def test_the_last_step_alone_is_a_point(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> None:
    folder, image = model_folder(tmp_path / "small"), photographs_uint8[0][:16, :16]
    options = {"model": str(folder), "codewords": 64, "steps": 5, "free": 2, "reconstruct": "denoise"}
    one, every = (get_codec("ddcm", points=points, **options) for points in (1, 0))
    (stream,) = one.encode([image])
    assert every.encode([image]) == [stream]
    assert [point.name for point in one.points(stream)] == ["step 5"]
    (shown,) = one.reconstructions(stream)
    last = list(every.reconstructions(stream))[-1]
    assert shown.point == last.point
    assert np.array_equal(shown.image_uint8, last.image_uint8)
    assert list(one.encode_detailed([image])[0].ideal_bits or ()) == ["step 5"]
    assert (one.progressive, every.progressive) == (False, True)


def test_several_rates_share_a_label(tmp_path: Path) -> None:
    text = f"turbo-ddcm:model={model_folder(tmp_path / 'small')},vectors=1|3,points=1,label=ours"
    found = resolve([parse_request(text)])["turbo-ddcm"]
    assert [setting.label for setting in found] == ["ours", "ours"]

"""Every combination of a codec's parameters is refused at construction, or works on every picture."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from uqdm.codec import Codec, CodecUnavailableError, Parameter, ParameterError, codec_class, codec_names

NAMES = [
    name
    for name in codec_names()
    if codec_class(name).__module__.partition(".")[0] == "uqdm_baselines"
    and name not in ("program", "remote", "remote-estimate")  # their default settings name no program
]
EFFORTS = ("preset", "speed", "method", "effort", "scans")
"""Parameters whose values may give the same bytes."""
_FEW = {"preset": ("ultrafast", "slow"), "speed": (6, 10), "method": (0, 6), "effort": (3, 7)}


def _values(parameter: Parameter) -> tuple[Any, ...]:
    """Those to try: every choice, the ends of a range, and the default."""
    if parameter.name in _FEW:
        return _FEW[parameter.name]
    if parameter.choices is not None:
        return parameter.choices
    if parameter.type is bool:
        return (False, True)
    ends = (parameter.minimum, parameter.default, parameter.maximum)
    return tuple(dict.fromkeys(end for end in ends if end is not None))


def _made(name: str) -> Iterator[Codec]:
    """The codec at every combination of values that it does not refuse."""
    codec = codec_class(name)
    names = [parameter.name for parameter in codec.parameters]
    for values in itertools.product(*map(_values, codec.parameters)):
        try:
            yield codec(**dict(zip(names, values, strict=True)))
        except ParameterError as error:
            assert name in str(error)  # noqa: PT017
        except CodecUnavailableError:
            pass  # a program that is not here


@pytest.fixture(scope="module")
def pictures(photographs_uint8: list[np.ndarray]) -> list[np.ndarray]:
    """In colour, grey, of odd sides, and of one pixel."""
    colour = photographs_uint8[1][:24, :32]
    grey = np.repeat(colour[..., :1], 3, axis=-1)
    return [colour, grey, colour[:17, :5], colour[:1, :1], grey[:1, :1]]


@pytest.mark.parametrize("name", NAMES)
def test_every_accepted_setting_works(name: str, pictures: list[np.ndarray]) -> None:
    missing = codec_class(name).missing()
    if missing is not None:
        pytest.skip(f"{name}: {missing}")
    seen: dict[bytes, dict[str, Any]] = {}
    defaults = {parameter.name: parameter.default for parameter in codec_class(name).parameters}
    for codec in _made(name):
        wanted = pictures
        if codec.values.get("pixel_format") == "gray":  # says so of a picture in colour, as no setting is wrong then
            with pytest.raises(ValueError, match="three channels are equal"):
                codec.encode(pictures[:1])
            wanted = [picture for picture in pictures if (picture == picture[..., :1]).all()]
        streams = codec.encode(wanted)
        for picture, decoded in zip(wanted, codec.decode(streams), strict=True):
            assert decoded.shape == picture.shape, codec.setting
            if codec.values.get("lossless"):
                np.testing.assert_array_equal(decoded, picture, err_msg=codec.setting)
        if codec.values.get("quality") not in (None, defaults.get("quality")):
            continue  # at the ends all tables may be the same
        distinguishing = {key: value for key, value in codec.values.items() if key not in EFFORTS}
        assert seen.setdefault(streams[0], distinguishing) == distinguishing, f"{codec.setting}: a parameter is ignored"

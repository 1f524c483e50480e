"""The conversion of colours of VTM's host: its programs are not here."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

HOST = Path(__file__).resolve().parents[2] / "recipes" / "vtm" / "host.py"


@pytest.fixture
def host(path_of_hosts: None) -> ModuleType:
    spec = importlib.util.spec_from_file_location("vtm_host", HOST)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_greys_have_no_chroma_and_keep_their_value(host: ModuleType) -> None:
    grey = np.arange(256, dtype=np.uint8)[:, None, None].repeat(3, axis=2)
    planes = host.to_ycbcr(grey)
    np.testing.assert_array_equal(planes[0], grey[:, :, 0])
    assert (planes[1:] == 128).all()
    np.testing.assert_array_equal(host.to_rgb(planes), grey)


def test_primaries_are_those_of_bt_709(host: ModuleType) -> None:
    """Full range: Y of pure red, green and blue is 255 times its weight; Cb of blue and Cr of red are the largest."""
    planes = host.to_ycbcr(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8))
    np.testing.assert_array_equal(planes[0, 0], [54, 182, 18])
    assert planes[1, 0, 2] == 255
    assert planes[2, 0, 0] == 255


def test_photographs_come_back_up_to_rounding(host: ModuleType, photographs_uint8: list[np.ndarray]) -> None:
    """Eight bits a plane: half a step in each of three planes is at most (1 + 1.86) / 2 + 1/2 steps of a colour."""
    for photograph in photographs_uint8:
        back = host.to_rgb(host.to_ycbcr(photograph))
        assert back.shape == photograph.shape
        assert np.abs(back.astype(int) - photograph).max() <= 2

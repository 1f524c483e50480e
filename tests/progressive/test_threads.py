"""Threads that compute, each on batches of its own: as many as asked for, and without effect on files and pixels."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_models import CODED_SLOPE, small_codec
from typer.testing import CliRunner

import uqdm
from uqdm.cli.main import app
from uqdm.images.write import PNG, image_bytes
from uqdm.progressive import UQDM


@pytest.fixture(params=[1, 2])
def of_torch(request: pytest.FixtureRequest) -> Iterator[int]:
    """Threads that torch is set to."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture
def codec(tmp_path: Path) -> UQDM:
    return small_codec(tmp_path / "small", CODED_SLOPE)


@pytest.fixture
def image(photographs_uint8: list[np.ndarray], codec: UQDM) -> np.ndarray:
    """More than three chunks of tiles."""
    size = codec.model.image_size
    return np.tile(photographs_uint8[0][:size, :size], (10, 5, 1))


def in_new_thread() -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.parametrize("threads", [1, 3])
def test_each_thread_computes_alone(
    codec: UQDM, image: np.ndarray, threads: int, of_torch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = UQDM(codec.model, threads=threads)
    begin, seen, callers = way.predictor().denoiser.begin, set(), set()

    def counted(*arguments: Any) -> Any:
        seen.add(torch.get_num_threads())
        callers.add(threading.get_ident())
        return begin(*arguments)

    monkeypatch.setattr(way.predictor().denoiser, "begin", counted)
    (file,) = way.compress([image])
    np.testing.assert_array_equal(way.decompress(file), image)
    assert seen == {1}
    assert 1 <= len(callers) <= 2 * threads  # a pool each to encode and to decode
    assert torch.get_num_threads() == in_new_thread() == of_torch


def test_the_setting_of_torch_is_restored_after_an_error(codec: UQDM, image: np.ndarray, of_torch: int) -> None:
    way = UQDM(codec.model, threads=2)
    with pytest.raises(ZeroDivisionError):
        way.compress([image], report=lambda done, total: 1 / 0)
    assert torch.get_num_threads() == in_new_thread() == of_torch


def test_files_and_pixels_do_not_depend_on_threads(codec: UQDM, image: np.ndarray) -> None:
    before, made = torch.get_num_threads(), []
    try:
        for of_torch in (1, 2):
            torch.set_num_threads(of_torch)
            made += [UQDM(codec.model, threads=threads).compress_detailed([image])[0] for threads in (1, 2, 3)]
    finally:
        torch.set_num_threads(before)
    assert all(one == made[0] for one in made)
    for threads in (None, 1, 2, 3):
        np.testing.assert_array_equal(UQDM(codec.model, threads=threads).decompress(made[0].stream), image)


def test_threads_must_be_positive() -> None:
    with pytest.raises(ValueError, match="threads=0: must be at least 1"):
        uqdm.load_model("uqdm-pixel", threads=0)


@pytest.mark.slow
def test_option_of_encode_and_decode(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> None:
    image = np.tile(photographs_uint8[0][:64, :64], (3, 6, 1))
    (tmp_path / "a.png").write_bytes(image_bytes(image, PNG)[0])

    def run(*arguments: str) -> int:
        return CliRunner().invoke(app, [str(tmp_path / one) if "." in one else one for one in arguments]).exit_code

    for threads in ("1", "2"):
        assert run("encode", "a.png", f"a{threads}.uqdm", "--threads", threads) == 0
        assert run("decode", "a1.uqdm", f"b{threads}.png", "--threads", threads) == 0
    assert (tmp_path / "a1.uqdm").read_bytes() == (tmp_path / "a2.uqdm").read_bytes()
    assert (tmp_path / "b1.png").read_bytes() == (tmp_path / "b2.png").read_bytes() == (tmp_path / "a.png").read_bytes()
    assert run("encode", "a.png", "a3.uqdm", "--threads", "0") == 2

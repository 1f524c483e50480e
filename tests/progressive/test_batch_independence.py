"""Files and ideal bits do not depend on the other images of a batch.

Other shard sizes make other batches, and the last batch of a data set is smaller: rows must be the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import CODED_SLOPE, small_codec, small_sections_codec

import uqdm
from uqdm.progressive import UQDM, device

pytestmark = pytest.mark.slow


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Threads of torch: libraries split sums among them."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def check(codec: UQDM, images: list[np.ndarray]) -> None:
    """Files and ideal bits are the same alone, and in small, full and incomplete batches."""
    alone = [codec.compress_detailed([image])[0] for image in images]
    for begin, end in ((1, 4), (0, 17)):  # the latter a full one, and one with a single image
        assert codec.compress_detailed(images[begin:end]) == alone[begin:end]


def tiles_of(photographs_uint8: list[np.ndarray], size: int) -> list[np.ndarray]:
    return [photographs_uint8[n % 8][n : n + size, :size] for n in range(17)]


@pytest.mark.usefixtures("threads")
def test_files_of_the_shipped_model(photographs_uint8: list[np.ndarray]) -> None:
    check(uqdm.load_model("uqdm-pixel"), tiles_of(photographs_uint8, 47))


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("bounded", [False, True])
def test_files_of_several_tiles_and_sections(photographs_uint8: list[np.ndarray], bounded: bool) -> None:
    check(small_sections_codec(CODED_SLOPE, bounded=bounded), tiles_of(photographs_uint8, 20))


def test_files_where_the_network_takes_several_tiles(
    tmp_path: Path, photographs_uint8: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: the last network batch is padded, and padding does not affect files."""
    monkeypatch.setitem(device._ENCODED_AT_ONCE, "cpu", 16)
    codec, shapes = small_codec(tmp_path / "small", CODED_SLOPE), set()
    begin = codec.predictor().denoiser.begin
    monkeypatch.setattr(codec.predictor().denoiser, "begin", lambda z, step: shapes.add(len(z)) or begin(z, step))
    check(codec, tiles_of(photographs_uint8, 20))
    assert shapes == {16}


@pytest.mark.shared
def test_files_of_the_authors_checkpoint(shared: Path, photographs_uint8: list[np.ndarray]) -> None:
    """Its 1x1 convolutions sum in another order where two threads share a batch, or a batch has 16 tiles."""
    codec = uqdm.load_model(shared / "checkpoints" / "uqdm-tiny")
    images = tiles_of(photographs_uint8, 64)[:4]
    alone = [codec.compress_detailed([image])[0] for image in images]
    assert codec.compress_detailed(images) == alone


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here that torch can use")
def test_files_made_on_a_gpu(photographs_uint8: list[np.ndarray]) -> None:
    """Files do not depend on a tile's position in the network batch either."""
    images = tiles_of(photographs_uint8, 47)
    model = uqdm.load_model("uqdm-pixel", device="cuda")
    check(model, images)
    for found, image in zip(uqdm.load_model("uqdm-pixel").decompress(model.compress(images)), images, strict=True):
        np.testing.assert_array_equal(found, image)

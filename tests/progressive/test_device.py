"""Batch sizes and threads by device; the GPU code, as far as it runs without a GPU."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_models import CODED_SLOPE, small_codec
from typer.testing import CliRunner

from uqdm.cli.main import app
from uqdm.coding.container import CHUNK_TILES
from uqdm.progressive import device
from uqdm.progressive.batches import batches

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("threads", "on_cpu", "on_gpu"), [(1, 1, 2), (2, 2, 3), (4, 2, 5), (64, 2, device.MAX_AT_WORK)]
)
def test_a_gpu_has_more_batches_at_work(
    monkeypatch: pytest.MonkeyPatch, threads: int, on_cpu: int, on_gpu: int
) -> None:
    """A thread that waits for the GPU needs no core, so even a worker with one core codes while the network runs."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert (device.at_work(CPU), device.at_work(GPU)) == (on_cpu, on_gpu)
    assert device.images_at_once(GPU) >= on_gpu * device.encoded_at_once(GPU)


def test_encoder_batch_size_does_not_depend_on_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: pytest.fail("files would depend on what is free"))
    assert (device.encoded_at_once(CPU), device.encoded_at_once(GPU)) == (1, CHUNK_TILES)


@pytest.mark.parametrize(("free_bytes", "tiles"), [(0, 16), (2**30, 16), (2**31, 32), (2**32, 64), (2**40, 64)])
def test_decoder_batch_size_follows_free_memory(monkeypatch: pytest.MonkeyPatch, free_bytes: int, tiles: int) -> None:
    """Half of the free memory, at 32 MiB per tile, in whole chunks."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free_bytes, 2**40))
    assert device.decoded_at_once(GPU, lambda: 2**25) == tiles
    assert device.decoded_at_once(CPU, lambda: pytest.fail("nothing is measured on a processor")) == CHUNK_TILES


def test_transfer_to_device_and_back_keeps_order() -> None:
    values = np.arange(1.0, 25.0).reshape(1, 2, 3, 4)
    there = device.to_device(values + 1e-12, CPU, torch.float64).contiguous(memory_format=torch.channels_last)
    back = device.to_host(there)
    np.testing.assert_array_equal(back, values)  # float32 has no 1e-12
    assert (back.dtype, back.flags.c_contiguous) == (np.float64, True)


def test_larger_batches_decode_to_the_same_pixels(
    tmp_path: Path, photographs_uint8: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = small_codec(tmp_path / "small", CODED_SLOPE)
    images = [photographs_uint8[n % 8][:20, n : n + 20] for n in range(10)]  # of 9 tiles each
    files = codec.compress(images)
    expected = codec.decompress(files, 2)
    codec.overlap, predictor = 1, codec.predictor()
    predictor.decoded_at_once = device.MAX_DECODED_AT_ONCE
    sizes, begin = [], predictor.denoiser.begin
    monkeypatch.setattr(predictor.denoiser, "begin", lambda z, step: sizes.append(len(z)) or begin(z, step))
    np.testing.assert_array_equal(codec.decompress(files, 2), expected)
    assert max(sizes) == 63  # seven images of nine tiles
    np.testing.assert_array_equal(codec.decompress(files), images)
    headers = [codec.open(file).header for file in files]
    found = [(chunk.item, chunk.number) for batch in batches(headers, 32) for chunk in batch]
    assert found == [(item, 0) for item in range(10)]


def test_missing_device_error_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "black.png")
    (tmp_path / "black.uqdm").write_bytes(b"")
    config = Path(__file__).parents[2] / "config" / "train" / "uqdm-pixel.yaml"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    reasons = {"foo": "choose cpu, cuda or cuda:N", "cuda:9": "torch finds 2 GPUs here, cuda:0 to cuda:1"}
    for wrong, reason in {**reasons, **dict.fromkeys(["", "cuda:-1", "cpu:1", "meta", "mps"], "choose cpu")}.items():
        for command in (
            ["encode", tmp_path / "black.png", tmp_path / "new.uqdm"],
            ["decode", tmp_path / "black.uqdm", tmp_path / "new.png"],
            ["train", config, "--out", tmp_path / "run"],
        ):
            found = CliRunner().invoke(app, [*map(str, command), "--device", wrong])
            assert isinstance(found.exception, ValueError), found.output
            assert "\n" not in str(found.exception)
            assert re.match(f"device='{wrong}': {reason}", str(found.exception))
    assert not (tmp_path / "new.uqdm").exists()
    assert not (tmp_path / "run").exists()


def test_cuda_is_refused_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"^device='cuda': torch finds no GPU here; choose cpu$"):
        device.checked_device("cuda")

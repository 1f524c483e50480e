"""Guards the cost columns of UQDM: calls that are made are those that are told, and MACs those of a hand count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_models import CODED_SLOPE, FREE_SLOPE, small_codec
from torch import nn

import uqdm
from uqdm.codec import get_codec
from uqdm.model import checkpoint
from uqdm.progressive import cost
from uqdm.progressive.compressor import RECONSTRUCTIONS


class CallCounter:
    """Counts the calls of a model's network by step, and the tiles in each."""

    def __init__(self, model: uqdm.UQDM, patch: pytest.MonkeyPatch) -> None:
        self.steps: list[int] = []
        network = model.predictor()._denoiser
        forward = network.forward

        def counted(z_t, step):
            self.steps.append(step.index)
            return forward(z_t, step)

        patch.setattr(network, "forward", counted)

    def made(self) -> list[int]:
        made, self.steps = self.steps, []
        return made


@pytest.mark.parametrize("slope", [FREE_SLOPE, CODED_SLOPE])
def test_the_calls_that_are_told_are_those_that_are_made(
    slope: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_codec(tmp_path, slope)
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    counter = CallCounter(model, monkeypatch)
    (stream,) = model.compress([image])
    assert counter.made() == list(cost.encoding_steps(model.n_steps))
    wanted = [(step, name) for step in range(model.n_steps + 1) for name in RECONSTRUCTIONS]
    for step, name in [*wanted, (None, "denoise")]:
        model.decompress([stream], step, name)
        assert counter.made() == list(cost.decoding_steps(model.n_steps, step, name)), (step, name)


def test_multiply_accumulates_are_those_of_the_layers(tmp_path: Path) -> None:
    """Four 3x3 convolutions a step: 3 to 4 channels, two of a block, 4 to 6."""
    model = small_codec(tmp_path, FREE_SLOPE).model
    a_pixel = 9 * (3 * 4 + 2 * 4 * 4 + 4 * 6)
    assert cost.call_macs(model) == (0, *[8 * 8 * a_pixel] * 3)


def attention_model(folder: Path) -> uqdm.UQDM:
    config = {
        "image_size": 8,
        "schedule": {"slope": FREE_SLOPE, "gamma_max": 6.0, "n_steps": 4},
        "denoiser": {"kind": "unet", "embedding_dim": 8, "n_blocks": 1, "norm_groups": 4},
    }
    checkpoint.save(folder, config, checkpoint.build(config)[0])
    return uqdm.load_model(folder)


def test_attention_and_linear_layers_count_too(tmp_path: Path) -> None:
    """Against a sum over the layers; whichever kernel a device has for attention, its two products count."""
    model = attention_model(tmp_path).model
    layers = list(model.denoiser.modules())
    convolutions = sum(layer.weight.numel() for layer in layers if isinstance(layer, nn.Conv2d))
    linear = sum(layer.weight.numel() for layer in layers if isinstance(layer, nn.Linear))
    positions, channels = 8 * 8, 8
    expected = positions * convolutions + linear + 2 * positions**2 * channels
    assert cost.call_macs(model) == (expected,) * 4
    here = cost.multiply_accumulates(model.denoiser, model.schedule.steps()[1], 8)
    assert here == expected


@pytest.mark.shared
def test_the_published_small_network(shared: Path) -> None:
    """387k a pixel and call, 68 % of them attention (the reference material's own count)."""
    model = uqdm.load_model(shared / "checkpoints" / "uqdm-tiny").model
    pixels = 64 * 64
    assert [count / pixels for count in cost.call_macs(model)] == [386_986] * 4
    attention = 2 * pixels * 32  # products of queries with keys and of weights with values, 32 channels
    assert attention / 386_986 == pytest.approx(0.68, abs=0.005)


def test_rows_carry_calls_and_macs_of_all_tiles() -> None:
    codec = get_codec("uqdm")
    image = np.zeros((65, 64, 3), np.uint8)  # two tiles, the second nearly all padding
    (encoded,) = codec.encode_detailed([image])
    a_call = cost.call_macs(codec._model.model)
    assert encoded.calls == 3
    pictures = {(picture.point.name, picture.name): picture for picture in codec.reconstructions(encoded.stream)}
    assert pictures["step 0", "denoise"].macs == 0
    assert pictures["step 1", "denoise"].calls == 1
    assert pictures["step 1", "denoise"].macs == 2 * a_call[1]
    assert pictures["step 0", "flow"].macs == pictures["lossless", "exact"].macs == 2 * sum(a_call)
    assert codec.device == "cpu" or codec.device.startswith("cuda:")

"""The cost columns of UQDM: reported calls are the actual ones, and MACs agree with a manual count."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import CODED_SLOPE, FREE_SLOPE, SmallSections, small_codec, small_sections_codec
from torch import nn

import uqdm
from uqdm.codec import get_codec
from uqdm.diffusion.choices import RECONSTRUCTIONS
from uqdm.model import checkpoint
from uqdm.model.checkpoint import Model
from uqdm.model.denoiser import Denoiser
from uqdm.model.schedule import Schedule
from uqdm.model.sectioned import BLOCK, N_SECTIONS
from uqdm.progressive import cost
from uqdm.progressive.cost import StepMacs

pytestmark = pytest.mark.slow


class CallCounter:
    """Counts the steps that are opened, and the predicted sections of each."""

    def __init__(self, model: uqdm.UQDM, patch: pytest.MonkeyPatch) -> None:
        self.opened: list[int] = []
        self.predicted: Counter[int] = Counter()
        predictor = model.predictor()
        predictor.first(0)  # is kept, as it is in a worker that is warm
        for network in {predictor.denoiser, predictor._exact}:
            self._watch(network, patch)

    def _watch(self, network: Denoiser, patch: pytest.MonkeyPatch) -> None:
        begin, condition = network.begin, network.condition

        def counted_begin(z_t, step):
            self.opened.append(step.index)
            return begin(z_t, step)

        def counted_condition(opened, z_t, z_s, index, step):
            self.predicted[step.index] += 1
            return condition(opened, z_t, z_s, index, step)

        patch.setattr(network, "begin", counted_begin)
        patch.setattr(network, "condition", counted_condition)

    def made(self) -> tuple[list[int], Counter[int]]:
        made = self.opened, self.predicted
        self.opened, self.predicted = [], Counter()
        return made


@pytest.mark.parametrize("kind", ["free", "coded", "sections", "bounded"])
def test_reported_calls_equal_actual_calls(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each picture by itself. Files of version 1 predict the next step's only section, at no cost."""
    if kind in ("free", "coded"):
        model = small_codec(tmp_path, FREE_SLOPE if kind == "free" else CODED_SLOPE)
    else:
        model = small_sections_codec(FREE_SLOPE, bounded=kind == "bounded")
    n_sections = [model.model.denoiser.n_sections(step) for step in model.model.schedule.steps()]
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    counter = CallCounter(model, monkeypatch)
    (stream,) = model.compress([image], seeds=1)
    opened, predicted = counter.made()
    assert opened == list(cost.encoding_steps(model.n_steps))
    assert [predicted[index] for index in range(1, model.n_steps)] == n_sections[1:]
    wanted = [(step, name) for step in range(model.n_steps + 1) for name in RECONSTRUCTIONS]
    for step, name in [*wanted, (None, "denoise")]:
        model.decompress([stream], step, name)
        opened, predicted = counter.made()
        assert opened == list(cost.opened_steps(model.n_steps, step, name)), (step, name)
        if max(n_sections) > 1:
            told = {index: n_sections[index] for index in cost.predicted_steps(model.n_steps, step, name)}
            assert dict(predicted) == told, (step, name)


def model_of(folder: Path, **denoiser: Any) -> Model:
    """A model of 8x8 tiles with new weights."""
    config = {
        "image_size": 8,
        "schedule": {"slope": FREE_SLOPE, "gamma_max": 6.0, "n_steps": 4},
        "denoiser": denoiser,
    }
    checkpoint.save(folder, config, checkpoint.build(config)[0])
    return uqdm.load_model(folder).model


def test_macs_equal_the_sum_over_layers(tmp_path: Path) -> None:
    """Four 3x3 convolutions a step: 3 to 4 channels, two of a block, 4 to 6."""
    model = model_of(tmp_path, kind="stepwise", widths=[4, 4, 4], dilations=[[1], [1], [1]])
    a_pixel = 9 * (3 * 4 + 2 * 4 * 4 + 4 * 6)
    assert cost.step_macs(model) == (StepMacs(0, 0), *[StepMacs(8 * 8 * a_pixel, 0)] * 3)


def test_macs_include_section_heads() -> None:
    """A 3x3 convolution from 3 to 4 channels opens a step, one from 10 to 6 predicts a section."""
    schedule = Schedule(slope=FREE_SLOPE, gamma_max=6.0, n_steps=4)
    model = Model("small", SmallSections((1, 3, 4, 2)), schedule, 8, {}, "0" * 64)
    opening, section = 8 * 8 * 9 * 3 * 4, 8 * 8 * 9 * 10 * 6
    steps = cost.step_macs(model)
    assert steps == (StepMacs(0, section), *(StepMacs(opening, n * section) for n in (3, 4, 2)))
    assert cost.picture_macs(steps, 2, "denoise") == 2 * opening + (1 + 3) * section
    assert cost.picture_macs(steps, 2, "flow") == 3 * opening + (1 + 3) * section
    assert cost.picture_macs(steps, 2, "ancestral") == 3 * opening + (1 + 3 + 4 + 2) * section
    assert cost.picture_macs(steps, None, "exact") == 3 * opening + (1 + 3 + 4 + 2) * section


def test_macs_of_uqdm_pixel_equal_those_of_its_grouped_heads() -> None:
    """Section by section, a head's inputs are the sections before it: half of the grouped convolution's inputs."""
    model = uqdm.load_model("uqdm-pixel").model
    for step, network in zip(cost.step_macs(model)[1:], model.denoiser.networks, strict=True):
        heads = network.heads
        looked_at = sum(range(N_SECTIONS)) * heads.hidden * heads.kernel**2
        inside = N_SECTIONS * heads.hidden * (heads.hidden + 2)
        assert step.sections == (model.image_size // BLOCK) ** 2 * (looked_at + inside)


def test_macs_include_attention_and_linear_layers(tmp_path: Path) -> None:
    """Against a sum over the layers; whichever kernel a device has for attention, its two products count."""
    model = model_of(tmp_path, kind="unet", embedding_dim=8, n_blocks=1, norm_groups=4)
    layers = list(model.denoiser.modules())
    convolutions = sum(layer.weight.numel() for layer in layers if isinstance(layer, nn.Conv2d))
    linear = sum(layer.weight.numel() for layer in layers if isinstance(layer, nn.Linear))
    positions, channels = 8 * 8, 8
    expected = positions * convolutions + linear + 2 * positions**2 * channels
    assert cost.step_macs(model) == (StepMacs(expected, 0),) * 4
    assert cost.multiply_accumulates(model.denoiser, model.schedule.steps()[1], 8) == StepMacs(expected, 0)


@pytest.mark.shared
def test_macs_of_the_published_small_network(shared: Path) -> None:
    """387k a pixel and call, 68 % of them attention (by a separate count)."""
    model = uqdm.load_model(shared / "checkpoints" / "uqdm-tiny").model
    pixels = 64 * 64
    assert [step.opening / pixels for step in cost.step_macs(model)] == [386_986] * 4
    attention = 2 * pixels * 32  # products of queries with keys and of weights with values, 32 channels
    assert attention / 386_986 == pytest.approx(0.68, abs=0.005)


def test_rows_have_calls_and_macs_of_all_tiles() -> None:
    codec = get_codec("uqdm", model="uqdm-pixel")
    image = np.zeros((65, 64, 3), np.uint8)  # two tiles, the second nearly all padding
    (encoded,) = codec.encode_detailed([image])
    steps = cost.step_macs(codec._model.model)
    assert encoded.calls == 3
    pictures = {(picture.point.name, picture.name): picture for picture in codec.reconstructions(encoded.stream)}
    assert pictures["step 0", "denoise"].macs == 0
    assert pictures["step 1", "denoise"].calls == 1
    assert pictures["step 1", "denoise"].macs == 2 * (steps[0].sections + steps[1].opening)
    everything = 2 * sum(step.opening + step.sections for step in steps[1:])
    assert pictures["lossless", "exact"].macs == everything
    assert 0 < pictures["step 0", "flow"].macs <= everything
    assert codec.device == "cpu" or codec.device.startswith("cuda:")

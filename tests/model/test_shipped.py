"""The models in the package agree with their model cards."""

from pathlib import Path

import numpy as np
import pytest
import torch

from uqdm.diffusion.images import to_data
from uqdm.diffusion.process import transmit
from uqdm.model import zoo
from uqdm.model.checkpoint import WEIGHTS

pytestmark = pytest.mark.slow

SIZE_LIMIT = 2 * 2**20


@pytest.mark.parametrize("name", zoo.shipped_names())
def test_shipped_models_are_small_and_have_a_card(name):
    folder = zoo.find(name)
    assert (folder / WEIGHTS).stat().st_size <= SIZE_LIMIT
    card = (folder / "README.md").read_text()
    weights = sum(value.numel() for value in zoo.load_named(name).denoiser.parameters())
    assert f"{weights:,}" in card
    assert f"config/train/{name}.yaml" in card
    assert (Path(__file__).parents[2] / "config" / "train" / f"{name}.yaml").is_file()


# Cumulative ideal bpp and PSNR of x_hat of the first 40 images, as the cards' figures of 200 were measured.
CARDS = {
    "uqdm-demo": ("imagenet64-sample.npz", "eval", [0.500, 1.731, 5.623, 13.373], [21.15, 29.16, 42.22]),
}


@pytest.mark.shared
@pytest.mark.parametrize("name", CARDS)
def test_shipped_model_meets_its_model_card(shared, name):
    file, key, rates_bpp, psnr_db = CARDS[name]
    images = np.load(shared / "data" / file)[key][:40]
    model, generator = zoo.load_named(name), torch.Generator().manual_seed(0)

    def noise(index, shape):
        return torch.randn(shape, generator=generator) if index == 0 else torch.rand(shape, generator=generator) - 0.5

    rates, quality = np.zeros((len(images), 4)), np.zeros((len(images), 4))
    for row, picture_row, image in zip(rates, quality, images, strict=True):
        x = to_data(image[None])
        for sent in transmit(model.denoiser, model.schedule, x, noise):
            row[sent.step.index] = float(sent.bits.sum()) / x[0, 0].numel()
            mse = float(((sent.x_hat.clamp(-1, 1) - x) * 127.5).square().mean())
            picture_row[sent.step.index] = 10 * np.log10(255**2 / mse)
    # Other noise moves the means: those of the last steps by some 0.1 %, those of the first by a few times as much.
    assert rates.mean(0).cumsum() == pytest.approx(rates_bpp, rel=0.02)
    assert quality.mean(0)[1:] == pytest.approx(psnr_db, abs=0.1)

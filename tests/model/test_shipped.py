"""The models in the package agree with their model cards."""

from pathlib import Path

import numpy as np
import pytest
import torch

from uqdm.banded import model as banded
from uqdm.codec import get_codec
from uqdm.diffusion.images import to_data
from uqdm.diffusion.process import transmit
from uqdm.model import zoo
from uqdm.model.checkpoint import WEIGHTS
from uqdm.model.files import BANDED_FORMAT, REFINE_FORMAT
from uqdm.progressive import load_model
from uqdm.refine import model as refine_models
from uqdm.transform import zoo as transform_zoo
from uqdm.transform.quantization import ROUNDING

pytestmark = pytest.mark.slow

SIZE_LIMIT = 2 * 2**20


@pytest.mark.parametrize("name", zoo.shipped_names())
def test_shipped_models_are_small_and_have_a_card(name):
    folder = zoo.find(name)
    assert (folder / WEIGHTS).stat().st_size <= SIZE_LIMIT
    card = (folder / "README.md").read_text()
    is_banded = zoo.format_named(name) == BANDED_FORMAT
    model = banded.load(folder) if is_banded else zoo.load_named(name)
    assert f"{model.n_parameters:,}" in card
    assert f"config/train/{name}.yaml" in card
    assert (Path(__file__).parents[2] / "config" / "train" / f"{name}.yaml").is_file()


# Cumulative ideal bpp and PSNR of x_hat of the first 40 images, as the cards' figures of 200 were measured.
CARDS = {
    "uqdm-pixel": ("imagenet64-sample.npz", "eval", [0.500, 1.731, 5.623, 13.373], [21.15, 29.16, 42.22]),
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


# Of uqdm-demo's first 3 images, measured with the card's 200: mean bits of the prefix, and PSNR in dB, by step.
BANDS_CARD = {1: (309.333, 19.877), 4: (1485.333, 25.3794), 7: (18810.667, 43.5555), None: (46936.0, np.inf)}


@pytest.mark.shared
def test_files_of_the_shipped_model_in_bands_are_as_measured(shared):
    images = np.load(shared / "data" / "imagenet64-sample.npz")["eval"][:3]
    model = load_model("uqdm-demo")
    files = model.compress(images)
    for step, (bits, psnr_db) in BANDS_CARD.items():
        # Files and pictures are the same on every machine: the networks run in float64, and outputs are rounded.
        assert np.mean([8 * model.prefix(file, step).n_bytes for file in files]) == pytest.approx(bits, abs=1e-3)
        errors = ((model.decompress(files, step).astype(float) - images) ** 2).mean((1, 2, 3))
        with np.errstate(divide="ignore"):
            assert np.mean(10 * np.log10(255**2 / errors)) == pytest.approx(psnr_db, abs=1e-3)


@pytest.mark.parametrize("name", zoo.shipped_of(REFINE_FORMAT))
def test_shipped_second_stages_are_small_and_have_a_card(name):
    folder = zoo.SHIPPED / name
    assert (folder / WEIGHTS).stat().st_size <= SIZE_LIMIT
    weights = sum(value.numel() for value in refine_models.load(folder).network.parameters())
    card = (folder / "README.md").read_text()
    assert f"{weights:,}" in card
    assert f"config/train/{name}.yaml" in card


# Rates of files, bpp, and PSNR, dB, by quality, of the first 40 images; the card has those of 200.
TRANSFORM_CARD = {
    "hyperprior": {1: (0.0841, 20.593), 4: (0.4357, 25.973), 8: (2.6545, 35.671)},
    "uq-ntc": {1: (0.3002, 20.660), 4: (0.6655, 25.896), 8: (2.8385, 35.477)},
}


def test_the_shipped_transform_is_small_and_has_a_card():
    folder = transform_zoo.find("ntc-demo")
    assert (folder / WEIGHTS).stat().st_size <= SIZE_LIMIT
    weights = sum(value.numel() for value in transform_zoo.load_named("ntc-demo", ROUNDING).transforms.parameters())
    card = (folder / "README.md").read_text()
    assert f"{weights:,}" in card
    assert "config/train/ntc-demo.yaml" in card


@pytest.mark.shared
@pytest.mark.parametrize("name", TRANSFORM_CARD)
def test_files_of_the_shipped_transform_are_as_measured(shared, name):
    images = list(np.load(shared / "data" / "imagenet64-sample.npz")["eval"][:40])
    for quality, (rate_bpp, psnr_db) in TRANSFORM_CARD[name].items():
        codec = get_codec(name, quality=quality)
        files = codec.encode(images)
        errors = [((a.astype(float) - b) ** 2).mean() for a, b in zip(codec.decode(files), images, strict=True)]
        # Latents near a boundary may be rounded to its other side elsewhere: a few symbols in 80,000.
        assert np.mean([8 * len(file) for file in files]) / 64**2 == pytest.approx(rate_bpp, rel=1e-3)
        assert np.mean(10 * np.log10(255**2 / np.array(errors))) == pytest.approx(psnr_db, abs=0.01)

"""The Gaussian twin as an ideal codec: rates are terms of the bound, pictures are reproducible, and it has no files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ideal_models import STEPWISE, UNET, model_folder

from uqdm.codec import NoFileError, ParameterError, StreamError, get_codec
from uqdm.diffusion import gaussian
from uqdm.diffusion.images import to_data
from uqdm.ideal import GaussianTwin
from uqdm.ideal.record import MAGIC, Record
from uqdm.interpolate import interpolate
from uqdm.model.checkpoint import load


@pytest.fixture(scope="module")
def unet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp("unet"), UNET)


@pytest.fixture(scope="module")
def images(photographs_uint8: list[np.ndarray]) -> list[np.ndarray]:
    return [photographs_uint8[0][:16, :8], photographs_uint8[1][:11, :13]]


def test_ideal_codec_has_rates_and_no_files(unet: Path, images: list[np.ndarray]) -> None:
    codec = get_codec("vdm", model=str(unet))
    assert codec.ideal
    assert not get_codec("uqdm").ideal
    with pytest.raises(NoFileError, match=r"vdm is an ideal codec: .* makes no files"):
        codec.encode(images)
    with pytest.raises(ParameterError, match="vdm is an ideal codec, and has no files"):
        interpolate(codec, 0.5)
    record = codec.encode_detailed(images)[0].stream
    assert record.startswith(b"uqdm ideal record 1: original pixels and a seed, no bitstream\n")
    assert codec.suffix == ".ideal-record"
    assert {point.n_bytes for point in codec.points(record)} == {len(record)}  # no prefix of it shows anything
    assert codec.black_pixel_bits is None


@pytest.mark.parametrize("n_steps", [0, 1, 7])
@pytest.mark.parametrize("deviation", ["posterior", "matched"])
def test_ideal_bits_are_the_terms_of_the_bound(
    unet: Path, images: list[np.ndarray], n_steps: int, deviation: str
) -> None:
    codec = get_codec("vdm", model=str(unet), steps=n_steps, deviation=deviation, points=0, seed=3)
    model = load(unet)
    twin = GaussianTwin(model, n_steps or None, deviation=deviation)
    for encoded, image in zip(codec.encode_detailed(images), images, strict=True):
        batch = list(twin._tiles(image))
        x = to_data(np.stack([tile.pixels_uint8 for tile in batch]))
        schedule = model.schedule_at(n_steps or 4)
        bound = gaussian.nelbo(model.denoiser, schedule, x, twin._noise(batch, 3), deviation=deviation)
        names = [*(f"step {step}" for step in range(schedule.n_steps + 1)), "lossless"]
        expected = dict(zip(names, bound.progressive.sum(0).tolist(), strict=True))
        assert encoded.ideal_bits == pytest.approx(expected, rel=1e-4)  # float32 networks in batches of other sizes


def test_z_t_from_the_prior_is_free_and_from_the_data_is_not(unet: Path, images: list[np.ndarray]) -> None:
    free, paid = (
        get_codec("vdm", model=str(unet), start=start).encode_detailed(images)[0].ideal_bits["step 0"]
        for start in ("prior", "posterior")
    )
    assert free == 0 < paid


def test_rates_and_pictures_do_not_depend_on_the_batch(unet: Path, images: list[np.ndarray]) -> None:
    codec = get_codec("vdm", model=str(unet), steps=3)
    both, alone = codec.encode_detailed(images), codec.encode_detailed(images[1:])
    assert both[1].ideal_bits == alone[0].ideal_bits  # to the last bit
    first, again = (list(codec.reconstructions(both[1].stream)) for _ in range(2))
    names = ["denoise", "ancestral", "flow"]
    expected = [(f"step {step}", name) for step in range(4) for name in names] + [("lossless", "exact")]
    assert [(one.point.name, one.name) for one in first] == expected
    assert all((one.image_uint8 == two.image_uint8).all() for one, two in zip(first, again, strict=True))
    assert (first[-1].image_uint8 == images[1]).all()
    assert [one.calls for one in first] == [1, 3, 3, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3]


def test_noise_differs_by_image_and_seed(unet: Path, images: list[np.ndarray]) -> None:
    twin = GaussianTwin(load(unet))
    tiles = [tile for image in images for tile in twin._tiles(image)]
    draws = [tile.noise(seed, index, (3, 8, 8)) for tile in tiles for seed in (0, 1) for index in (0, 1)]
    assert len(draws) == 24
    correlations = np.corrcoef(np.stack(draws).reshape(24, -1)) - np.eye(24)
    assert np.abs(correlations).max() < 5.5 / np.sqrt(192)  # of 192 values each; the largest of 276 pairs


def test_stepwise_networks_refuse_another_t(tmp_path: Path, images: list[np.ndarray]) -> None:
    folder = model_folder(tmp_path / "stepwise", STEPWISE)
    assert get_codec("vdm", model=str(folder)).values["steps"] == 4
    with pytest.raises(ParameterError, match="vdm: model stepwise has a network for each of its T = 4 steps"):
        get_codec("vdm", model=str(folder), steps=8)


def test_deviation_parameter_depends_on_the_process(unet: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="trained in the uniform process; take posterior, or matched"):
        get_codec("vdm", model=str(unet), deviation="predicted")
    folder = model_folder(tmp_path / "vdm", UNET, process="gaussian")
    get_codec("vdm", model=str(folder), deviation="predicted")
    with pytest.raises(ParameterError, match="trained in the gaussian process; take posterior, or predicted"):
        get_codec("vdm", model=str(folder), deviation="matched")


@pytest.mark.parametrize(
    ("points", "steps"), [(0, [0, 1, 2, 3, 4, 5]), (1, [0, 5]), (3, [0, 2, 5]), (9, [0, 1, 2, 3, 4, 5])]
)
def test_shows_the_requested_number_of_latents(unet: Path, points: int, steps: list[int]) -> None:
    codec = get_codec("vdm", model=str(unet), steps=5, points=points, reconstruct="denoise")
    found = [point.name for point in codec.points(b"")]
    assert found == [*(f"step {step}" for step in steps), "lossless"]


def test_invalid_records_are_refused() -> None:
    whole = Record(np.zeros((3, 5, 3), np.uint8), 9).pack()
    for damaged in (b"", whole[:40], whole[:70], whole[:-1], whole + b"\0", b"x" + whole[1:], MAGIC + bytes(16)):
        with pytest.raises(StreamError):
            Record.parse(damaged)


def test_samples_do_not_depend_on_global_torch_state(unet: Path, images: list[np.ndarray]) -> None:
    codec = get_codec("vdm", model=str(unet), steps=2, reconstruct="ancestral", points=1)
    record = codec.encode_detailed(images[:1])[0].stream
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        found.append(next(codec.reconstructions(record)).image_uint8)
    assert (found[0] == found[1]).all()

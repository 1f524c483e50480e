"""Files of the shipped model: lossless, self-contained, progressive, golden, and refused if damaged."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import uqdm
from uqdm.codec import StreamError
from uqdm.coding.container import CHUNK_TILES, parse
from uqdm.model import checkpoint

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def model():
    return uqdm.load_model("uqdm-pixel")


@pytest.fixture(scope="module")
def images(photographs_uint8):
    return np.stack(photographs_uint8[:4])


@pytest.fixture(scope="module")
def files(model, images):
    return model.compress(images)


def test_files_are_lossless(model, images, files):
    assert (model.decompress(files) == images).all()


def test_files_do_not_depend_on_their_batch(model, images, files):
    assert model.compress(images[2:3]) == files[2:3]
    assert model.compress(images[::-1]) == files[::-1]


def test_file_bits_are_just_above_ideal_bits(model, images):
    for made in model.compress_detailed(images):
        file_bits, ideal_bits = 8 * len(made.stream), made.ideal_bits[-1]
        # The last stage is free for this model; header, index, offsets and rounding cost some 500 bits.
        assert made.ideal_bits[-2] < file_bits < made.ideal_bits[-2] + 700
        assert made.ideal_bits == sorted(made.ideal_bits)
        assert file_bits < ideal_bits


@pytest.mark.slow
def test_pictures_get_better_with_each_step(model, images, files):
    for image, file in zip(images, files, strict=True):
        pictures = list(model.pictures(file))
        assert [picture.step for picture in pictures] == [0, 1, 2, 3, 4, None]
        errors = [float(((picture.image_uint8.astype(float) - image) ** 2).mean()) for picture in pictures]
        assert errors == sorted(errors, reverse=True)
        assert errors[-1] == 0
        for picture in pictures:
            assert (model.decompress([file], picture.step)[0] == picture.image_uint8).all()


def test_a_cut_file_decodes_to_its_whole_steps(model, files):
    container = parse(files[0])
    for step in range(1, 4):
        end = container.stage_end(step)
        whole = model.decompress(files[:1], step)
        assert (model.decompress([files[0][:end]]) == whole).all()
        assert (model.decompress([files[0][: end + 1]]) == whole).all()
        with pytest.raises(StreamError, match=f"holds {step - 1} whole steps, not {step}"):
            model.decompress([files[0][: end - 1]], step)
    with pytest.raises(StreamError, match="cut inside step 1"):
        model.decompress([files[0][: container.stage_end(1) - 1]])
    assert model.decompress([files[0][: container.stage_end(1) - 1]], 0).shape == (1, 64, 64, 3)


@dataclass(frozen=True)
class Golden:
    """A stored file with the first digits of the digests of its model, of itself and of all its pictures."""

    file: str
    model: str
    model_sha256: str
    file_sha256: str
    pictures_sha256: str


GOLDEN = [
    Golden(
        "golden-v1.uqdm",
        str(HERE / "golden-v1-model"),  # the shipped model of former times: one section, not bounded
        "50ee1121149929a6",
        "a77b5667dde7d5ff0e7e0d6d7397e30d",
        "df47ab87d2523cb33822b9783b0e69a5",
    ),
    Golden(
        "golden-pixel.uqdm",
        "uqdm-pixel",
        "e8e0ef64a823f89d",
        "9444ce51bfab7046fac74f8bef65245b",
        "4d3a6d47b3100462927aa5fa449fd528",
    ),
]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.file)
def test_a_stored_file_decodes_to_the_pictures_it_was_made_with(golden):
    # The files were written once and are kept; whatever changes what they decode to is a new version of the format.
    # (An encoder's bytes may differ between machines in the offsets that it picks: what they decode to may not.)
    model, file = uqdm.load_model(golden.model), (HERE / golden.file).read_bytes()
    pictures = b"".join(picture.image_uint8.tobytes() for picture in model.pictures(file))
    assert model.model.sha256.startswith(golden.model_sha256)
    assert hashlib.sha256(file).hexdigest().startswith(golden.file_sha256)
    assert hashlib.sha256(pictures).hexdigest().startswith(golden.pictures_sha256)


@pytest.mark.slow
@pytest.mark.parametrize(("height", "width"), [(1, 1), (70, 130), (33, 1000)])
def test_images_of_any_size_round_trip(model, height, width):
    rng = np.random.default_rng(height)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    (file,) = model.compress([image])
    assert len(parse(file).header.chunks) == -(-parse(file).header.n_tiles // CHUNK_TILES)
    assert (model.decompress([file])[0] == image).all()
    assert model.decompress([file], 2).shape == (1, height, width, 3)


def test_images_of_different_sizes_decode_to_a_list(model):
    images = [np.full((n, 9, 3), n, np.uint8) for n in (3, 80)]
    found = model.decompress(model.compress(images))
    assert all((a == b).all() for a, b in zip(found, images, strict=True))


def test_seeds_change_the_file_and_are_stored_in_it(model, images):
    (other,) = model.compress(images[:1], seed=5)
    assert other != model.compress(images[:1])[0]
    assert parse(other).header.seed == 5
    (best,) = model.compress(images[:1], seed=5, seeds=8)
    assert (model.decompress([other, best]) == images[:1]).all()
    with pytest.raises(ValueError, match="power of two"):
        model.compress(images[:1], seeds=3)


def test_a_file_of_another_model_is_refused(model, files, tmp_path):
    config = {
        "image_size": 64,
        "schedule": {"slope": 18.21, "gamma_max": 6.0, "n_steps": 4},
        "denoiser": {"kind": "stepwise", "widths": [4, 4, 4], "dilations": [[1], [1], [1]]},
    }
    torch.manual_seed(0)
    checkpoint.save(tmp_path / "other", config, checkpoint.build(config)[0])
    with pytest.raises(StreamError, match=f"made with model {model.model.sha256[:6]}, not with other"):
        uqdm.load_model(tmp_path / "other").decompress(files)


@pytest.mark.slow
def test_damaged_files_never_decode_to_a_wrong_lossless_picture(model, images, files):
    rng = np.random.default_rng(0)
    for _ in range(100):
        data = bytearray(files[0])
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        with pytest.raises(StreamError):
            model.decompress([bytes(data)])


@pytest.mark.parametrize("junk", [b"", b"U", b"UQ", b"UQ\x01", b"UQ\x04abcdefgh", b"\x89PNG\r\n", bytes(100)])
def test_foreign_bytes_are_refused(model, junk):
    with pytest.raises(StreamError, match=r"ends inside|not a UQDM file|version 4"):
        model.decompress([junk])


def test_unknown_step_or_reconstruction_is_refused(model, files):
    with pytest.raises(ValueError, match="step=5"):
        model.decompress(files, 5)
    with pytest.raises(ValueError, match="choose one of denoise, ancestral, flow"):
        model.decompress(files, 2, "magic")


def test_sampled_pictures_are_seeded_and_do_not_depend_on_the_batch(model, files):
    for kind in ("ancestral", "flow"):
        together = model.decompress(files, 2, kind)
        # Floats of another batch size may round to another level here and there; nothing more.
        alone = model.decompress(files[1:2], 2, kind)[0]
        assert np.abs(together[1].astype(int) - alone).max() <= 1
    first, again, other = (model.decompress(files[:1], 1, "ancestral", noise_seed=seed) for seed in (0, 0, 1))
    assert (first == again).all()
    assert np.abs(first.astype(int) - other).mean() > 1


def test_pictures_of_all_reconstructions_share_network_calls(model, files, monkeypatch):
    calls = []
    predictor = model.predictor()
    model.pictures(files[0])  # the first step's outputs are kept from here on
    begin = predictor.denoiser.begin
    monkeypatch.setattr(predictor.denoiser, "begin", lambda z, step: calls.append(step.index) or begin(z, step))
    model.pictures(files[0], ("denoise", "ancestral", "flow"))
    # 3 of coding (the first is kept), and 3 + 2 + 1 for each of the other two ways, whose first calls coding made.
    assert len(calls) == 15


def test_salvage_decodes_the_steps_before_the_damage(model, files):
    container = parse(files[0])
    for step in (2, 3, 4):
        data = bytearray(files[0])
        data[container.stage_end(step - 1) + 40] ^= 8
        picture, reason = model.salvage(bytes(data))
        assert picture.step == step - 1
        assert f"step {step}" in reason
        assert (picture.image_uint8 == model.decompress(files[:1], step - 1)[0]).all()
    picture, reason = model.salvage(files[0])
    assert (picture.step, reason) == (None, "nothing")
    picture, reason = model.salvage(files[0][:-1])
    assert picture.step == 3
    assert "cut" in reason
    data = bytearray(files[0])
    data[container.stage_end(0) + 10] ^= 1
    with pytest.raises(StreamError, match="nothing can be saved"):
        model.salvage(bytes(data))


def test_progress_counts_tiles_to_the_end(model):
    seen = []
    image = np.zeros((130, 130 * 4, 3), np.uint8)
    model.compress([image], report=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (27, 27)
    assert len(seen) == 2


def test_the_published_tiny_model_codes_losslessly(shared):
    tiny = uqdm.load_model(shared / "checkpoints" / "uqdm-tiny")
    images = np.load(shared / "data" / "imagenet64-sample.npz")["eval"][:2]
    made = tiny.compress_detailed(images, seeds=2)
    assert (tiny.decompress([item.stream for item in made]) == images).all()
    for item in made:
        # The window of z_1 and z_0 saves more than all safeguards cost.
        assert 8 * len(item.stream) < item.ideal_bits[-1]

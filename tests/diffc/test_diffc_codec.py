"""The codec diffc: files of every point, prefixes, damaged files and wrong settings."""

import numpy as np
import pytest
import torch

from uqdm.channel.index_code import zipf_code
from uqdm.channel.prefix_code import gamma_bits
from uqdm.codec import ParameterError, StreamError, get_codec
from uqdm.diffc import chunks, coder, file
from uqdm.diffc.chunks import Limits
from uqdm.diffc.coder import GaussianCoder, _to_bytes
from uqdm.diffc.pictures import DiffC
from uqdm.diffusion.images import to_data
from uqdm.diffusion.levels import levels_of
from uqdm.model import checkpoint
from uqdm.model.checkpoint import Model, as_model
from uqdm.training.data.swirl import swirl_points

FOUR_STEPS = "uqdm-pixel"
"""A model of four steps, of which every file has all."""
UNET = {
    "image_size": 16,
    "schedule": {"slope": 14.0, "gamma_max": 5.0, "n_steps": 4},
    "denoiser": {"kind": "unet", "embedding_dim": 8, "n_blocks": 1, "norm_groups": 4},
}
POINTS = {
    "image_size": 1,
    "process": "gaussian",
    "levels": {"mean": [115.6, 135.3], "deviation": [47.2, 41.6]},
    "schedule": {"slope": 14.0, "gamma_max": 5.0, "n_steps": 40},
    "denoiser": {"kind": "points", "width": 16, "learned_scale": False},
}


def model_of(config: dict) -> Model:
    torch.manual_seed(0)
    return as_model("small", checkpoint.build(config)[0], config)


@pytest.fixture(scope="module")
def codec():
    return get_codec("diffc", model=FOUR_STEPS, chunk_bits=5, margin_bits=3)


@pytest.fixture(scope="module")
def patch(photographs_uint8):
    return photographs_uint8[0][8:16, 8:16]


@pytest.fixture(scope="module")
def encoded(codec, patch):
    return codec.encode_detailed([patch])[0]


def test_decoded_image_is_near_the_original(codec, patch, encoded):
    decoded = codec.decode([encoded.stream])[0]
    # gamma_min is -12.2: z_0's noise is a quarter of a level's spacing; few pixels differ by more than one level.
    assert np.abs(decoded.astype(int) - patch).max() <= 2
    assert codec.encode([patch]) == [encoded.stream]
    assert codec.encode([patch[:, ::-1].copy()]) != [encoded.stream]


def test_prefix_of_a_point_decodes_to_its_image(codec, encoded):
    points = codec.points(encoded.stream)
    assert [point.name for point in points] == [f"step {step}" for step in range(5)]
    assert [point.name for point in points] == list(encoded.ideal_bits)
    assert points[-1].n_bytes == len(encoded.stream)
    pictures = list(codec.reconstructions(encoded.stream))
    assert [picture.point for picture in pictures] == points
    for point, picture in zip(points, pictures, strict=True):
        prefix = encoded.stream[: point.n_bytes]
        assert np.array_equal(codec.decode([prefix])[0], picture.image_uint8)
    assert points[0].n_bytes == file.HEADER_BYTES


def test_file_size_is_within_four_times_the_ideal_bits(encoded):
    ideal = encoded.ideal_bits["step 4"]
    assert 1.2 * ideal < 8 * len(encoded.stream) < 4 * ideal


def test_all_reconstructions_are_returned(patch):
    codec = get_codec("diffc", model=FOUR_STEPS, reconstruct="all", send=2, margin_bits=4)
    (stream,) = codec.encode([patch])
    found = [(shown.point.name, shown.name, shown.calls) for shown in codec.reconstructions(stream)]
    assert found[:3] == [("step 0", "denoise", 1), ("step 0", "ancestral", 4), ("step 0", "flow", 4)]
    assert [name for name, _, _ in found] == ["step 0"] * 3 + ["step 1"] * 3 + ["step 2"] * 3


def test_image_of_any_size_round_trips():
    diffc = DiffC(model_of(UNET), limits=Limits(6, 1))
    image = np.random.default_rng(0).integers(0, 256, (17, 5, 3), np.uint8)
    decoded = diffc.decompress(diffc.compress(image).stream)
    # gamma_min is -9: noise of 1.4 levels, and more from searches that are this short.
    assert decoded.shape == image.shape
    assert np.abs(decoded.astype(int) - image).max() <= 16


def test_steps_of_little_divergence_are_merged():
    coder = GaussianCoder(model_of(UNET), 256, "posterior", Limits(8, 1))
    image = np.random.default_rng(0).integers(120, 136, (1, 8, 8, 3), np.uint8)
    sent = coder.send(to_data(image), seed=0, max_steps=1)
    (read,) = coder.read(b"".join(sent.steps), (1, 3, 8, 8), 1)
    # 192 coordinates are one block: the merged steps have at most one chunk together.
    assert read.taken > 1
    assert 4 < sent.ideal_bits[0] <= 8


def test_points_of_the_plane_round_trip():
    coder = GaussianCoder(model_of(POINTS), None, "posterior", Limits(4, 6))
    block = swirl_points(6, np.random.default_rng(0))
    x = levels_of(POINTS).to_data(block[:, None, None, :])
    sent = coder.send(x, seed=3)
    body = b"".join(sent.steps)
    latents = list(coder.receive(body, tuple(x.shape), 3, len(sent.steps)))
    last = latents[-1]
    assert last.opened is None
    z_0 = last.z_t / coder.schedule.step(39).alpha_s
    # gamma_min is -9: deviation 0.011, half a level here; none of 12 coordinates differs by 4 deviations.
    assert np.abs(levels_of(POINTS).nearest(z_0.double()).flatten(1).numpy() - block).max() <= 2
    assert sum(sent.ideal_bits) < 8 * len(body)


def test_damage_and_another_model_are_detected(codec, encoded):
    stream = encoded.stream
    for wrong, match in [
        (b"xx" + stream[2:], "not a DiffC file"),
        (stream[:10], "inside its header"),
        (stream[:2] + b"\x09" + stream[3:], "version 9"),
        (stream[:12] + bytes([stream[12] ^ 1]) + stream[13:], "header is damaged"),
        (stream[:-1] + bytes([stream[-1] ^ 1]), "check value"),
        (stream + b"\0", "follow the last step"),
    ]:
        with pytest.raises(StreamError, match=match):
            codec.decode([wrong])
    with pytest.raises(StreamError, match="another model than uqdm-cifar"):
        get_codec("diffc", model="uqdm-cifar").decode([stream])


def test_decoder_uses_the_settings_of_the_file(codec, encoded):
    other = get_codec("diffc", model=FOUR_STEPS)  # with other chunks
    assert other.values["chunk_bits"] != codec.values["chunk_bits"]
    assert (other.decode([encoded.stream])[0] == codec.decode([encoded.stream])[0]).all()


def test_flipped_bits_of_the_steps_are_detected(codec, encoded):
    # A flip makes the steps invalid, or the check value differ, or the file look like a prefix.
    rng = np.random.default_rng(0)
    for _ in range(8):
        place = int(rng.integers(file.HEADER_BYTES, len(encoded.stream)))
        wrong = bytearray(encoded.stream)
        wrong[place] ^= 1 << int(rng.integers(8))
        try:
            ends = codec._diffc.step_ends(bytes(wrong))
        except StreamError:
            continue
        assert len(ends) < 5  # read as a prefix of a longer file


def test_forged_headers_are_refused(codec, encoded):
    header, body = file.parse(encoded.stream)
    huge = file.Header(**{**vars(header), "width": 65535, "height": 65535})
    with pytest.raises(StreamError, match="exceed the limit"):
        codec.decode([file.pack(huge, [body])])
    many = file.Header(**{**vars(header), "n_steps": 5})
    with pytest.raises(StreamError, match="out of range"):
        codec.decode([file.pack(many, [body])])
    jumping = file.pack(header, [_to_bytes(gamma_bits(2) + "0" * 80)])
    with pytest.raises(StreamError, match="merges 2 steps"):
        codec.decode([jumping])


def test_wrong_settings_are_refused():
    with pytest.raises(ParameterError, match="keep to its own T"):
        get_codec("diffc", model=FOUR_STEPS, steps=100)
    with pytest.raises(ValueError, match="of points"):
        DiffC(model_of(POINTS))


def test_work_of_a_small_forged_file_is_bounded(codec, encoded):
    """The message has the last candidate that the widest limits allow."""
    header, _ = file.parse(encoded.stream)
    widest = file.Header(**{**vars(header), "chunk_bits": 16, "margin_bits": 15, "n_steps": 1})
    code = zipf_code(0.0, 1 << 31)
    message = "1" + "0000" + "00000000" + "0" + code.encode((1 << 31) - 1)
    stream = file.pack(widest, [_to_bytes(message)])
    assert len(stream) < 40
    _, body, coder = codec._diffc._parse(stream)
    (step,) = coder.read(body, (1, 3, 8, 8), 1)
    assert sum(map(chunks.numbers_of, step.sections)) <= 1 << 18
    assert codec.decode([stream])[0].shape == (8, 8, 3)


def test_files_of_too_many_random_numbers_are_refused(codec, encoded, monkeypatch):
    monkeypatch.setattr(coder, "MAX_NUMBERS", 1000)
    with pytest.raises(StreamError, match="more than 1000 random numbers"):
        codec.decode([encoded.stream])

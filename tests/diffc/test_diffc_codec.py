"""The codec diffc: real files of every point, prefixes, damage, and what it refuses."""

import numpy as np
import pytest
import torch
from deadline import no_hang

from uqdm.channel.index_code import zipf_code
from uqdm.channel.prefix_code import gamma_bits
from uqdm.codec import ParameterError, StreamError, get_codec
from uqdm.diffc import coder, file
from uqdm.diffc.chunks import Limits
from uqdm.diffc.coder import GaussianCoder, _to_bytes
from uqdm.diffc.pictures import DiffC
from uqdm.diffusion.images import to_data
from uqdm.diffusion.levels import levels_of
from uqdm.model import checkpoint
from uqdm.model.checkpoint import Model, as_model
from uqdm.training.data.swirl import swirl_points

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
    return get_codec("diffc", chunk_bits=5, margin_bits=3)


@pytest.fixture(scope="module")
def patch(photographs_uint8):
    return photographs_uint8[0][8:16, 8:16]


@pytest.fixture(scope="module")
def encoded(codec, patch):
    return codec.encode_detailed([patch])[0]


def test_files_are_real_and_hold_nearly_the_picture(codec, patch, encoded):
    decoded = codec.decode([encoded.stream])[0]
    # gamma_min is -12.2: z_0's noise is a quarter of a level's spacing, so that hardly a pixel is off by more than one.
    assert np.abs(decoded.astype(int) - patch).max() <= 2
    assert codec.encode([patch]) == [encoded.stream]
    assert codec.encode([patch[:, ::-1].copy()]) != [encoded.stream]


def test_points_are_prefixes_that_decode_to_their_pictures(codec, encoded):
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


def test_files_take_more_than_the_ideal_bits_and_not_wildly_more(encoded):
    ideal = encoded.ideal_bits["step 4"]
    assert 1.2 * ideal < 8 * len(encoded.stream) < 4 * ideal


def test_every_reconstruction_is_there(patch):
    codec = get_codec("diffc", reconstruct="all", send=2, margin_bits=4)
    (stream,) = codec.encode([patch])
    found = [(shown.point.name, shown.name, shown.calls) for shown in codec.reconstructions(stream)]
    assert found[:3] == [("step 0", "denoise", 1), ("step 0", "ancestral", 4), ("step 0", "flow", 4)]
    assert [name for name, _, _ in found] == ["step 0"] * 3 + ["step 1"] * 3 + ["step 2"] * 3


def test_pictures_of_any_size_are_cut_into_tiles():
    diffc = DiffC(model_of(UNET), limits=Limits(6, 1))
    image = np.random.default_rng(0).integers(0, 256, (17, 5, 3), np.uint8)
    decoded = diffc.decompress(diffc.compress(image).stream)
    # gamma_min is -9: noise of 1.4 levels, and more where so short a search ends.
    assert decoded.shape == image.shape
    assert np.abs(decoded.astype(int) - image).max() <= 16


def test_steps_are_merged_where_there_is_little_to_say():
    coder = GaussianCoder(model_of(UNET), 256, "posterior", Limits(8, 1))
    image = np.random.default_rng(0).integers(120, 136, (1, 8, 8, 3), np.uint8)
    sent = coder.send(to_data(image), seed=0, max_steps=1)
    (read,) = coder.read(b"".join(sent.steps), (1, 3, 8, 8), 1)
    # 192 coordinates are one block: together, the steps of the schedule that were taken at once are a chunk at most.
    assert read.taken > 1
    assert 4 < sent.ideal_bits[0] <= 8


def test_points_of_the_plane_are_sent_in_blocks():
    coder = GaussianCoder(model_of(POINTS), None, "posterior", Limits(4, 6))
    block = swirl_points(6, np.random.default_rng(0))
    x = levels_of(POINTS).to_data(block[:, None, None, :])
    sent = coder.send(x, seed=3)
    body = b"".join(sent.steps)
    latents = list(coder.receive(body, tuple(x.shape), 3, len(sent.steps)))
    last = latents[-1]
    assert last.opened is None
    z_0 = last.z_t / coder.schedule.step(39).alpha_s
    # gamma_min is -9: deviation 0.011, half a level here; of 12 coordinates none is 4 deviations off.
    assert np.abs(levels_of(POINTS).nearest(z_0.double()).flatten(1).numpy() - block).max() <= 2
    assert sum(sent.ideal_bits) < 8 * len(body)


def test_the_file_tells_damage_and_another_model(codec, encoded):
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


def test_a_file_tells_the_settings_that_it_was_made_with(codec, encoded):
    other = get_codec("diffc")  # of other chunks
    assert other.values["chunk_bits"] != codec.values["chunk_bits"]
    assert (other.decode([encoded.stream])[0] == codec.decode([encoded.stream])[0]).all()


def test_flipped_bits_of_the_steps_are_told_or_out_of_place(codec, encoded):
    # Any flip leaves either steps that make no sense, or a check value that differs, or steps of another length.
    rng = np.random.default_rng(0)
    for _ in range(8):
        place = int(rng.integers(file.HEADER_BYTES, len(encoded.stream)))
        wrong = bytearray(encoded.stream)
        wrong[place] ^= 1 << int(rng.integers(8))
        try:
            ends = codec._diffc.step_ends(bytes(wrong))
        except StreamError:
            continue
        assert len(ends) < 5  # taken for a prefix of a longer file


def test_forged_headers_are_bounded(codec, encoded):
    header, body = file.parse(encoded.stream)
    huge = file.Header(**{**vars(header), "width": 65535, "height": 65535})
    with pytest.raises(StreamError, match="exceed the limit"):
        codec.decode([file.pack(huge, [body])])
    many = file.Header(**{**vars(header), "n_steps": 5})
    with pytest.raises(StreamError, match="out of range"):
        codec.decode([file.pack(many, [body])])
    jumping = file.pack(header, [_to_bytes(gamma_bits(2) + "0" * 80)])
    with pytest.raises(StreamError, match="2 steps at once"):
        codec.decode([jumping])


def test_wrong_settings_are_refused():
    with pytest.raises(ParameterError, match="keep to its own T"):
        get_codec("diffc", steps=100)
    with pytest.raises(ValueError, match="of points"):
        DiffC(model_of(POINTS))


def test_a_few_bytes_cannot_ask_for_much_work(codec, encoded, monkeypatch):
    """A message may name any candidate, and a header the widest limits: the random numbers drawn have a bound."""
    monkeypatch.setattr(coder, "MAX_NUMBERS", 1 << 19)
    header, _ = file.parse(encoded.stream)
    widest = file.Header(**{**vars(header), "chunk_bits": 16, "margin_bits": 15, "n_steps": 1})
    code = zipf_code(0.0, 1 << 31)
    message = "1" + "0000" + "00000000" + "0" + code.encode((1 << 31) - 1)
    stream = file.pack(widest, [_to_bytes(message)])
    assert len(stream) < 40
    with no_hang():
        assert codec.decode([stream])[0].shape == (8, 8, 3)


def test_messages_that_ask_for_too_many_random_numbers_are_refused(codec, encoded, monkeypatch):
    monkeypatch.setattr(coder, "MAX_NUMBERS", 1000)
    with pytest.raises(StreamError, match="ask for more than 1000 random numbers"):
        codec.decode([encoded.stream])

"""The codecs ddcm and turbo-ddcm: files, prefixes, rates, damaged files and wrong settings."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from ddcm_models import CONFIG, MULTISCALE, SCHEDULE, gaussian_model, model_folder, smooth_part

from uqdm.codec import Codec, ParameterError, StreamError, get_codec
from uqdm.coding.layout import pack_number
from uqdm.ddcm import file
from uqdm.ddcm.choice import Choice
from uqdm.ddcm.pictures import DDCM, Settings
from uqdm.diffusion.images import to_uint8
from uqdm.model import checkpoint
from uqdm.model.checkpoint import load

SHORT = {"codewords": 64, "steps": 5, "free": 2, "points": 0}
BOTH = {"turbo-ddcm": {**SHORT, "vectors": 3}, "ddcm": {**SHORT, "vectors": 2}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module", params=list(BOTH))
def codec(request: pytest.FixtureRequest, folder: Path) -> Codec:
    return get_codec(request.param, model=str(folder), reconstruct="all", **BOTH[request.param])


@pytest.fixture(scope="module")
def image(photographs_uint8: list[np.ndarray]) -> np.ndarray:
    return photographs_uint8[0][:33, :20]


@pytest.fixture(scope="module")
def stream(codec: Codec, image: np.ndarray) -> bytes:
    return codec.encode([image])[0]


def source_image(smooth: float, rough: float, side: int) -> np.ndarray:
    """A picture of the source of ``gaussian_model``, uint8 [side, side, 3]."""
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 3, side, side)))
    means = smooth_part(x)
    # Means of 16 standard normal values have a deviation of a quarter.
    return to_uint8(4 * smooth * means + rough * (x - means))[0]


def mean_square_error(first: np.ndarray, second: np.ndarray) -> float:
    return float(((first.astype(float) - second) ** 2).mean())


def test_prefix_of_a_point_decodes_to_its_picture(codec: Codec, image: np.ndarray, stream: bytes) -> None:
    points = codec.points(stream)
    assert [point.name for point in points] == [f"step {step}" for step in range(6)]
    assert points[-1].n_bytes == len(stream)
    pictures = [shown for shown in codec.reconstructions(stream) if shown.name == "denoise"]
    assert [picture.point for picture in pictures] == points
    for point, picture in zip(points, pictures, strict=True):
        prefix = stream[: point.n_bytes]
        assert np.array_equal(codec.decode([prefix])[0], picture.image_uint8)
        assert codec.points(prefix)[-1].name == point.name
        assert picture.image_uint8.shape == image.shape
    for point in points[1:]:  # a byte less is a step less
        assert codec.points(stream[: point.n_bytes - 1 - 2 * (point is points[-1])])[-1].name != point.name


def test_reconstructions_have_their_network_calls(codec: Codec, stream: bytes) -> None:
    found = list(codec.reconstructions(stream))
    assert [(shown.point.name, shown.name) for shown in found[:3]] == [
        ("step 0", "denoise"),
        ("step 0", "ancestral"),
        ("step 0", "flow"),
    ]
    # 5 coded and 2 free steps.
    assert [shown.calls for shown in found] == [calls for step in range(6) for calls in (step + 1, 7, 7)]
    assert len({shown.macs / shown.calls for shown in found if shown.macs and shown.calls}) == 1


def test_files_do_not_depend_on_the_other_images(
    codec: Codec, image: np.ndarray, stream: bytes, photographs_uint8: list[np.ndarray]
) -> None:
    others = [photographs_uint8[1][:16, :16], photographs_uint8[2][:9, :5], photographs_uint8[3][:40, :40]]
    made = codec.encode([others[0], image, *others[1:]])
    assert made[1] == stream
    assert made[2] == codec.encode([others[1]])[0]


def test_files_are_as_long_as_the_formula_says(codec: Codec, image: np.ndarray, stream: bytes) -> None:
    tiles, vectors = 6, codec.values["vectors"]
    header = 2 + 1 + 3 + 3 + 5 + 2 + 2  # the sizes and all settings are below 192
    if codec.name == "turbo-ddcm":
        choices = math.comb(64, vectors) * 2**vectors
    else:
        choices = 64**vectors * 8 ** (vectors - 1)
    bits = math.ceil(math.log2(choices))
    assert len(stream) == header + math.ceil(5 * tiles * bits / 8) + 2
    (encoded,) = codec.encode_detailed([image])
    assert encoded.stream == stream
    assert encoded.calls == 5
    assert encoded.seed == 0
    expected = {f"step {step}": step * tiles * math.log2(choices) for step in range(6)}
    assert encoded.ideal_bits == pytest.approx(expected, rel=1e-12)
    parts = codec.parts(stream)
    assert [parts[point.name].n_bytes for point in codec.points(stream)] == [p.n_bytes for p in codec.points(stream)]
    assert (parts["step 5"].container_bytes, parts["step 5"].side_bytes, parts["step 0"].side_bytes) == (16, 4, 2)


def test_points_are_spread_evenly(folder: Path, image: np.ndarray) -> None:
    codec = get_codec("ddcm", model=str(folder), codewords=64, steps=9, points=4, reconstruct="denoise")
    (encoded,) = codec.encode_detailed([image])
    assert list(encoded.ideal_bits) == ["step 0", "step 3", "step 6", "step 9"]
    assert [point.name for point in codec.points(encoded.stream)] == list(encoded.ideal_bits)


def test_steps_that_share_a_byte_are_one_point(folder: Path) -> None:
    codec = get_codec("ddcm", model=str(folder), codewords=4, steps=9, points=0, reconstruct="denoise")
    (encoded,) = codec.encode_detailed([np.zeros((16, 16, 3), np.uint8)])
    points = codec.points(encoded.stream)  # steps of 2 bits
    assert [point.name for point in points] == list(encoded.ideal_bits) == ["step 0", "step 4", "step 8", "step 9"]
    assert [codec.points(encoded.stream[: point.n_bytes])[-1].name for point in points] == list(encoded.ideal_bits)


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (8, 3), (17, 40)])
def test_images_of_any_size_are_coded(folder: Path, size: tuple[int, int]) -> None:
    codec = get_codec("turbo-ddcm", model=str(folder), codewords=16, vectors=2, steps=3, free=1, seed=7)
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    (stream,) = codec.encode([picture])
    assert codec.decode([stream])[0].shape == picture.shape
    assert codec.encode_detailed([picture])[0].seed == 7


def test_decoder_uses_the_settings_of_the_file(codec: Codec, folder: Path, stream: bytes) -> None:
    decoded = codec.decode([stream])[0]
    for name in BOTH:
        other = get_codec(name, model=str(folder), steps=2, seed=3, spacing=0, reconstruct="denoise")
        assert (other.decode([stream])[0] == decoded).all()


def test_more_bits_give_better_pictures() -> None:
    picture = source_image(0.5, 0.1, side=64)  # 16 tiles
    model = gaussian_model(0.5, 0.1)
    errors = []
    for vectors in (1, 4, 16, 48):
        # One last noise level for all: the default for a rate was fitted on photographs.
        ddcm = DDCM(model, Settings(word_bits=8, vectors=vectors, n_coded=10, n_free=4, gamma_end=-2.0))
        (made,) = ddcm.compress([picture])
        shown = [picture_.image_uint8 for picture_ in ddcm.pictures(made.stream, ("denoise",), steps=range(11))]
        errors.append(mean_square_error(shown[-1], picture))
        # Within a file, too. Half of the bits of a step are not lost: it has a share of at least a tenth.
        assert mean_square_error(shown[10], picture) < mean_square_error(shown[5], picture)
        assert mean_square_error(shown[5], picture) < mean_square_error(shown[0], picture)
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 4


def test_pursuit_of_more_vectors_gives_better_pictures() -> None:
    picture, model = source_image(0.5, 0.1, side=64), gaussian_model(0.5, 0.1)
    errors = []
    for vectors in (1, 2, 4):
        ddcm = DDCM(model, Settings(word_bits=8, coefficient_bits=3, vectors=vectors, n_coded=10, n_free=4))
        (made,) = ddcm.compress([picture])
        errors.append(mean_square_error(ddcm.decompress(made.stream), picture))
    assert errors == sorted(errors, reverse=True)


def test_damage_and_another_model_are_detected(codec: Codec, stream: bytes, tmp_path: Path) -> None:
    for wrong, match in [
        (b"xx" + stream[2:], "not a DDCM file"),
        (b"", "not a DDCM file"),
        (stream[:7], "inside its header"),
        (stream[:15], "inside its header"),
        (stream[:2] + b"\x09" + stream[3:], "version 9"),
        (stream[:12] + bytes([stream[12] ^ 1]) + stream[13:], "header is damaged"),
        (stream[:-1] + bytes([stream[-1] ^ 1]), "check value"),
        (stream[:25] + bytes([stream[25] ^ 1]) + stream[26:], "check value"),
        (stream + b"\0", "follow the last step"),
    ]:
        with pytest.raises(StreamError, match=match):
            codec.decode([wrong])
        with pytest.raises(StreamError, match=match):
            codec.points(wrong)
    other = model_folder(tmp_path / "other", denoiser={**MULTISCALE, "embedding": 12})
    with pytest.raises(StreamError, match="another model than other"):
        get_codec(codec.name, model=str(other)).decode([stream])


def header_of(ddcm: DDCM, **changes: int) -> file.Header:
    return file.Header(**{**vars(ddcm._header(16, 16, 0)), **changes})


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"width": 65535, "height": 65535}, "exceed the limit"),
        ({"vectors": 65, "word_bits": 6}, "cannot be chosen from 64"),
        ({"vectors": 1025}, "vectors 1025 is out of range"),
        ({"coefficient_bits": 9}, "coefficient_bits 9 is out of range"),
        ({"n_coded": 4097}, "n_coded 4097 is out of range"),
        ({"n_free": 0}, "n_free 0 is out of range"),
        ({"depth": 255}, "beyond the model's last noise level"),
        ({"spacing": 255, "depth": 100, "n_coded": 4096}, "too close"),
        ({"tile_size": 0}, "tile_size 0 is out of range"),
        ({"tile_size": 24, "width": 24, "height": 24}, "tiles of 24 pixels are not model"),
        ({"tile_size": 10, "width": 10, "height": 10}, "tiles of 10 pixels are not model"),
        ({"vectors": 1024, "n_coded": 4096, "width": 1500, "height": 900}, "random numbers"),
    ],
)
def test_forged_headers_are_refused(folder: Path, changes: dict[str, int], match: str) -> None:
    ddcm = DDCM(load(folder), Settings(word_bits=12))
    forged = header_of(ddcm, **changes)
    # Written field by field, as pack would refuse none of them, but needs choices.
    numbers = [forged.vectors, forged.n_coded, forged.n_free, forged.depth, forged.spacing]
    numbers += [forged.width, forged.height]
    kinds = bytes([(forged.word_bits - 1) << 4 | forged.coefficient_bits, forged.tile_size, 1])
    head = b"DM\1" + forged.model_id + kinds + b"".join(map(pack_number, numbers))
    for decode in (ddcm.parse, ddcm.decompress):
        with pytest.raises(StreamError, match=match):
            decode(head + file._crc(head))


def test_unknown_flags_are_refused(folder: Path) -> None:
    head = b"DM\1abc" + bytes([0xB0, 16, 4, 1, 1, 1, 1, 1])
    with pytest.raises(StreamError, match="flags 4 are unknown"):
        DDCM(load(folder)).parse(head + file._crc(head))


def test_subsets_out_of_range_are_refused(folder: Path) -> None:
    ddcm = DDCM(load(folder), Settings(word_bits=4, vectors=3, n_coded=2))
    header = ddcm._header(16, 16, 0)
    whole = file.pack(header, [[Choice((0, 1, 2), (0, 0, 0))]] * 2)
    begin = ddcm.parse(whole).header_bytes
    body = b"\xff\xff\xff\xff"
    with pytest.raises(StreamError, match="the steps are damaged: no subset of 3 of 16 has the number"):
        ddcm.decompress(whole[:begin] + body + file._crc(body))


def test_golden_file_of_given_choices() -> None:
    """The bytes and the noise of given choices are an interface: a change is a new format version."""
    header = file.Header(bytes.fromhex("c0ffee"), 12, 0, 16, 3, 2, 8, 64, 65, 20, 16, 5)
    steps = [
        [Choice((0, 1, 4095), (1, 0, 1)), Choice((7, 8, 9), (0, 0, 0))],
        [Choice((4093, 4094, 4095), (1, 1, 1)), Choice((0, 1, 2), (0, 1, 0))],
    ]
    data = file.pack(header, steps)
    assert data.hex() == "444d01c0ffeeb01003030208404114100528f1aa6ab1ffe8000000ee2aa2aafffe00000000202ca2"
    parsed = file.parse(data)
    assert (parsed.header, parsed.steps()) == (header, steps)
    pursuit = file.Header(bytes.fromhex("c0ffee"), 8, 3, 16, 2, 1, 8, 64, 65, 16, 16, 0)
    data = file.pack(pursuit, [[Choice((200, 3), (0, 5))]])
    assert data.hex() == "444d01c0ffee73100002010840417867c803a0a373"


def test_wrong_settings_are_refused(folder: Path, tmp_path: Path) -> None:
    for wrong, match in [
        ({"gamma_end": 7.0}, "depth -8 is out of range"),
        ({"gamma_end": -12.5}, "beyond the model's last noise level"),
        ({"codewords": 100}, "choose one of 2, 4, 8"),
        ({"codewords": 4, "vectors": 5}, "5 different codewords cannot be chosen from 4"),
        ({"steps": 4000, "spacing": 2.5, "gamma_end": -10.0}, "too close"),
    ]:
        with pytest.raises(ParameterError, match=match):
            get_codec("turbo-ddcm", model=str(folder), **wrong)
    with pytest.raises(ParameterError, match="has no parameter 'coefficient_bits'"):
        get_codec("turbo-ddcm", model=str(folder), coefficient_bits=2)
    stepwise = {"kind": "stepwise", "widths": [4, 4, 4], "dilations": [[1], [1], [1]]}
    with pytest.raises(ParameterError, match="a network for each of its steps; take a model of one network"):
        get_codec("ddcm", model=str(model_folder(tmp_path / "stepwise", denoiser=stepwise)))
    points = {"kind": "points", "width": 16, "learned_scale": False}
    with pytest.raises(ParameterError, match="of points, not of images"):
        get_codec("ddcm", model=str(model_folder(tmp_path / "points", denoiser=points, image_size=1)))


def test_models_of_the_uniform_process_are_taken(tmp_path: Path) -> None:
    unet = {"kind": "unet", "embedding_dim": 8, "n_blocks": 1, "norm_groups": 2}
    path = model_folder(tmp_path / "uniform", denoiser=unet, process="uniform")
    codec = get_codec("turbo-ddcm", model=str(path), codewords=16, vectors=2, steps=3, free=1, reconstruct="all")
    (stream,) = codec.encode([np.zeros((8, 8, 3), np.uint8)])
    assert len(list(codec.reconstructions(stream))) == 3 * 4


def test_overflowing_weights_are_reported(tmp_path: Path) -> None:
    config = {**CONFIG, "schedule": SCHEDULE}
    denoiser = checkpoint.build(config)[0]
    for value in denoiser.state_dict().values():
        value.fill_(1e38)
    checkpoint.save(tmp_path / "large", config, denoiser)
    codec = get_codec("ddcm", model=str(tmp_path / "large"))
    with pytest.raises(ValueError, match="model large: its outputs for an image are NaN or infinite"):
        codec.encode([np.zeros((8, 8, 3), np.uint8)])


def test_versions_name_the_method_and_the_model(folder: Path) -> None:
    for name, start in (("ddcm", "DDCM of small sha256:"), ("turbo-ddcm", "TurboDDCM of small sha256:")):
        codec = get_codec(name, model=str(folder))
        assert codec.version == type(codec).version_of(model=str(folder))
        assert codec.version.startswith(start)

"""Guards files of codecs `hyperprior` and `uq-ntc` with the project's own models: exact, slim, and safe."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from small_transform import LEVELS, save_small_transform

from uqdm.bench.datasets import open_dataset
from uqdm.codec import ParameterError, StreamError
from uqdm.model.files import CheckpointError
from uqdm.model.zoo import find
from uqdm.transform import zoo
from uqdm.transform.folder import load
from uqdm.transform.quantization import QUANTIZATIONS, ROUNDING, UNIVERSAL
from uqdm_baselines.hyperprior import Hyperprior, UniversallyQuantized, latents, pictures
from uqdm_baselines.hyperprior.codec import TransformCodec, _model_id
from uqdm_baselines.hyperprior.file import MAX_PIXELS, SIZES, Header, parse

CODECS = (Hyperprior, UniversallyQuantized)
GOLDEN = Path(__file__).with_name("golden")
"""A model of test_transform_files.py, and a file of each codec by it, of the first image of ``demo``."""
GOLDEN_FILES = {"picture.hyperprior": Hyperprior, "picture.uqntc": UniversallyQuantized}


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    dataset = open_dataset("demo", 9)
    generator = np.random.default_rng(0)
    others = [generator.integers(0, 256, size, np.uint8) for size in ((37, 75, 3), (1, 1, 3), (130, 64, 3))]
    return [*(dataset.load(index) for index in range(9)), *others]


@pytest.fixture(scope="module")
def folder(images: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_small_transform(tmp_path_factory.mktemp("models") / "small", images[:4]))


@pytest.fixture(scope="module", params=CODECS)
def codec(request: pytest.FixtureRequest, folder: str) -> TransformCodec:
    made: TransformCodec = request.param(model=folder)
    return made


def header_of(codec: TransformCodec, file: bytes) -> tuple[Header, int]:
    return parse(file, codec.quantization, _model_id(codec._model))


@pytest.fixture(scope="module")
def stream(codec: TransformCodec, images: list[np.ndarray]) -> bytes:
    return codec.encode(images[:1])[0]


def test_images_of_any_size_come_back(codec: TransformCodec, images: list[np.ndarray]) -> None:
    decoded = codec.decode(codec.encode(images))
    assert [one.shape for one in decoded] == [one.shape for one in images]
    assert all(one.dtype == np.uint8 for one in decoded)


def test_files_and_bits_do_not_depend_on_the_batch(codec: TransformCodec, images: list[np.ndarray]) -> None:
    together = codec.encode_detailed(images)
    alone = [codec.encode_detailed([image])[0] for image in images]
    assert together == alone
    shown = codec.decode([made.stream for made in together])
    assert all(np.array_equal(codec.decode([made.stream])[0], own) for made, own in zip(alone, shown, strict=True))


def test_a_file_has_its_information_and_about_4_bytes(codec: TransformCodec, images: list[np.ndarray]) -> None:
    """Header 8 bits, check at most 18, the last byte less than 8.

    Deviations are rounded to 1/8 octave, which changes the bits of these images by up to 0.5 %: they do not follow the
    densities of random networks.
    """
    for made in codec.encode_detailed(images[:8]):
        assert 8 * len(made.stream) < made.ideal_bits["full"] * 1.004 + 8 + 18 + 8


def test_parts_are_the_whole_file(codec: TransformCodec, images: list[np.ndarray]) -> None:
    for stream, container in zip(codec.encode(images[8:10]), (1, 5), strict=True):
        parts = codec.parts(stream)["full"]
        assert (parts.n_bytes, parts.side_bytes, parts.container_bytes) == (len(stream), 2, container)


def test_reconstruction_tells_its_costs(codec: TransformCodec, stream: bytes) -> None:
    (found,) = codec.reconstructions(stream)
    assert found.calls == 1
    assert found.macs is not None
    assert found.macs > 64 * 64 * 3 * 12  # the block transform alone
    assert np.array_equal(found.image_uint8, codec.decode([stream])[0])
    assert codec.varying_reconstructions == frozenset()


# ---- qualities and models ------------------------------------------------------------------------


def test_qualities_are_the_levels_of_the_quantization(folder: str, images: list[np.ndarray]) -> None:
    for made in CODECS:
        sizes = [len(made(model=folder, quality=quality).encode(images[:1])[0]) for quality in range(1, LEVELS + 1)]
        assert sizes == sorted(sizes)
        assert len(set(sizes)) == LEVELS
        middle = made(model=folder).encode(images[:1])
        assert middle == made(model=folder, quality=2).encode(images[:1])
        with pytest.raises(ParameterError, match=f"quality={LEVELS + 1}: the model small has qualities 1 to {LEVELS}"):
            made(model=folder, quality=LEVELS + 1)
    model = load(Path(folder))
    assert [model.levels_for(quantization) for quantization in QUANTIZATIONS] == [[0, 1, 2], [3, 4, 5]]


def test_a_codec_decodes_files_of_every_quality(codec: TransformCodec, folder: str, images: list[np.ndarray]) -> None:
    other = type(codec)(model=folder, quality=3)
    files = other.encode(images[:2]) + codec.encode(images[:2])
    expected = other.decode(files[:2]) + codec.decode(files[2:])
    assert all(np.array_equal(a, b) for a, b in zip(codec.decode(files), expected, strict=True))


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_identity_needs_no_network(folder: str, quantization: str) -> None:
    found, loaded = zoo.identify(folder, quantization), zoo.load_named(folder, quantization)
    assert (found.name, found.sha256) == (loaded.name, loaded.sha256)


def test_both_kinds_of_models_are_told_apart(folder: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"{folder} is a model of transform coding: use it as hyperprior:model="):
        find(folder)
    for name in ("uqdm-pixel", str(find("uqdm-pixel"))):
        with pytest.raises(ParameterError, match="uqdm:model="):
            Hyperprior(model=name)
    shutil.copytree(folder, tmp_path / "ntc-other")
    shutil.copytree(find("uqdm-pixel"), tmp_path / "uqdm-pixel")
    monkeypatch.setattr("uqdm.model.zoo.SHIPPED", tmp_path)
    monkeypatch.setattr("uqdm.transform.zoo.SHIPPED", tmp_path)
    assert zoo.shipped_transforms() == ["ntc-other"]
    assert zoo.shipped_names() == ["uqdm-pixel"]
    assert zoo.find("ntc-other") == tmp_path / "ntc-other"
    with pytest.raises(CheckpointError, match="ntc-other is a model of transform coding"):
        find("ntc-other")
    with pytest.raises(CheckpointError, match="did you mean ntc-other"):
        zoo.find("ntc-othr")


# ---- the same everywhere -------------------------------------------------------------------------


def opened(codec: TransformCodec, files: list[bytes]) -> Iterator[tuple[torch.Tensor, np.ndarray]]:
    for one in codec.open(files):
        yield one.y, one.picture


def test_files_do_not_depend_on_threads(codec: TransformCodec, images: list[np.ndarray]) -> None:
    files = codec.encode(images)
    expected = list(opened(codec, files))
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            for (y, picture), (y0, picture0) in zip(opened(codec, files), expected, strict=True):
                assert torch.equal(y, y0)
                assert np.array_equal(picture, picture0)
    finally:
        torch.set_num_threads(before)


def test_errors_within_the_tolerance_change_nothing(
    codec: TransformCodec, images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = codec.encode(images)
    expected = list(opened(codec, files))
    generator = np.random.default_rng(0)
    densities, synthesize = latents._Densities.of, pictures.synthesize

    def disturbed(found: latents._Densities, index: int) -> tuple[np.ndarray, np.ndarray]:
        means, deviations = densities(found, index)
        error = generator.uniform(-0.9, 0.9, means.shape) * 2.0**-30
        return means + error, deviations * 2.0**error

    def disturbed_pictures(*arguments: object) -> list[np.ndarray]:
        made = synthesize(*arguments)  # type: ignore[arg-type]
        return [one + generator.uniform(-0.9, 0.9, one.shape) * 2.0**-30 for one in made]

    monkeypatch.setattr(latents._Densities, "of", disturbed)
    monkeypatch.setattr(pictures, "synthesize", disturbed_pictures)
    for (y, picture), (y0, picture0) in zip(opened(codec, files), expected, strict=True):
        assert torch.equal(y, y0)
        assert np.array_equal(picture, picture0)


def test_where_plain_cells_do_not_fit_offsets_are_written(
    codec: TransformCodec, images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tolerance of 2^-14 makes that usual: means have cells of 2^-8."""
    plain = codec.encode(images[:2])
    monkeypatch.setattr(latents, "EPS", 2.0**-14)
    monkeypatch.setattr(pictures, "EPS", 2.0**-14)
    files = codec.encode(images[:2])
    for file, other in zip(files, plain, strict=True):
        assert header_of(codec, file)[0].offsets
        assert not header_of(codec, other)[0].offsets
        assert len(file) < len(other) + 24
    generator = np.random.default_rng(0)
    expected = codec.decode(files)
    found = latents._Densities.of

    def disturbed(densities: latents._Densities, index: int) -> tuple[np.ndarray, np.ndarray]:
        means, deviations = found(densities, index)
        error = generator.uniform(-0.9, 0.9, means.shape) * 2.0**-14
        return means + error, deviations * 2.0**error

    monkeypatch.setattr(latents._Densities, "of", disturbed)
    assert all(np.array_equal(a, b) for a, b in zip(codec.decode(files), expected, strict=True))


@pytest.mark.parametrize("name", GOLDEN_FILES)
def test_golden_files_stay(name: str) -> None:
    """The bytes of files are an interface: a change of the format is a new version."""
    codec = GOLDEN_FILES[name](model=str(GOLDEN / "small"))
    file = (GOLDEN / name).read_bytes()
    (picture,) = codec.decode([file])
    digests = {
        "picture.hyperprior": ("71e04031d4ec28f2", "c5f26ee01a623660"),
        "picture.uqntc": ("ee61c660d9201c8c", "ac1c2aba2181ef19"),
    }
    assert tuple(hashlib.sha256(data).hexdigest()[:16] for data in (file, picture.tobytes())) == digests[name]
    assert codec.encode([open_dataset("demo", 1).load(0)]) == [file]


# ---- damage --------------------------------------------------------------------------------------


def test_flips_cuts_and_additions_are_refused(codec: TransformCodec, stream: bytes) -> None:
    for place in range(0, len(stream), 7):
        damaged = bytearray(stream)
        damaged[place] ^= 1 << place % 8
        for wrong in (bytes(damaged), stream[:place], stream + bytes([place % 256]) * (1 + place % 3)):
            with pytest.raises(StreamError):
                codec.decode([wrong])


def test_every_bit_of_the_header_is_protected(codec: TransformCodec, images: list[np.ndarray]) -> None:
    for file in codec.encode(images[8:11]):
        for place in range(8 * header_of(codec, file)[1]):
            damaged = bytearray(file)
            damaged[place // 8] ^= 1 << place % 8
            with pytest.raises(StreamError):
                codec.decode([bytes(damaged)])


def test_random_bytes_are_refused(codec: TransformCodec, stream: bytes) -> None:
    generator = np.random.default_rng(1)
    for length in range(0, 200, 7):
        for head in (b"", stream[:2]):
            with pytest.raises(StreamError):
                codec.decode([head + generator.bytes(length)])


def test_a_claim_of_too_many_pixels_is_refused(codec: TransformCodec, stream: bytes) -> None:
    header, end = header_of(codec, stream)
    for height, width in ((MAX_PIXELS, 2), (0, 5)):
        with pytest.raises(StreamError, match="claims"):
            codec.decode([dataclasses.replace(header, height=height, width=width).pack() + stream[end:]])
    with pytest.raises(StreamError, match="claims quality 9"):
        codec.decode([dataclasses.replace(header, quality=9).pack() + stream[end:]])
    with pytest.raises(StreamError, match=r"ends early|does not end"):  # before a picture is computed
        codec.decode([dataclasses.replace(header, height=1024, width=1024).pack() + stream[end:]])


def test_files_of_the_other_codec_are_named(folder: str, codec: TransformCodec, images: list[np.ndarray]) -> None:
    other = next(made for made in CODECS if not isinstance(codec, made))(model=folder)
    for image, reason in ((images[0], "another model"), (images[9], "quantization")):
        with pytest.raises(StreamError, match=reason):
            other.decode(codec.encode([image]))


@pytest.mark.parametrize("quantization", [ROUNDING, UNIVERSAL])
def test_headers_come_back(quantization: str) -> None:
    for size in (*SIZES, (64, 65), (1, 1), (300, 4096)):
        for quality in (1, 8, 9, 256):
            for seed, offsets in ((0, False), (5, False), (2**32 - 1, True), (0, True)):
                header = Header(quantization, 0x48, quality, *size, seed, offsets)
                packed = header.pack()
                assert parse(packed + b"rest", quantization, 0x48) == (header, len(packed))
                for end in range(len(packed)):
                    with pytest.raises(StreamError):
                        parse(packed[:end], quantization, 0x48)

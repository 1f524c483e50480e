"""Guards the codec `hyperprior`: agreement with CompressAI, exact latents, its files and their damage."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from baselines.hyperprior import Hyperprior, latents
from baselines.hyperprior.file import MAX_PIXELS, Header, parse
from uqdm.bench.datasets import open_dataset
from uqdm.codec import CodecUnavailableError, ParameterError, StreamError
from uqdm.transform.checkpoint import load, model_of_tensors, read_tensors
from uqdm.transform.hyperpriors import FACTORIZED, MEAN_SCALE, SCALE

FOLDER = Path(__file__).with_name("compressai")
"""By benchmarks/compressai_checkpoints.py with CompressAI 1.2.8: random weights, and what its classes compute."""
ARCHITECTURES = (FACTORIZED, SCALE, MEAN_SCALE)


def path_of(architecture: str) -> Path:
    return FOLDER / f"{architecture}.pth.tar"


def codec_of(architecture: str) -> Hyperprior:
    return Hyperprior(checkpoint=str(path_of(architecture)))


@pytest.fixture(scope="module", params=ARCHITECTURES)
def codec(request: pytest.FixtureRequest) -> Hyperprior:
    return codec_of(request.param)


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    sizes = [(37, 75, 3), (1, 1, 3), (130, 64, 3)]
    generator = np.random.default_rng(0)
    return [open_dataset("demo", 1).load(0), *(generator.integers(0, 256, size, np.uint8) for size in sizes)]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_compressais_checkpoints_give_its_latents_and_pictures(architecture: str) -> None:
    expected = safetensors.torch.load_file(FOLDER / f"{architecture}.safetensors")
    image = expected["0.image"].numpy()
    codec, model = codec_of(architecture), load(path_of(architecture))
    with torch.inference_mode():
        y = model.transforms.analysis(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255, torch.tensor([0]))
    assert (y - expected["0.y"]).abs().max() <= 1e-5
    (stream,) = codec.encode([image])
    assert (codec._latents(stream)[1].y - y).abs().max() <= 0.5 + 2**-8  # means are rounded to cells of 2^-8 here
    if architecture != MEAN_SCALE:  # there a rounded mean may move a latent across its boundary, to the other side of y
        picture = expected["0.x_hat"][0].clamp(0, 1).permute(1, 2, 0).numpy() * 255
        assert np.abs(codec.decode([stream])[0] - picture).max() < 0.5 + 1e-3  # rounded to levels here


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_files_are_no_larger_than_compressais_strings_and_a_header(architecture: str) -> None:
    expected = safetensors.torch.load_file(FOLDER / f"{architecture}.safetensors")
    image = expected["0.image"].numpy()
    made = codec_of(architecture).encode_detailed([image])[0]
    header, stream = parse(made.stream)
    assert 8 * len(stream) <= int(expected["0.bits"])
    assert 8 * len(stream) <= made.ideal_bits["full"] + 32 + 16 + 16 + 16  # check, state, offsets, whole words
    assert (header.height, header.width) == image.shape[:2]


def test_images_of_any_size_come_back(codec: Hyperprior, images: list[np.ndarray]) -> None:
    decoded = codec.decode(codec.encode(images))
    assert [one.shape for one in decoded] == [one.shape for one in images]
    assert all(one.dtype == np.uint8 for one in decoded)


def test_reconstruction_tells_its_costs(codec: Hyperprior, images: list[np.ndarray]) -> None:
    stream = codec.encode(images[:1])[0]
    (found,) = codec.reconstructions(stream)
    assert found.calls == 1
    assert found.macs is not None
    assert found.macs > 64 * 64 * 25 * 8 * 3 / 4  # its last layer alone
    assert np.array_equal(found.image_uint8, codec.decode([stream])[0])


def test_latents_do_not_depend_on_threads(images: list[np.ndarray]) -> None:
    """Another number of threads changes no decoded latent."""
    codec = codec_of(MEAN_SCALE)
    streams = codec.encode(images)
    expected = [codec._latents(stream)[1].y for stream in streams]
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            assert all(torch.equal(codec._latents(s)[1].y, y) for s, y in zip(streams, expected, strict=True))
    finally:
        torch.set_num_threads(before)


def test_errors_within_the_tolerance_change_no_latent(
    images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = codec_of(MEAN_SCALE)
    streams = codec.encode(images)
    expected = [codec._latents(stream)[1].y for stream in streams]
    generator = np.random.default_rng(0)

    found = latents._Densities.of

    def disturbed(densities: latents._Densities, index: int) -> tuple[np.ndarray, np.ndarray]:
        means, deviations = found(densities, index)
        error = generator.uniform(-0.9, 0.9, means.size) * 2.0**-30
        return means + error, deviations * 2.0**error

    monkeypatch.setattr(latents._Densities, "of", disturbed)
    assert all(torch.equal(codec._latents(s)[1].y, y) for s, y in zip(streams, expected, strict=True))


def test_every_flip_and_cut_is_refused(codec: Hyperprior, images: list[np.ndarray]) -> None:
    stream = codec.encode(images[:1])[0]
    for place in range(0, len(stream), 3):
        damaged = bytearray(stream)
        damaged[place] ^= 1 << place % 8
        for wrong in (bytes(damaged), stream[:place]):
            with pytest.raises(StreamError):
                codec.decode([wrong])


def test_a_claim_of_too_many_pixels_is_refused(codec: Hyperprior, images: list[np.ndarray]) -> None:
    header, stream = parse(codec.encode(images[:1])[0])
    for size in ((MAX_PIXELS, 2), (0, 5)):
        with pytest.raises(StreamError, match="claims"):
            codec.decode([Header(header.model_id, *size).pack() + stream])


def test_a_file_of_another_model_names_it(images: list[np.ndarray]) -> None:
    stream = codec_of(SCALE).encode(images[:1])[0]
    with pytest.raises(StreamError, match="the file needs the model"):
        codec_of(MEAN_SCALE).decode([stream])


def test_without_a_model_it_says_how_to_name_one() -> None:
    with pytest.raises(CodecUnavailableError, match="hyperprior:checkpoint=FILE"):
        _ = Hyperprior().version


def test_tables_that_are_not_stored_are_computed_alike() -> None:
    """Here out of 2^24, and in CompressAI out of 2^16 with one escape for both tails."""
    tensors = read_tensors(path_of(FACTORIZED))
    stored = model_of_tensors("stored", tensors).prior.frequencies
    without = {name: value[:0] if name.endswith("_quantized_cdf") else value for name, value in tensors.items()}
    computed = model_of_tensors("computed", without).prior.frequencies
    assert computed.firsts.tolist() == stored.firsts.tolist()
    assert computed.starts.tolist() == stored.starts.tolist()
    inside = np.diff(computed.starts)[0] - 1  # all rows have as many symbols; differences across rows are left out
    slots = [np.diff(one.edges.reshape(-1, inside + 1)) for one in (computed, stored)]
    assert np.abs(slots[0] - slots[1]).max() <= 2 * 2**24 / 2**16


@pytest.mark.parametrize("prefix", ["module.", ""])
def test_names_of_parallel_training_and_of_lists_are_read(prefix: str, tmp_path: Path) -> None:
    tensors = {}
    for name, value in read_tensors(path_of(SCALE)).items():
        kind, _, number = name.partition(".")[2].rpartition("_matrix")
        listed = f"entropy_bottleneck._matrices.{number}" if not kind and number.isdigit() else name
        tensors[f"{prefix}{listed}"] = value
    torch.save({"state_dict": tensors, "epoch": 3}, tmp_path / "named.pth.tar")
    assert load(tmp_path / "named.pth.tar").sha256 == load(path_of(SCALE)).sha256


def test_other_files_are_refused_with_their_name(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    (tmp_path / "pickle.pth").write_bytes(pickle.dumps(Harmful()))
    torch.save({"a": torch.zeros(2)}, tmp_path / "other.pth")
    torch.save({"context_prediction.weight": torch.zeros(2)}, tmp_path / "context.pth")
    (tmp_path / "text.safetensors").write_text("no tensors")
    for name, reason in {
        "pickle.pth": "without running code",
        "other.pth": "g_a.6.weight' is missing",
        "context.pth": "a context model, which is not supported",
        "text.safetensors": "not a safetensors file",
        "absent.pth": "no such file",
    }.items():
        with pytest.raises(ParameterError, match=f"{name}'?: .*{reason}"):
            Hyperprior(checkpoint=str(tmp_path / name))
    assert not (tmp_path / "ran").exists()

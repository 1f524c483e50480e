"""Guards codec `hyperprior` with CompressAI's checkpoints: agreement, and files of its models."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from uqdm.codec import ParameterError, StreamError
from uqdm.transform.checkpoint import load, model_of_tensors, read_tensors
from uqdm.transform.hyperpriors import FACTORIZED, MEAN_SCALE, SCALE
from uqdm.transform.quantization import UNIVERSAL
from uqdm_baselines.hyperprior import Hyperprior, UniversallyQuantized

FOLDER = Path(__file__).with_name("compressai")
"""By benchmarks/compressai_checkpoints.py with CompressAI 1.2.8: random weights, and what its classes compute."""
ARCHITECTURES = (FACTORIZED, SCALE, MEAN_SCALE)


def path_of(architecture: str) -> str:
    return str(FOLDER / f"{architecture}.pth.tar")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_compressais_checkpoints_give_its_latents_and_pictures(architecture: str) -> None:
    expected = safetensors.torch.load_file(FOLDER / f"{architecture}.safetensors")
    image = expected["0.image"].numpy()
    codec, model = Hyperprior(model=path_of(architecture)), load(Path(path_of(architecture)))
    with torch.inference_mode():
        y = model.transforms.analysis(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255, torch.tensor([0]))
    assert (y - expected["0.y"]).abs().max() <= 1e-5
    (opened,) = codec.open(codec.encode([image]))
    assert (opened.y - y).abs().max() <= 0.5 + 2**-9  # means are rounded to multiples of 2^-8 here
    if architecture != MEAN_SCALE:  # there a rounded mean may move a latent across its boundary, to the other side of y
        picture = expected["0.x_hat"][0].clamp(0, 1).permute(1, 2, 0).numpy() * 255
        assert np.abs(opened.picture - picture).max() < 0.5 + 1e-3  # rounded to levels here
    assert codec.varying_reconstructions == {"decoded"}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_files_are_no_larger_than_compressais_strings(architecture: str) -> None:
    """Although they have a header and a check value: its state takes 32 bits, and it has one for each string."""
    expected = safetensors.torch.load_file(FOLDER / f"{architecture}.safetensors")
    made = Hyperprior(model=path_of(architecture)).encode_detailed([expected["0.image"].numpy()])[0]
    assert 8 * len(made.stream) <= int(expected["0.bits"])
    assert 8 * len(made.stream) <= made.ideal_bits["full"] + 8 + 18 + 8 + 8  # header, check, last byte, rounded cells


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_noise_of_universal_quantization_is_uniform_with_checkpoints(architecture: str) -> None:
    image = safetensors.torch.load_file(FOLDER / f"{architecture}.safetensors")["0.image"].numpy()
    codec, model = UniversallyQuantized(model=path_of(architecture)), load(Path(path_of(architecture)))
    with torch.inference_mode():
        y = model.transforms.analysis(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255, torch.tensor([0]))
    made = codec.encode_detailed([image])[0]
    noise = (codec.open([made.stream])[0].y - y).numpy().ravel()
    assert np.abs(noise).max() <= 0.5 + 1 / 64 + 2**-9  # half a step of the dither, of a rounded mean
    assert abs(noise.mean()) < 4 * np.sqrt(1 / 12 / noise.size)
    assert abs(noise.var() - 1 / 12) < 4 * np.sqrt(1 / 180 / noise.size)
    assert 8 * len(made.stream) <= made.ideal_bits["full"] + 8 + 18 + 8 + 8


def test_a_file_of_another_model_names_it() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    stream = Hyperprior(model=path_of(SCALE)).encode([image])[0]
    with pytest.raises(StreamError, match="the file needs another model"):
        Hyperprior(model=path_of(MEAN_SCALE)).decode([stream])


def test_a_checkpoint_has_one_quality() -> None:
    with pytest.raises(ParameterError, match=r"quality=2: the model .* has one quality, 1"):
        Hyperprior(model=path_of(SCALE), quality=2)


def test_tables_that_are_not_stored_are_computed_alike() -> None:
    """Here out of 2^24, and in CompressAI out of 2^16 with one escape for both tails."""
    tensors = read_tensors(Path(path_of(FACTORIZED)))
    stored = model_of_tensors("stored", tensors).prior.frequencies
    without = {name: value[:0] if name.endswith("_quantized_cdf") else value for name, value in tensors.items()}
    computed = model_of_tensors("computed", without).prior.frequencies
    assert computed.firsts.tolist() == stored.firsts.tolist()
    assert computed.starts.tolist() == stored.starts.tolist()
    inside = np.diff(computed.starts)[0] - 1  # all rows have as many symbols; differences across rows are left out
    slots = [np.diff(one.edges.reshape(-1, inside + 1)) for one in (computed, stored)]
    assert np.abs(slots[0] - slots[1]).max() <= 2 * 2**24 / 2**16


def test_dithered_tables_of_the_factorized_prior_are_its_cumulative_function_at_the_dithers() -> None:
    tensors = read_tensors(Path(path_of(FACTORIZED)))
    found = model_of_tensors("universal", tensors, UNIVERSAL).prior.frequencies
    tensors = {name: value[:0] if name.endswith("_quantized_cdf") else value for name, value in tensors.items()}
    plain = model_of_tensors("rounding", tensors).prior.frequencies
    inside = np.diff(found.starts)[0] - 1
    edges = found.edges.reshape(-1, 32, inside + 1)
    assert (np.diff(edges, axis=1) >= 0).all()  # a greater dither moves every border up
    middle = (edges[:, 15] + edges[:, 16]) / 2  # the dithers -1/64 and 1/64
    assert np.abs(middle - plain.edges.reshape(-1, inside + 1)).max() <= 2e-4 * 2**24


@pytest.mark.parametrize("prefix", ["module.", ""])
def test_names_of_parallel_training_and_of_lists_are_read(prefix: str, tmp_path: Path) -> None:
    tensors = {}
    for name, value in read_tensors(Path(path_of(SCALE))).items():
        kind, _, number = name.partition(".")[2].rpartition("_matrix")
        listed = f"entropy_bottleneck._matrices.{number}" if not kind and number.isdigit() else name
        tensors[f"{prefix}{listed}"] = value
    torch.save({"state_dict": tensors, "epoch": 3}, tmp_path / "named.pth.tar")
    assert load(tmp_path / "named.pth.tar").sha256 == load(Path(path_of(SCALE))).sha256


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
            Hyperprior(model=str(tmp_path / name))
    assert not (tmp_path / "ran").exists()

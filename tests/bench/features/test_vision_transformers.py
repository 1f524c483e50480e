"""Guards DINOv2's and CLIP's extractors: independent networks give the same features, from small random weights."""

from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from torch_fidelity import feature_extractor_clip as torch_fidelitys
from torchvision.models.vision_transformer import VisionTransformer as Torchvisions
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

from uqdm.bench.features import extractors
from uqdm.bench.features.extractors import clip, dinov2
from uqdm.bench.features.given_weights import OfficialFile
from uqdm.bench.features.vit import resized_positions
from uqdm.bench.features.weight_files import WeightsError

WIDTH, DEPTH = 128, 2  # two heads of 64
# float32 with other orders of additions, through two blocks: 2e-6 was measured on features up to 4.
ROUNDING = 2e-5

Tensors = dict[str, torch.Tensor]


def random(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=generator) / math.sqrt(shape[-1])


@pytest.fixture(scope="module")
def dinov2_state() -> Tensors:
    """The tensors of a small DINOv2 by the official names, trained at 518 pixels."""
    generator = torch.Generator().manual_seed(0)
    state = {
        "cls_token": random(generator, 1, 1, WIDTH),
        "mask_token": random(generator, 1, WIDTH),
        "pos_embed": random(generator, 1, 1 + 37**2, WIDTH),
        "patch_embed.proj.weight": random(generator, WIDTH, 3, 14, 14) / 14,
        "patch_embed.proj.bias": random(generator, WIDTH),
        "norm.weight": 1 + random(generator, WIDTH),
        "norm.bias": random(generator, WIDTH),
    }
    for index in range(DEPTH):
        for name, rows, columns in (
            ("attn.qkv", 3 * WIDTH, WIDTH),
            ("attn.proj", WIDTH, WIDTH),
            ("mlp.fc1", 4 * WIDTH, WIDTH),
            ("mlp.fc2", WIDTH, 4 * WIDTH),
        ):
            state[f"blocks.{index}.{name}.weight"] = random(generator, rows, columns)
            state[f"blocks.{index}.{name}.bias"] = random(generator, rows)
        for name in ("norm1", "norm2"):
            state[f"blocks.{index}.{name}.weight"] = 1 + random(generator, WIDTH)
            state[f"blocks.{index}.{name}.bias"] = random(generator, WIDTH)
        for name in ("ls1", "ls2"):
            state[f"blocks.{index}.{name}.gamma"] = 1 + random(generator, WIDTH)
    return state


@pytest.fixture(scope="module")
def clip_network() -> torch_fidelitys.CLIPVisual:
    """torch-fidelity's form of a small CLIP; its tensors have the official names."""
    torch.manual_seed(0)
    return torch_fidelitys.CLIPVisual(48, 224, DEPTH, WIDTH, 32).eval()


@pytest.fixture(scope="module")
def pictures_uint8(photographs_uint8: list[np.ndarray]) -> list[np.ndarray]:
    first, second = photographs_uint8[:2]
    return [first, np.concatenate([first, second], axis=1), np.tile(second, (5, 4, 1))[:311, :240]]


def in_torchvision(state: Tensors) -> Torchvisions:
    """torchvision's network with DINOv2's tensors, which have no positions to be resized here."""
    network = Torchvisions(224, 14, DEPTH, WIDTH // 64, WIDTH, 4 * WIDTH)
    network.heads = torch.nn.Identity()
    tensors = {
        "class_token": state["cls_token"],
        "conv_proj.weight": state["patch_embed.proj.weight"],
        "conv_proj.bias": state["patch_embed.proj.bias"],
        "encoder.pos_embedding": resized_positions(state["pos_embed"][0], 16, 0.1)[None],
        "encoder.ln.weight": state["norm.weight"],
        "encoder.ln.bias": state["norm.bias"],
    }
    for index in range(DEPTH):
        ours, theirs = f"blocks.{index}.", f"encoder.layers.encoder_layer_{index}."
        for part in ("weight", "bias"):
            # The scale of a branch is part of its last layer.
            scale = [state[f"{ours}ls{number}.gamma"] for number in (1, 2)]
            scale = [one[:, None] for one in scale] if part == "weight" else scale
            tensors |= {
                f"{theirs}ln_1.{part}": state[f"{ours}norm1.{part}"],
                f"{theirs}self_attention.in_proj_{part}": state[f"{ours}attn.qkv.{part}"],
                f"{theirs}self_attention.out_proj.{part}": scale[0] * state[f"{ours}attn.proj.{part}"],
                f"{theirs}ln_2.{part}": state[f"{ours}norm2.{part}"],
                f"{theirs}mlp.0.{part}": state[f"{ours}mlp.fc1.{part}"],
                f"{theirs}mlp.3.{part}": scale[1] * state[f"{ours}mlp.fc2.{part}"],
            }
    network.load_state_dict(tensors)
    return network.eval()


def test_dinov2_features_are_those_of_torchvisions_network(
    dinov2_state: Tensors, pictures_uint8: list[np.ndarray], tmp_path: Path
) -> None:
    torch.save(dinov2_state, tmp_path / "small.pth")
    extractor = dinov2.load(tmp_path / "small.pth", device="cpu")
    squash = Compose(
        [Resize((224, 224), InterpolationMode.BICUBIC), ToTensor(), Normalize(dinov2.MEAN, dinov2.DEVIATION)]
    )
    with torch.inference_mode():
        prepared = torch.stack([squash(Image.fromarray(picture)) for picture in pictures_uint8])
        expected = in_torchvision(dinov2_state)(prepared).numpy()
    features = extractor.features(pictures_uint8)
    assert (features.dtype, features.shape, extractor.n_features) == (np.float32, (3, WIDTH), WIDTH)
    np.testing.assert_allclose(features, expected, rtol=0, atol=ROUNDING)
    assert np.abs(features).max() > 1  # so the tolerance means something
    assert extractor.caution == "weights of a file that is not the official one of DINOv2 ViT-L/14"


def test_clip_features_are_those_of_torch_fidelitys_network(
    clip_network: torch_fidelitys.CLIPVisual, pictures_uint8: list[np.ndarray], tmp_path: Path
) -> None:
    safetensors.torch.save_file(clip_network.state_dict(), tmp_path / "small.safetensors")
    extractor = clip.load(tmp_path / "small.safetensors", device="cpu")
    steps = [Resize(224, InterpolationMode.BICUBIC), CenterCrop(224), ToTensor(), Normalize(clip.MEAN, clip.DEVIATION)]
    with torch.inference_mode():
        prepared = torch.stack([Compose(steps)(Image.fromarray(picture)) for picture in pictures_uint8])
        expected = clip_network.visual(prepared).numpy()
    features = extractor.features(pictures_uint8)
    assert features.shape == (3, extractor.n_features) == (3, 48)
    np.testing.assert_allclose(features, expected, rtol=0, atol=ROUNDING)
    assert np.abs(features).max() > 0.1


def test_positions_are_resized_by_the_published_formula() -> None:
    """Bicubic with a = -3/4 at (i + 1/2) 37 / 16.1 - 1/2, along each side in turn; edges are repeated."""
    grid = np.random.default_rng(0).normal(size=(37, 37, 2))
    places = (np.arange(16) + 0.5) * 37 / 16.1 - 0.5
    distances = np.abs(places[:, None] - np.arange(-2, 40))
    a, d = -0.75, distances
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * (d**3 - 5 * d**2 + 8 * d - 4)
    weights = np.where(d <= 1, near, np.where(d < 2, far, 0))
    padded = np.pad(grid, ((2, 3), (2, 3), (0, 0)), mode="edge")
    expected = np.einsum("ij,kl,jlc->ikc", weights, weights, padded)
    positions = torch.from_numpy(np.concatenate([np.ones((1, 2)), grid.reshape(-1, 2)]))
    found = resized_positions(positions, 16, offset=0.1)
    np.testing.assert_allclose(found[1:].numpy().reshape(16, 16, 2), expected, rtol=0, atol=1e-12)
    assert found[0].tolist() == [1, 1]
    assert resized_positions(positions, 37, offset=0.1) is positions


def test_weights_have_one_identity_in_every_file(dinov2_state: Tensors, tmp_path: Path) -> None:
    torch.save(dinov2_state, tmp_path / "a.pth")
    safetensors.torch.save_file(dinov2_state, tmp_path / "b.safetensors")
    torch.save(dinov2_state | {"norm.bias": torch.zeros(WIDTH)}, tmp_path / "c.pth")
    same, converted, other = (dinov2.OFFICIAL.load(tmp_path / name) for name in ("a.pth", "b.safetensors", "c.pth"))
    assert same.sha256 == converted.sha256 != other.sha256


@pytest.mark.parametrize("kind", [dinov2, clip])
def test_absent_and_wrong_files_are_named_with_the_remedy(
    kind: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    official: OfficialFile = kind.OFFICIAL
    monkeypatch.delenv(official.variable, raising=False)
    with pytest.raises(WeightsError, match=f"name their file by {official.variable}=FILE or {official.option} FILE"):
        official.load(None)
    monkeypatch.setenv(official.variable, str(tmp_path / "nowhere"))
    with pytest.raises(WeightsError, match="nowhere: no such file of weights of"):
        official.load(None)
    torch.save({"other": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match=f"no weights of {official.network}: the tensor '.*' is missing"):
        official.load(tmp_path / "other.pt")
    torch.save({"other": Path()}, tmp_path / "code.pt")  # loading it in full would call a function
    with pytest.raises(WeightsError, match=f"cannot be read as weights of {official.network}: .*{official.url}"):
        official.load(tmp_path / "code.pt")


def test_every_extractor_has_a_function_that_loads_it() -> None:
    for name in extractors.extractor_names():
        assert callable(extractors.loader(name))

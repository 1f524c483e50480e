"""Weights are read without running code; tensors become the nearest pictures."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch


@pytest.fixture
def weights(path_of_hosts: None) -> ModuleType:
    return importlib.import_module("recipe_tools.weights")


@pytest.fixture
def pictures(path_of_hosts: None) -> ModuleType:
    return importlib.import_module("recipe_tools.pictures")


class Runs:
    """An object whose pickle runs code when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_weights_are_read_with_their_hash(weights: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    torch.save({"w": torch.arange(3)}, path)
    found, digits = weights.read_weights(path)
    assert found["w"].tolist() == [0, 1, 2]
    assert digits == hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    named = path.rename(tmp_path / f"model-{digits[:8]}.pth.tar")
    assert weights.read_weights(named)[1] == digits
    with pytest.raises(SystemExit, match="is damaged: its SHA-256 begins with"):
        weights.read_weights(named.rename(tmp_path / "model-01234567.pth.tar"))


def test_code_in_weights_does_not_run(weights: ModuleType, tmp_path: Path) -> None:
    path, written = tmp_path / "hostile.pth", tmp_path / "written"
    torch.save({"w": Runs(written)}, path)
    with pytest.raises(SystemExit, match="holds no weights that torch reads with weights_only"):
        weights.read_weights(path)
    assert not written.exists()


def test_the_hash_of_tensors_is_that_of_names_shapes_and_values(weights: ModuleType) -> None:
    one = {"a": torch.zeros(2, 3), "b": torch.ones(1)}
    assert weights.tensors_sha256(one) == weights.tensors_sha256(dict(reversed(one.items())))
    others = [{**one, "a": torch.zeros(3, 2)}, {**one, "b": torch.zeros(1)}, {"a": one["a"], "c": one["b"]}]
    assert len({weights.tensors_sha256(other) for other in [one, *others]}) == 4


def test_the_hash_of_a_folder_is_that_of_names_and_contents(weights: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "a.bin").write_bytes(b"a")
    (tmp_path / "b.json").write_bytes(b"b")
    before = weights.folder_sha256(tmp_path)
    assert weights.folder_sha256(tmp_path) == before
    (tmp_path / "unet" / "a.bin").write_bytes(b"b")
    changed = weights.folder_sha256(tmp_path)
    (tmp_path / "unet" / "a.bin").rename(tmp_path / "unet" / "c.bin")
    assert len({before, changed, weights.folder_sha256(tmp_path)}) == 3


def test_a_file_is_found_by_its_name_in_a_folder(weights: ModuleType, tmp_path: Path) -> None:
    assert weights.path_in(tmp_path, "a.pth") == tmp_path / "a.pth"
    (tmp_path / "a.pth").touch()
    assert weights.path_in(tmp_path / "a.pth", "b.pth") == tmp_path / "a.pth"


def test_images_come_back_and_values_are_clipped(pictures: ModuleType) -> None:
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 10
    tensor = pictures.to_tensor(image)
    assert tensor.shape == (1, 3, 2, 4)
    np.testing.assert_array_equal(pictures.to_image(tensor), image)
    assert pictures.to_image(tensor * 2)[1, 3, 2] == 255
    with pytest.raises(pictures.StreamError, match="not finite"):
        pictures.to_image(tensor / 0)


def test_values_are_rounded_to_the_nearest(pictures: ModuleType) -> None:
    values = torch.tensor([0.4, 0.6, 254.4]).reshape(1, 3, 1, 1) / 255
    assert pictures.to_image(values).tolist() == [[[0, 1, 254]]]

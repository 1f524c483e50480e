"""Models of the Hugging Face Hub by name: ``hf:OWNER/NAME[/FOLDER][@REVISION][#sha256=HEX]``.

The package huggingface_hub (the extra ``hub``) downloads them into its cache. Only the configuration and one file of
weights are downloaded, and a revision is resolved to the commit that it names. Once a commit is in the cache, nothing
asks the network for it again.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from uqdm.model.files import CONFIG, PUBLISHED_WEIGHTS, WEIGHTS, CheckpointError, format_of

PREFIX = "hf:"
NAME_FORM = "hf:OWNER/NAME[/FOLDER][@REVISION][#sha256=HEX]"
_FORM = re.compile(
    r"hf:(?P<repository>\w[\w.-]*/\w[\w.-]*)(?P<folder>(?:/\w[\w.-]*)*)(?:@(?P<revision>[^@#\s]+))?"
    r"(?:#sha256=(?P<sha256>[0-9a-f]{64}))?",
    re.ASCII,
)
_COMMIT = re.compile("[0-9a-f]{40}")
_OFFLINE = "HF_HUB_OFFLINE"
_OWN_FORMATS = "uqdm-"  # how formats in configurations of this project begin


@dataclass(frozen=True)
class HubModel:
    """A model's place on the hub; ``folder`` is one in the repository, ``sha256`` that of the file of weights."""

    repository: str
    folder: str = ""
    revision: str = "main"
    sha256: str | None = None

    def __str__(self) -> str:
        inside = f"/{self.folder}" if self.folder else ""
        check = f"#sha256={self.sha256}" if self.sha256 else ""
        return f"{PREFIX}{self.repository}{inside}@{self.revision}{check}"

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is a commit."""
        return _COMMIT.fullmatch(self.revision) is not None

    def file(self, name: str) -> str:
        """The path of a file in the repository."""
        return f"{self.folder}/{name}" if self.folder else name


def is_hub_name(name_or_path: str | os.PathLike[str]) -> bool:
    """Whether a text names a model of the hub.

    >>> is_hub_name("hf:owner/model"), is_hub_name("models/mine")
    (True, False)
    """
    return str(name_or_path).startswith(PREFIX)


def parse(name: str) -> HubModel:
    """Reads a name; raises :class:`uqdm.model.files.CheckpointError` for one of another form.

    >>> parse("hf:owner/model")
    HubModel(repository='owner/model', folder='', revision='main', sha256=None)
    >>> str(parse("hf:owner/models/small@v1"))
    'hf:owner/models/small@v1'
    """
    found = _FORM.fullmatch(name)
    if found is None:
        raise CheckpointError(f"{name}: a model of the hub is written {NAME_FORM}, with 64 hexadecimal digits")
    folder, revision = found["folder"].removeprefix("/"), found["revision"] or "main"
    return HubModel(found["repository"], folder, revision, found["sha256"])


def pinned_name(name: str) -> str:
    """The name with the commit that its revision stands for; one with a commit stays as it is, without the network.

    Otherwise the model is downloaded, unless it is in the cache. Raises :class:`uqdm.model.files.CheckpointError`.
    """
    model = parse(name)
    return str(model) if model.is_pinned else str(_fetched(model)[0])


def hub_folder(name: str) -> Path:
    """The folder of the model in the cache, to which it is downloaded if need be.

    Raises :class:`uqdm.model.files.CheckpointError`, with the remedy.
    """
    return _fetched(parse(name))[1]


def hashes(name: str) -> dict[str, str]:
    """SHA-256 of the files of the model, by their names; it is downloaded if need be."""
    files = (hub_folder(name) / file for file in (CONFIG, WEIGHTS, PUBLISHED_WEIGHTS))
    return {file.name: _sha256(file) for file in files if file.is_file()}


def cached_models() -> Iterator[tuple[str, Path]]:
    """Name with its commit, and folder, of each model of this project in the cache of huggingface_hub."""
    try:
        from huggingface_hub.constants import HF_HUB_CACHE
    except ImportError:
        return
    for config in sorted(Path(HF_HUB_CACHE).glob(f"models--*--*/snapshots/*/**/{CONFIG}")):
        repository, _, commit, *inside = config.relative_to(HF_HUB_CACHE).parts[:-1]
        owner, _, name = repository.removeprefix("models--").partition("--")
        has_weights = any((config.parent / file).is_file() for file in (WEIGHTS, PUBLISHED_WEIGHTS))
        if has_weights and (format_of(config.parent) or "").startswith(_OWN_FORMATS):
            yield str(HubModel(f"{owner}/{name}", "/".join(inside), commit)), config.parent


@functools.cache
def _fetched(model: HubModel) -> tuple[HubModel, Path]:
    """The model at its commit, and its folder. A process asks for a branch once, so that it sees one commit of it."""
    with _errors_of(model):
        config = _cached(model, CONFIG) or _download(model, CONFIG)
    commit = config.parents[len(model.file(CONFIG).split("/")) - 1].name
    pinned = replace(model, revision=commit)
    with _errors_of(pinned):
        weights = _weights(pinned)
    if model.sha256 is not None and (found := _sha256(weights)) != model.sha256:
        raise CheckpointError(f"{model}: the SHA-256 of {weights.name} is {found}: it is another file")
    return pinned, config.parent


def _weights(model: HubModel) -> Path:
    """The file of weights: one in the cache, else the first that the repository has."""
    from huggingface_hub.errors import EntryNotFoundError

    cached = _cached(model, WEIGHTS) or _cached(model, PUBLISHED_WEIGHTS)
    if cached is not None:
        return cached
    try:
        return _download(model, WEIGHTS)
    except EntryNotFoundError:
        return _download(model, PUBLISHED_WEIGHTS)


def _cached(model: HubModel, name: str) -> Path | None:
    """A file of a commit in the cache, without any request; huggingface_hub itself makes some, of other things."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(model.repository, model.file(name), revision=model.revision)
    return Path(found) if model.is_pinned and isinstance(found, str) else None


def _download(model: HubModel, name: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    return Path(hf_hub_download(model.repository, model.file(name), revision=model.revision))


@contextmanager
def _errors_of(model: HubModel) -> Iterator[None]:
    """Errors of huggingface_hub and of the network as those of a model, with the remedy."""
    try:
        from huggingface_hub import errors
    except ImportError as error:
        raise CheckpointError(
            f"{model}: huggingface_hub is not installed; `pip install huggingface_hub`, or download {CONFIG} and the "
            "weights by other means, and name their folder"
        ) from error
    try:
        yield
    except errors.LocalEntryNotFoundError as error:
        raise CheckpointError(f"{model}: not in the cache of huggingface_hub, and {_unreachable()}") from error
    except errors.GatedRepoError as error:
        raise CheckpointError(f"{model}: its owner grants access on request; ask, and set HF_TOKEN") from error
    except errors.RevisionNotFoundError as error:
        raise CheckpointError(f"{model}: {model.repository} has no revision {model.revision!r}") from error
    except errors.RepositoryNotFoundError as error:
        raise CheckpointError(
            f"{model}: no repository {model.repository} that you may read; if it is private, set HF_TOKEN"
        ) from error
    except errors.EntryNotFoundError as error:
        files = f"{model.file(CONFIG)} with {WEIGHTS} or {PUBLISHED_WEIGHTS}"
        raise CheckpointError(f"{model}: the repository holds no model there; it needs {files}") from error
    except (errors.HfHubHTTPError, errors.HFValidationError, OSError, *_network_errors()) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckpointError(f"{model}: cannot be downloaded ({reason}); {_by_other_means()}") from error


def _unreachable() -> str:
    if os.environ.get(_OFFLINE, "0").upper() in ("1", "ON", "YES", "TRUE"):
        return f"{_OFFLINE} is set; unset it, or {_by_other_means()}"
    return f"the hub cannot be reached; try again with a network, or {_by_other_means()}"


def _by_other_means() -> str:
    return f"download {CONFIG} and the weights by other means, and name their folder as the model"


def _network_errors() -> tuple[Any, ...]:
    """Errors of the HTTP library that huggingface_hub uses in its version."""
    found = []
    for name in ("httpx2", "httpx", "requests"):
        module = sys.modules.get(name)  # it is imported if huggingface_hub uses it
        found += [getattr(module, kind) for kind in ("HTTPError", "RequestException") if hasattr(module, kind)]
    return tuple(found)


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()

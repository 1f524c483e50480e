"""Models by name: those in the package, and published ones, which are downloaded to a cache."""

from __future__ import annotations

import difflib
import hashlib
import os
import shutil
import tempfile
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from uqdm.model.banded_identity import identify as identify_banded
from uqdm.model.files import (
    BANDED_FORMAT,
    CONFIG,
    PUBLISHED_WEIGHTS,
    REFINE_FORMAT,
    TRANSFORM_FORMAT,
    WEIGHTS,
    CheckpointError,
    format_of,
)
from uqdm.model.hub import hub_folder, is_hub_name, pinned_name
from uqdm.model.identity import Identity, own_identity
from uqdm.paths import absolute_text, expand_path
from uqdm.places import cache_folder, writable_cache_folder

if TYPE_CHECKING:
    from uqdm.model.checkpoint import Model

SHIPPED = Path(__file__).parent.parent / "pretrained"
_PAGE = "https://huggingface.co/justuswill/UQDM"
_ADDRESS = f"{_PAGE}/resolve/main/checkpoints"
_CONFIGS = "https://raw.githubusercontent.com/mandt-lab/uqdm"  # configurations are in the published code's repository
_CHUNK = 1 << 20

MODEL_HELP = "name of a shipped model, path of a model folder, or hf:OWNER/NAME[@REVISION]"

DownloadCallback = Callable[[int, int | None], Any]
"""Callback with the bytes downloaded so far, and the total if it is known."""


@dataclass(frozen=True)
class ModelFile:
    """A file of a model: its address, and its allowed hashes (empty if none is known)."""

    name: str
    address: str
    sha256: tuple[str, ...]


@dataclass(frozen=True)
class PublishedModel:
    """A published model that can be fetched."""

    name: str
    about: str
    page: str
    licence: str
    downloads: tuple[ModelFile, ...]


def _published_model(size: str, about: str, commit: str, configs: tuple[str, ...], *weights: str) -> PublishedModel:
    name = f"uqdm-{size}"
    downloads = (
        ModelFile(CONFIG, f"{_CONFIGS}/{commit}/checkpoints/{name}/config.json", configs),
        ModelFile(PUBLISHED_WEIGHTS, f"{_ADDRESS}/{name}/checkpoint.pt", weights),
    )
    return PublishedModel(name, f"ImageNet64, T = 4, {about} (Yang et al. 2025)", _PAGE, "none stated", downloads)


KNOWN = {
    known.name: known
    for known in (
        _published_model(
            "tiny",
            "167,495 parameters",
            "34fd00179ec8e8ed2bc4a65b9bd1afdc47b72cbc",
            (  # with and without an option of the published coder
                "02666f5297cf0ff1585b08c746687aa5c3eb507ed5a0a87e03c2a5d3964e3e99",
                "f14306086c4a859f8b76d084d4ab774f7578141ca772236586aead6ec11581de",
            ),
            "52644fcb40135471a2d2b526ea67ccb888425b472e8f889117fbee0ede428637",
        ),
        _published_model(
            "small",
            "2.2 million parameters",
            "725df30bbc4ab238e456ea2b6368352e14660556",
            ("b17eaff9b6d790badc4e22decd5547461e0ebcf3d127f8e3cb110c59b3773c86",),
        ),
        _published_model(
            "medium",
            "122 million parameters",
            "725df30bbc4ab238e456ea2b6368352e14660556",
            ("790e73b9eec748caeaff94fcae4fddf6f994f6f8bf1e3789806cafead3b32971",),
        ),
        _published_model(
            "big",
            "238 million parameters",
            "725df30bbc4ab238e456ea2b6368352e14660556",
            ("856d3a5881eb05621fb002389aaa0f88cdc81511999a19f23f275e4166b34792",),
        ),
    )
}
"""Models that are not in the package, by name."""


def shipped_names() -> list[str]:
    """Names of the diffusion models inside the package."""
    return [name for name, form in _shipped() if form not in _USED_AS]


def shipped_transforms() -> list[str]:
    """Names of the models of transform coding inside the package (:mod:`uqdm.transform`)."""
    return shipped_of(TRANSFORM_FORMAT)


def shipped_of(form: str) -> list[str]:
    """Names of the models of a format inside the package.

    >>> shipped_of(TRANSFORM_FORMAT)
    ['ntc-demo']
    """
    return [name for name, found in _shipped() if found == form]


def all_shipped() -> list[str]:
    """Names of all models inside the package: diffusion models first, then the others by format and name."""
    others = [name for form in _USED_AS for name in shipped_of(form)]
    return [*shipped_names(), *others]


_USED_AS = {
    TRANSFORM_FORMAT: ("transform coding", "hyperprior"),
    REFINE_FORMAT: ("a second stage", "refine"),
}
"""Formats of models that are no diffusion models of images: what each is of, and a codec that uses it."""


def _shipped() -> list[tuple[str, str | None]]:
    folders = sorted(file.parent for file in SHIPPED.glob(f"*/{CONFIG}"))
    return [(folder.name, format_of(folder)) for folder in folders]


def cached_folder(name: str) -> Path:
    """Folder of a downloaded model: below ``UQDM_CACHE``, else ``~/.cache/uqdm``."""
    return cache_folder() / "models" / name


def folder_of(name: str) -> Path | None:
    """The folder of a shipped or downloaded model; None if it is not on this machine."""
    if name in shipped_names():
        return SHIPPED / name
    folder = cached_folder(name)
    return folder if name in KNOWN and is_model(folder) else None


def is_model(folder: Path) -> bool:
    """Whether a folder holds a model's configuration and weights."""
    return (folder / CONFIG).is_file() and any((folder / name).is_file() for name in (WEIGHTS, PUBLISHED_WEIGHTS))


def format_named(name_or_path: str | os.PathLike[str]) -> str | None:
    """The format of a model by name or path, as its configuration states it; None if there is none, or no such model.

    >>> format_named("ntc-demo")
    'uqdm-transform-1'
    """
    if is_hub_name(name_or_path):
        return format_of(hub_folder(str(name_or_path)))
    shipped = SHIPPED / str(name_or_path)
    is_shipped = str(name_or_path) in (name for name, _ in _shipped())
    return format_of(shipped if is_shipped else expand_path(name_or_path, "model"))


def find(name_or_path: str | os.PathLike[str]) -> Path:
    """The folder of a shipped or fetched model, of a path, or of a model of the hub.

    Raises :class:`uqdm.model.files.CheckpointError`."""
    name = str(name_or_path)
    folder = folder_of(name)
    if folder is not None:
        return folder
    path = hub_folder(name) if is_hub_name(name) else expand_path(name_or_path, "model")
    form = dict(_shipped()).get(name) or (format_of(path) if path.is_dir() else None)
    if form in _USED_AS:
        kind, codec = _USED_AS[form]
        raise CheckpointError(f"{name} is a model of {kind}: use it as {codec}:model={name}")
    if path.is_dir():
        return path
    if name in KNOWN:
        raise CheckpointError(f"model {name} is not here yet: fetch it by `uqdm models get {name}`")
    names = [*shipped_names(), *KNOWN]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise CheckpointError(f"no model {name!r}{hint}: it is neither a folder nor known; known: {', '.join(names)}")


def absolute_name(name_or_path: str) -> str:
    """A name of the model for any working directory: its known name, else the absolute path of its folder.

    That of a model of the hub has its commit (:func:`uqdm.model.hub.pinned_name`).
    """
    if is_hub_name(name_or_path):
        return pinned_name(name_or_path)
    if folder_of(name_or_path) is not None:
        return name_or_path
    is_path = "/" in name_or_path or name_or_path.startswith("~") or Path(name_or_path).is_dir()
    return absolute_text(name_or_path) if is_path else name_or_path


def load_named(name_or_path: str | os.PathLike[str], weights: str = "ema") -> Model:
    """Loads a model of the paper's process by name or path (see :func:`uqdm.model.checkpoint.load`)."""
    from uqdm.model.checkpoint import load  # needs torch, which takes seconds to import

    folder = find(name_or_path)
    if format_of(folder) == BANDED_FORMAT:
        raise CheckpointError(f"{name_or_path} is a model of a process in bands: use it as uqdm:model={name_or_path}")
    return load(folder, weights)


def identify(name_or_path: str | os.PathLike[str], weights: str = "ema") -> Identity:
    """Name and digest of a model by name or path, as loading it would give.

    Without torch if the folder has the project's own layout; a published checkpoint is loaded. Raises
    :class:`uqdm.model.files.CheckpointError`.

    >>> str(identify("uqdm-pixel"))
    'uqdm-pixel sha256:e8e0ef64a823f89d'
    """
    folder = find(name_or_path)
    if format_of(folder) == BANDED_FORMAT:
        return identify_banded(folder)
    found = own_identity(folder)
    if found is not None:
        return found
    model = load_named(name_or_path, weights)
    return Identity(model.name, model.sha256)


def fetch(
    name: str, source: str | os.PathLike[str] | None = None, report: DownloadCallback = lambda done, total: None
) -> dict[str, str]:
    """Downloads a published model to the cache, and returns the SHA-256 of each of its files.

    ``source`` is a folder with the files, or the address of one, instead of the public addresses. Files with a wrong
    hash, and models that cannot be loaded, are refused and removed. Raises
    :class:`uqdm.model.files.CheckpointError`.
    """
    if name not in KNOWN:
        raise CheckpointError(f"no model {name!r} to fetch; there are: {', '.join(KNOWN)}")
    target = writable_cache_folder("models") / name
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=target.parent) as temporary:
        folder = Path(temporary) / name
        folder.mkdir()
        hashes = {item.name: _fetch_file(item, source, folder / item.name, report) for item in KNOWN[name].downloads}
        load_named(folder)  # also refuse a model that cannot be loaded
        if target.exists():
            shutil.rmtree(target)
        os.replace(folder, target)
    return hashes


def _fetch_file(item: ModelFile, source: str | os.PathLike[str] | None, file: Path, report: DownloadCallback) -> str:
    address = item.address if source is None else _below(source, item.name)
    digest = hashlib.sha256()
    try:
        with _open(address) as stream, file.open("wb") as sink:
            total = _length(stream)
            while data := stream.read(_CHUNK):
                sink.write(data)
                digest.update(data)
                report(sink.tell(), total)
            if total not in (None, sink.tell()):
                raise OSError(f"it ends after {sink.tell()} of {total} bytes")
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{address}: cannot be read ({error}); download {item.name} by other means into a folder, and name that "
            "folder with --from"
        ) from error
    if item.sha256 and digest.hexdigest() not in item.sha256:
        known = " or ".join(item.sha256)
        raise CheckpointError(f"{address}: its SHA-256 is {digest.hexdigest()}, not {known}: it is another file")
    return digest.hexdigest()


def _length(stream: Any) -> int | None:
    """Content length from the server."""
    announced = stream.headers.get("Content-Length") if hasattr(stream, "headers") else None
    return int(announced) if announced else None


def _below(source: str | os.PathLike[str], name: str) -> str:
    text = str(source)
    return f"{text.rstrip('/')}/{name}" if "://" in text else str(expand_path(text, "--from") / name)


def _open(address: str) -> IO[bytes]:
    if "://" not in address:
        return Path(address).open("rb")
    if not address.startswith(("https://", "http://", "file://")):
        raise ValueError("only https, http and file addresses are read")
    request = urllib.request.Request(address, headers={"User-Agent": "uqdm"})
    return urllib.request.urlopen(request, timeout=60)  # type: ignore[no-any-return]

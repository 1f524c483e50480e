"""Finds kinds of data set by name: the modules of this package and the entry points of others."""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
import pkgutil
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from uqdm import plugins
from uqdm.bench.datasets._base import DataSet, DataSetError, UnknownDataSetError
from uqdm.bench.datasets._file_hashes import file_hashes
from uqdm.bench.lazy_ids import has_repeats
from uqdm.files import write_bytes

ENTRY_POINT_GROUP = "uqdm.datasets"


def open_dataset(spec: str, limit: int | None = None, *, check: bool = True) -> DataSet:
    """Opens a data set and checks all of its images, or with ``check=False`` none: its fingerprint is not taken then.

    ``spec`` is ``"KIND"`` or ``"KIND:ARGUMENT"``: ``"demo"``, ``"folder:PATH"``, ``"npz:PATH"`` (``"npz:PATH#KEY"``
    where the file holds several arrays), ``"cifar10"``, ``"imagenet64"``, ``"kodak"`` (each with ``":PATH"`` where it
    is not in the cache), or a kind that another package brings. With ``limit`` only the first so many images are used
    and checked (all, if there are fewer), and the fingerprint is theirs.

    Raises :class:`UnknownDataSetError` for an unknown kind, and :class:`DataSetError` that names every image that
    cannot be used.

    >>> dataset = open_dataset("demo", limit=4)
    >>> len(dataset), dataset.load(0).shape
    (4, (64, 64, 3))
    """
    if limit is not None and limit < 1:
        raise DataSetError(f"limit={limit}: a data set needs at least one image")
    dataset_type, argument = _parse(spec)
    dataset = dataset_type.open(argument, limit)
    if not len(dataset):
        raise DataSetError(f"data set {spec!r} holds no images")
    if has_repeats(dataset.ids):
        raise DataSetError(f"data set {spec!r}: two images have the same name; give each its own")
    if check:
        _ = dataset.fingerprint  # reads and checks every image
    return dataset


def dataset_files(spec: str) -> list[Path]:
    """The files and folders that a data set is read from, none for one that is built in; no image is opened.

    Raises as :func:`open_dataset` does for an unknown kind, and for official files that are nowhere to be found.

    >>> dataset_files("npz:/data/images.npz#test")
    [PosixPath('/data/images.npz')]
    """
    dataset_type, argument = _parse(spec)
    return dataset_type.files(argument)


def content_digest(spec: str, limit: int | None = None, memory: Path | None = None) -> str:
    """16 hexadecimal digits that change when the data set does: the spec, the limit, names or content of its files.

    No image is opened. Times of files do not count. ``memory`` is a file that makes the next call fast (see
    :func:`uqdm.bench.datasets._file_hashes.file_hashes`). Raises as :func:`open_dataset` does for an unknown kind, and
    :class:`DataSetError` for files that are not there or cannot be read.

    >>> content_digest("demo") == content_digest("demo")
    True
    """
    dataset_type, argument = _parse(spec)
    files = dataset_type.content_files(argument, limit)
    hashes = file_hashes(list(files.values()), memory)
    went_in = [spec, limit, *zip(files, hashes, strict=True)]
    return hashlib.sha256(json.dumps(went_in).encode()).hexdigest()[:16]


def write_digest(spec: str, limit: int | None, folder: Path) -> Path:
    """Writes the digest of a data set (:func:`content_digest`) into ``folder``, unless it is there; returns the file.

    So the file changes, and is newer, when the data set changes. Hashes are remembered beside it.
    """
    digest = content_digest(spec, limit, folder / "file_hashes.json")
    file, content = folder / "images.txt", f"{digest} {spec}\n".encode(errors="backslashreplace")
    if not file.is_file() or file.read_bytes() != content:
        write_bytes(file, content)
    return file


def _parse(spec: str) -> tuple[type[DataSet], str]:
    """The class that a spec names, and its argument."""
    kind, _, argument = spec.partition(":")
    dataset_type = dataset_class(kind, spec)
    optional = dataset_type.argument.startswith("[")
    if bool(argument) != bool(dataset_type.argument) and not (optional and not argument):
        raise DataSetError(f"data set {spec!r}: write it as {_usage(dataset_type)!r}")
    return dataset_type, argument


def dataset_kinds() -> list[str]:
    """Names of all kinds of data set, sorted; none is imported for this."""
    return sorted(_loaders())


def dataset_class(kind: str, spec: str = "") -> type[DataSet]:
    """The class of a kind of data set; ``spec`` is the whole text that the user gave, for the message."""
    loaders, clashes = _loaders(), _entry_points().clashes
    if kind in clashes:
        raise DataSetError(f"data set kind {kind!r} is {clashes[kind]}")
    if kind not in loaders:
        raise UnknownDataSetError(_unknown(kind, spec or kind, sorted(loaders)))
    try:
        found = loaders[kind]()
    except Exception as error:
        raise DataSetError(f"data set kind {kind!r} does not load: {plugins.reason_of(error)}") from error
    if not (isinstance(found, type) and issubclass(found, DataSet) and found.kind == kind):
        raise TypeError(f"data set kind {kind!r}: {found!r} is not a DataSet with kind = {kind!r}")
    return found


def _unknown(kind: str, spec: str, kinds: list[str]) -> str:
    near = get_close_matches(kind, kinds, n=3, cutoff=0.5)
    hint = f" (did you mean {', '.join(near)}?)" if near else ""
    if Path(spec).is_dir():
        hint = f" (for a folder of images write 'folder:{spec}')"
    elif Path(spec).suffix == ".npz":
        hint = f" (for an array of images write 'npz:{spec}')"
    return f"no data set {spec!r}{hint}; known: {', '.join(kinds)}"


def _usage(dataset_type: type[DataSet]) -> str:
    kind, argument = dataset_type.kind, dataset_type.argument
    return f"{kind}[:{argument[1:]}" if argument.startswith("[") else f"{kind}:{argument}" if argument else kind


def broken_datasets() -> tuple[plugins.Broken, ...]:
    """Kinds of data set of other packages that are left out, and why each; imports all that are there."""
    broken = list(_entry_points().broken)
    for kind, entry_point in _entry_points().usable.items():
        try:
            dataset_class(kind)
        except Exception as error:
            broken.append(plugins.fault("data set", entry_point, error.__cause__ or error))
    return tuple(broken)


@functools.cache
def _modules() -> tuple[str, ...]:
    found = (module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    return tuple(name for name in found if not name.startswith("_"))


@functools.cache
def _entry_points() -> plugins.Found:
    return plugins.find("data set", ENTRY_POINT_GROUP, own=_modules())


def _loaders() -> dict[str, Callable[[], Any]]:
    own = {name: functools.partial(_class_in_module, name) for name in _modules()}
    return {**own, **{name: functools.partial(plugins.load, one) for name, one in _entry_points().usable.items()}}


def _class_in_module(name: str) -> Any:
    module = importlib.import_module(f"{__package__}.{name}")
    found = [value for value in vars(module).values() if getattr(value, "kind", None) == name]
    if len(found) != 1:
        raise TypeError(f"{module.__name__} must define one DataSet with kind = {name!r}, it defines {len(found)}")
    return found[0]

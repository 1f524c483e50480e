"""Opens data sets by their spec; the registry of their kinds."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from uqdm.bench.datasets._base import DataSet, DataSetError, UnknownDataSetError
from uqdm.bench.datasets._file_hashes import file_hashes
from uqdm.bench.lazy_ids import has_repeats
from uqdm.files import write_bytes
from uqdm.paths import split_path
from uqdm.plugins import Broken
from uqdm.registry import Errors, Registry

ENTRY_POINT_GROUP = "uqdm.datasets"


def open_dataset(spec: str, limit: int | None = None, *, check: bool = True) -> DataSet:
    """Opens a data set and checks all of its images, or with ``check=False`` none: its fingerprint is not taken then.

    ``spec`` is ``"KIND"`` or ``"KIND:ARGUMENT"``: ``"demo"``, ``"folder:PATH"``, ``"npz:PATH"`` (``"npz:PATH#KEY"``
    where the file holds several arrays), a published set such as ``"cifar10"``, ``"kodak"`` or ``"tecnick"`` (each with
    ``":PATH"`` where it is not in the cache), or a kind that another package brings. With ``limit`` only the first so
    many images are used and checked (all, if there are fewer), and the fingerprint is theirs.

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


def spec_of(text: str) -> str:
    """The spec of what a user names: a spec, which stays as it is, or the path of a folder or of an ``.npz`` file.

    A kind of data set comes before a folder of that name, which can be written with a slash: ``./demo``.

    >>> spec_of("demo"), spec_of("folder:photos"), spec_of("no-such-folder")
    ('demo', 'folder:photos', 'no-such-folder')
    >>> spec_of("/") == "folder:/"
    True
    """
    if not text.strip() or text.partition(":")[0] in dataset_kinds():
        return text
    path, _ = split_path(text)
    found = Path(os.path.expanduser(path))
    if found.is_dir() and path == text:
        return f"folder:{text}"
    return f"npz:{text}" if found.suffix == ".npz" and found.is_file() else text


def dataset_files(spec: str) -> list[Path]:
    """The files and folders that a data set is read from, none for one that is built in; no image is opened.

    Raises as :func:`open_dataset` does for an unknown kind, and for official files that are not found.

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

    The file thus changes, and is newer, when the data set changes. Hashes are stored in the same folder.
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
    return DATA_SETS.names()


def dataset_class(kind: str, spec: str = "") -> type[DataSet]:
    """The class of a kind of data set; ``spec`` is the whole text that the user gave, for the message.

    Raises :class:`UnknownDataSetError` for an unknown kind, and :class:`DataSetError` for one that does not load or
    breaks the contract.
    """
    return DATA_SETS.get(kind, asked=spec, hint=_hint(spec or kind))


def _hint(spec: str) -> str:
    """How to write a path that was given without its kind; empty if it is no path."""
    if Path(spec).is_dir():
        return f" (for a folder of images write 'folder:{spec}')"
    if Path(spec).suffix == ".npz":
        return f" (for an array of images write 'npz:{spec}')"
    return ""


def _usage(dataset_type: type[DataSet]) -> str:
    kind, argument = dataset_type.kind, dataset_type.argument
    return f"{kind}[:{argument[1:]}" if argument.startswith("[") else f"{kind}:{argument}" if argument else kind


def broken_datasets() -> tuple[Broken, ...]:
    """Kinds of data set that are left out, and why each; imports all kinds."""
    return DATA_SETS.broken()


def _check(kind: str, found: Any) -> type[DataSet]:
    if not (isinstance(found, type) and issubclass(found, DataSet) and found.kind == kind):
        raise DataSetError(f"data set {kind!r}: {found!r} is not a DataSet with kind = {kind!r}")
    return found


def _class_in_module(kind: str, module: ModuleType) -> Any:
    found = [value for value in vars(module).values() if getattr(value, "kind", None) == kind]
    if len(found) != 1:
        raise TypeError(f"{module.__name__} must define one DataSet with kind = {kind!r}, it defines {len(found)}")
    return found[0]


def _kind_of(module: str) -> str:
    """The kind that a module defines, by its name.

    >>> _kind_of("clic2020_pro_valid")
    'clic2020-pro-valid'
    """
    return module.replace("_", "-")


DATA_SETS: Registry[type[DataSet]] = Registry(
    "data set",
    ENTRY_POINT_GROUP,
    _check,
    package=__package__,
    pick=_class_in_module,
    name_of=_kind_of,
    errors=Errors(UnknownDataSetError, clash=DataSetError, unavailable=DataSetError),
)

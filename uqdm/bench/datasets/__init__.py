"""Data sets of images: a module each, found in this package by its name; other packages add theirs by entry point.

A new kind of data set is one new file here that defines a subclass of :class:`DataSet`; the file's name is the
kind's name. Another package names its subclass in the entry point group ``uqdm.datasets``.
"""

from uqdm.bench.datasets._base import DataSet, DataSetError, Origin, UnknownDataSetError, content_fingerprint
from uqdm.bench.datasets._image_file import read_image_file
from uqdm.bench.datasets._registry import (
    ENTRY_POINT_GROUP,
    content_digest,
    dataset_class,
    dataset_files,
    dataset_kinds,
    open_dataset,
    write_digest,
)

__all__ = [
    "ENTRY_POINT_GROUP",
    "DataSet",
    "DataSetError",
    "Origin",
    "UnknownDataSetError",
    "content_digest",
    "content_fingerprint",
    "dataset_class",
    "dataset_files",
    "dataset_kinds",
    "open_dataset",
    "read_image_file",
    "write_digest",
]

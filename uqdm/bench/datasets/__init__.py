"""Data sets of images: one module for each kind, found in this package by its name; others are added by entry point.

A new kind of data set is one new file here that defines a subclass of :class:`DataSet`; the file's name, with
hyphens for its underscores, is the kind's name. Another package names its subclass in the entry point group
``uqdm.datasets``.
"""

from uqdm.bench.datasets._base import DataSet, DataSetError, Origin, UnknownDataSetError, content_fingerprint
from uqdm.bench.datasets._images import Images
from uqdm.bench.datasets._npy import check_archive
from uqdm.bench.datasets._registry import (
    ENTRY_POINT_GROUP,
    broken_datasets,
    content_digest,
    dataset_class,
    dataset_files,
    dataset_kinds,
    open_dataset,
    spec_of,
    write_digest,
)
from uqdm.images import read_image as read_image_file  # its earlier name here

__all__ = [
    "ENTRY_POINT_GROUP",
    "DataSet",
    "DataSetError",
    "Images",
    "Origin",
    "UnknownDataSetError",
    "broken_datasets",
    "check_archive",
    "content_digest",
    "content_fingerprint",
    "dataset_class",
    "dataset_files",
    "dataset_kinds",
    "open_dataset",
    "read_image_file",
    "spec_of",
    "write_digest",
]

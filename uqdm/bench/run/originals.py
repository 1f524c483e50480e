"""The original images of a run, each checked by its hash in the rows: from the data set, or as the run keeps them.

An evaluation keeps originals in the run's folder, up to :data:`MOST_BYTES`, so that a run that is moved to another
machine still shows them. The data set is asked first, since it has all of them, and so that a change of it is found.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from uqdm.bench.datasets import DataSet, Images, open_dataset
from uqdm.bench.file_identity import DAMAGED, KIND_ORIGINALS, open_parquet, with_identity, write_stored
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.kept_pictures import picture_writer, png_bytes, png_picture, read_kept_pictures
from uqdm.bench.run.layout import originals_path
from uqdm.bench.run.picture_hash import picture_sha256
from uqdm.bench.schema import ORIGINALS

MOST_BYTES = 2**25
"""Originals are kept, in the order of the data set, until their PNGs have this many bytes: 32 MiB.

That is all of CIFAR-10's 10,000 test images, or of the 24 photographs of Kodak.
"""


def keep_originals(run_dir: Path, dataset: Images) -> None:
    """Writes the first images of a data set to the run's folder, unless they are there.

    Images that cannot be read are left out.
    """
    path, identity = originals_path(run_dir), _identity({"name": dataset.name, "fingerprint": dataset.fingerprint})
    try:
        open_parquet(path, identity)
    except DAMAGED:
        write_stored(path, _originals_file(dataset, identity))


def _originals_file(dataset: Images, identity: Mapping[str, Any]) -> bytes:
    schema, buffer = with_identity(ORIGINALS, identity), io.BytesIO()
    with picture_writer(buffer, schema) as writer:
        for row in _rows(dataset):
            writer.write_table(pa.Table.from_pylist([row], schema=schema))
    return buffer.getvalue()


def _rows(dataset: Images) -> Iterator[dict[str, Any]]:
    left = MOST_BYTES
    for index in range(len(dataset)):
        try:
            image_uint8 = dataset.load(index)
        except (OSError, ValueError):  # its rows have the reason
            continue
        png = png_bytes(image_uint8)
        left -= len(png)
        if left < 0:
            return
        yield {
            "image_index": index,
            "image_id": dataset.ids[index],
            "picture_sha256": picture_sha256(image_uint8),
            "png": png,
        }


def _identity(dataset: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": KIND_ORIGINALS, "dataset": dataset["name"], "fingerprint": dataset["fingerprint"]}


class Originals:
    """Finds the originals of one data set of a run; ``dataset`` is what a manifest says of it."""

    def __init__(self, run_dir: Path, dataset: Mapping[str, Any]) -> None:
        self._run_dir = run_dir
        self._dataset = dataset
        self._reader = DatasetReader(dataset)
        self.faults: dict[str, Exception] = {}
        """Why the data set did not give originals that were asked for, by its text: each reason once."""

    def find(self, index: int, image_id: str, measured_sha256: Collection[str]) -> np.ndarray | None:
        """An original, uint8 [H, W, 3]; None if neither the data set nor the run's folder has it.

        ``measured_sha256`` are the hashes of the original in the rows; none in those of older releases.
        """
        try:
            return self._reader.read(index, image_id, measured_sha256)
        except (OSError, ValueError, LookupError) as error:
            self.faults[str(error)] = error
        return self._kept(index, measured_sha256)

    def _kept(self, index: int, measured_sha256: Collection[str]) -> np.ndarray | None:
        try:
            found = read_kept_pictures(originals_path(self._run_dir), index, _identity(self._dataset))
            fitting = [row for row in found if set(measured_sha256) <= {row["picture_sha256"]}]
            return png_picture(fitting[0]) if fitting else None
        except DAMAGED:
            return None


class DatasetReader:
    """Reads single images of a run's data set, none of whose others is read, and checks each by its hash."""

    def __init__(self, dataset: Mapping[str, Any]) -> None:
        self._facts = dataset
        self._opened: DataSet | None = None
        self._error: Exception | None = None
        self._is_checked = False

    def read(self, index: int, image_id: str, measured_sha256: Collection[str]) -> np.ndarray:
        """The image, uint8 [H, W, 3].

        ``measured_sha256`` is the image's hash in the rows. Where these have none, an older release
        wrote them, and all images of the data set are read to compare its fingerprint. Raises
        :class:`~uqdm.bench.run.errors.ResultsError` for another image than the evaluated one, and
        OSError, ValueError or LookupError where the data set does not open.
        """
        if not measured_sha256:
            return self._whole().load(index)
        image_uint8 = self._named(index, image_id)
        if {picture_sha256(image_uint8)} != set(measured_sha256):
            raise ResultsError(f"{image_id} in {self._facts['spec']} is not the image that was evaluated")
        return image_uint8

    def _named(self, index: int, image_id: str) -> np.ndarray:
        """The image of a name; it is looked for among all images where some came or went."""
        dataset = self._open()
        if index >= len(dataset) or dataset.ids[index] != image_id:
            dataset = open_dataset(_spec(self._facts), check=False)
            if image_id not in dataset.ids:
                raise ResultsError(f"{self._facts['spec']} holds no image {image_id} any more")
            index = dataset.ids.index(image_id)
        return dataset.load(index)

    def _open(self) -> DataSet:
        """The data set, opened once; what it raised is raised again."""
        if self._error is not None:
            raise self._error
        if self._opened is None:
            try:
                self._opened = open_dataset(_spec(self._facts), self._facts["n_images"], check=False)
            except (OSError, ValueError, LookupError) as error:
                self._error = error
                raise
        return self._opened

    def _whole(self) -> DataSet:
        """The data set, all of whose images are those that were evaluated."""
        if not self._is_checked:
            self._opened = open_dataset(_spec(self._facts), self._facts["n_images"])
            if self._opened.fingerprint != self._facts["fingerprint"]:
                raise ResultsError(f"{self._facts['spec']} is not what was evaluated any more")
            self._is_checked = True
        return self._open()


def _spec(facts: Mapping[str, Any]) -> str:
    if "spec" not in facts:
        raise ResultsError("the run does not say where its images are (an older release wrote it); evaluate again")
    return str(facts["spec"])

"""The undamaged files of each codec: those that a run stored, or new ones of a data set's images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uqdm.bench.datasets import Images
from uqdm.bench.file_identity import DAMAGED
from uqdm.bench.robustness.cells import HERE
from uqdm.bench.robustness.codec_process import CodecProcess
from uqdm.bench.run.codec_settings import Request, resolve
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.json_files import listed_shards, read_manifest
from uqdm.bench.run.picture_hash import picture_sha256
from uqdm.bench.run.rows_reader import rows_files
from uqdm.bench.run.shard_files import ShardFiles, StoredStream
from uqdm.bench.run.targets import split_target
from uqdm.bench.schema import STATUS_OK
from uqdm.codec import codec_class
from uqdm.registry import suggest

PictureName = tuple[str, str]
"""The names of a point and of a reconstruction."""


@dataclass(frozen=True)
class CodedFile:
    """A coded file, and the hash of each picture that was decoded from it when it was made."""

    stream: bytes
    picture_sha256: Mapping[PictureName, str]


@dataclass(frozen=True)
class CodecFiles(ABC):
    """A codec at one setting, on a data set; :meth:`read` gives its files."""

    dataset: str
    fingerprint: str
    codec: str
    parameters: Mapping[str, Any]
    setting: str

    def __str__(self) -> str:
        return f"{self.codec}:{self.setting}" if self.setting else self.codec

    @abstractmethod
    def read(self, count: int) -> list[CodedFile]:
        """At most ``count`` files, of images spread evenly over the data set.

        Raises an exception with the reason where there are none.
        """


# ---- of a run -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StoredFiles(CodecFiles):
    """The files that a run stored."""

    run_dir: Path
    manifest: Mapping[str, Any]

    def read(self, count: int) -> list[CodedFile]:
        """See :meth:`CodecFiles.read`; raises :class:`~uqdm.bench.run.errors.ResultsError`."""
        wanted = spread(self.manifest["dataset"]["n_images"], count)
        try:
            found = [
                file
                for facts in listed_shards(self.manifest, self.setting)
                for file in _stored(ShardFiles(self.run_dir, facts), wanted)
            ]
        except FileNotFoundError as error:
            raise ResultsError("its coded files were not kept; evaluate again with --streams") from error
        except DAMAGED as error:
            raise ResultsError(f"{error}; evaluate {self.codec} again") from error
        if not found:
            raise ResultsError("none of the images has a coded file")
        return found


def _stored(shard: ShardFiles, wanted: Sequence[int]) -> Iterator[CodedFile]:
    inside = [index for index in wanted if shard.facts.start <= index < shard.facts.stop]
    if not inside:
        return
    columns = ["point", "reconstruction", "picture_sha256", "stream_sha256", "status"]
    rows = [row for row in shard.rows(columns, inside).to_pylist() if row["status"] == STATUS_OK]
    measured = {row["image_index"]: row["stream_sha256"] for row in rows}
    for index, stored in shard.streams(measured).items():
        if not isinstance(stored, StoredStream):
            raise stored
        of_image = [row for row in rows if row["image_index"] == index]
        pictures = {(row["point"], row["reconstruction"]): row["picture_sha256"] for row in of_image}
        yield CodedFile(stored.stream, pictures)


def files_of_run(run_dir: Path, requests: Sequence[Request]) -> list[CodecFiles]:
    """The codecs of a run, each at the middle one of its settings; or those of ``requests``.

    A request without parameters is the middle setting of its codec. Left out are ideal codecs, which have no files, and
    settings with a target. Raises :class:`~uqdm.bench.run.errors.ResultsError` for a codec or setting that the run does
    not have, and ValueError for a request with a target.
    """
    _check_no_targets(requests)
    manifests = {path.stem: read_manifest(run_dir, path.stem) for path in rows_files(run_dir)}
    if not requests:
        return [_middle(run_dir, manifest) for manifest in manifests.values() if _has_files(manifest)]
    found: dict[str, CodecFiles] = {}
    for request in requests:
        if request.name not in manifests:
            known = ", ".join(manifests)
            raise ResultsError(
                f"no codec {request.name!r}{suggest(request.name, manifests)} in the run; it has: {known}"
            )
        for files in _of_request(run_dir, manifests[request.name], request):
            found[str(files)] = files
    return list(found.values())


def _of_request(run_dir: Path, manifest: Mapping[str, Any], request: Request) -> list[CodecFiles]:
    if request.parameters is None:
        return [_middle(run_dir, manifest)]
    settings = [one.setting for one in resolve([request])[request.name]]
    ran = {one["setting"]: one for one in _ran(manifest)}
    for setting in settings:
        if setting not in ran:
            listed = ", ".join(map(repr, ran))
            raise ResultsError(f"{request.name} has no setting {setting!r} in the run; it has: {listed}")
    return [_files(run_dir, manifest, ran[setting]) for setting in settings]


def _ran(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The settings that ran, but those with a target: each of their images has a setting of its own."""
    ran = [one for one in manifest["settings"] if one["skipped"] is None]
    return [one for one in ran if split_target(f"{manifest['codec']}:{one['setting']}")[1] is None]


def _has_files(manifest: Mapping[str, Any]) -> bool:
    """Whether some setting of the codec ran, and its streams are files."""
    try:
        return bool(_ran(manifest)) and not codec_class(manifest["codec"]).ideal
    except Exception:
        return True  # it is measured, and said to be missing


def _middle(run_dir: Path, manifest: Mapping[str, Any]) -> CodecFiles:
    ran = _ran(manifest)
    if not ran:
        raise ResultsError(f"no setting of {manifest['codec']} ran; evaluate it again")
    return _files(run_dir, manifest, middle(ran))


def _files(run_dir: Path, manifest: Mapping[str, Any], listed: Mapping[str, Any]) -> CodecFiles:
    facts = manifest["dataset"]
    return StoredFiles(
        facts["name"],
        facts["fingerprint"],
        manifest["codec"],
        listed["parameters"],
        listed["setting"],
        run_dir,
        manifest,
    )


# ---- of a data set --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NewFiles(CodecFiles):
    """Files of a data set's images, made and decoded by a process of their own."""

    images: Images
    missing: str | None

    def read(self, count: int) -> list[CodedFile]:
        """See :meth:`CodecFiles.read`; raises :class:`~uqdm.bench.robustness.codec_process.RequestFailedError`."""
        if self.missing is not None:
            raise ResultsError(self.missing)
        with CodecProcess(self.codec, self.parameters, HERE) as process:
            return [self._made(process, index) for index in spread(len(self.images), count)]

    def _made(self, process: CodecProcess, index: int) -> CodedFile:
        stream = process.encode(np.ascontiguousarray(self.images.load(index)))
        pictures = process.reconstructions(stream)
        return CodedFile(stream, {name: picture_sha256(picture) for name, picture in pictures.items()})


def files_of_images(images: Images, requests: Sequence[Request]) -> list[CodecFiles]:
    """New files of images by each codec that ``requests`` name.

    A request without parameters is the middle one of the codec's default settings. Raises as
    :func:`~uqdm.bench.run.codec_settings.resolve`.
    """
    _check_no_targets(requests)
    found: list[CodecFiles] = []
    for request in requests:
        settings = resolve([request])[request.name]
        for one in settings if request.parameters is not None else [middle(settings)]:
            if not one.ideal:
                facts = (images.name, images.fingerprint, one.name, one.parameters, one.setting)
                found.append(NewFiles(*facts, images, one.missing))
    return found


def _check_no_targets(requests: Sequence[Request]) -> None:
    for request in requests:
        if request.target is not None:
            raise ValueError(f"{request.name}@{request.target}: is a target; name a setting, as in jpeg:quality=50")


def middle(settings: Sequence[Any]) -> Any:
    """The middle one of a sweep.

    >>> middle([10, 50, 90])
    50
    """
    return settings[len(settings) // 2]


def spread(n_images: int, count: int) -> list[int]:
    """Indices of ``count`` images, spread evenly over a data set, the first one included; all if there are fewer.

    >>> spread(128, 4), spread(2, 4)
    ([0, 32, 64, 96], [0, 1])
    """
    return list(dict.fromkeys(n_images * number // count for number in range(count)))[:n_images]

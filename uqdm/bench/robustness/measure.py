"""Measures a codec: its files damaged, and decoded in other processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from uqdm.bench.robustness.cells import HERE, OTHERS, Cell
from uqdm.bench.robustness.codec_process import CodecProcess, Limits, Outcome, RequestFailedError
from uqdm.bench.robustness.coded_files import CodecFiles, CodedFile, PictureName
from uqdm.bench.robustness.damages import Damage, DamageKind, damages
from uqdm.bench.robustness.options import RobustnessOptions
from uqdm.bench.run.picture_hash import picture_sha256
from uqdm.bench.run.stored_streams import StreamDamagedError, check_columns, checked_stream
from uqdm.errors import UserError

DAMAGE, ELSEWHERE = "damage", "elsewhere"
"""Values of the column ``check``."""
VARYING = "varying"

Row = dict[str, Any]


class UnusableFilesError(UserError):
    """The undamaged files of a codec do not decode. The message says why."""


@dataclass
class Reference:
    """What the undamaged files decode to in a process."""

    whole: list[np.ndarray] = field(default_factory=list)
    """The picture of each whole file, as ``decode`` gives it."""
    pictures: list[Mapping[PictureName, np.ndarray]] = field(default_factory=list)
    """Every picture of each file."""
    earlier_sha256: list[set[str]] = field(default_factory=list)
    """Hashes of the pictures of each file's shorter prefixes that end at a point, as far as ``decode`` takes them."""

    @classmethod
    def of(cls, process: CodecProcess, files: Sequence[CodedFile]) -> Self:
        """Decodes the files; raises :class:`UnusableFilesError`."""
        found = cls()
        try:
            for file in files:
                found.whole += process.decode_pictures([file.stream])
                found.pictures.append(process.reconstructions(file.stream))
                found.earlier_sha256.append(set(_earlier(process, file.stream)))
        except RequestFailedError as error:
            raise UnusableFilesError(f"an undamaged file does not decode here: {error}") from error
        return found

    def whole_sha256(self, index: int) -> str:
        """The hash of the picture of a whole file."""
        return picture_sha256(self.whole[index])

    def last_kinds(self, index: int) -> set[str]:
        """The kinds of reconstruction of a file's last point, one of which the picture of the whole file is."""
        last, _ = list(self.pictures[index])[-1]
        return {kind for point, kind in self.pictures[index] if point == last}


def _earlier(process: CodecProcess, stream: bytes) -> Iterator[str]:
    for n_bytes in dict.fromkeys(process.points(stream)):
        if n_bytes < len(stream):
            try:
                yield from process.decode([stream[:n_bytes]])
            except RequestFailedError as error:
                if error.outcome is not Outcome.REFUSED:
                    raise


def measure(files: CodecFiles, options: RobustnessOptions, step: Callable[[], None] = lambda: None) -> list[Row]:
    """The rows of ``ROBUSTNESS`` for a codec at one setting; ``step`` is called for each damaged file that is decoded.

    Raises :class:`UnusableFilesError`, and what :meth:`~uqdm.bench.robustness.coded_files.CodecFiles.read` raises.
    """
    coded = files.read(options.files)
    limits = Limits(options.file_time_limit_s, options.memory_limit_gib * 2**30)
    with CodecProcess(files.codec, files.parameters, HERE, limits) as process:
        reference = Reference.of(process, coded)
        rows = _damage_rows(process, coded, reference, options, step)
        rows.append(_row_here(process, coded, reference))
        facts = {
            "dataset": files.dataset,
            "fingerprint": files.fingerprint,
            "codec": files.codec,
            "codec_version": process.version,
            "setting": files.setting,
            "files": len(coded),
            "seed": options.seed,
            "file_time_limit_s": options.file_time_limit_s,
            "memory_limit_gib": options.memory_limit_gib,
        }
        cells = [cell for cell in OTHERS if process.holds_model or not cell.of_networks]
    for cell in cells:
        with CodecProcess(files.codec, files.parameters, cell, limits) as process:
            rows.append(_cell_row(process, cell, coded, reference))
    return [facts | row for row in rows]


# ---- damage ---------------------------------------------------------------------------------------------------


def _damage_rows(
    process: CodecProcess,
    files: Sequence[CodedFile],
    reference: Reference,
    options: RobustnessOptions,
    step: Callable[[], None],
) -> list[Row]:
    streams = [file.stream for file in files]
    found = {kind: Counter[str]() for kind in DamageKind}
    for damage in damages(streams, options.damages, options.seed):
        found[damage.kind][outcome(process, damage, reference)] += 1
        found[damage.kind]["store_refused"] += store_refuses(damage, streams)
        step()
    return [_damage_row(kind, counts) for kind, counts in found.items()]


def _damage_row(kind: DamageKind, counts: Counter[str]) -> Row:
    ended = {str(one): counts[one] for one in Outcome}
    return {
        "check": DAMAGE,
        "case": str(kind),
        "n": sum(ended.values()),
        **ended,
        VARYING: None,
        "largest_difference": None,
        "store_refused": counts["store_refused"],
    }


def outcome(process: CodecProcess, damage: Damage, reference: Reference) -> Outcome:
    """How decoding of a damaged file ends."""
    try:
        (sha256,) = process.decode([damage.stream])
    except RequestFailedError as error:
        return error.outcome
    if any(sha256 == reference.whole_sha256(index) for index in damage.sources):
        return Outcome.SAME
    if any(sha256 in reference.earlier_sha256[index] for index in damage.sources):
        return Outcome.EARLIER
    return Outcome.WRONG


def store_refuses(damage: Damage, streams: Sequence[bytes]) -> bool:
    """Whether the length and hash that a run stores detect the damage."""
    try:
        checked_stream({"stream": damage.stream, **check_columns(streams[damage.sources[0]])})
    except StreamDamagedError:
        return True
    return False


# ---- elsewhere ------------------------------------------------------------------------------------------------


@dataclass
class _Compared:
    """Counts of pictures of a cell by outcome, and the largest difference."""

    counts: Counter[str] = field(default_factory=Counter)
    largest: int | None = None

    def add(self, found: np.ndarray, expected: np.ndarray | None, expected_sha256: str, *, varies: bool) -> None:
        """Counts a picture. ``expected`` is that of the reference; None for a picture of the reference itself."""
        if picture_sha256(found) == expected_sha256:
            self.counts[Outcome.SAME] += 1
            return
        self.counts[VARYING if varies else Outcome.WRONG] += 1
        if expected is not None:
            self.largest = max(self.largest or 0, largest_difference(found, expected))


def largest_difference(one: np.ndarray, other: np.ndarray) -> int:
    """The largest difference of two pictures, uint8 [H, W, 3]; 255 if their sizes differ.

    >>> largest_difference(np.zeros((1, 1, 3), np.uint8), np.full((1, 1, 3), 7, np.uint8))
    7
    """
    if one.shape != other.shape:
        return 255
    return int(np.abs(one.astype(np.int16) - other).max())


def _row_here(process: CodecProcess, files: Sequence[CodedFile], reference: Reference) -> Row:
    """The pictures of the reference, compared with those that were measured."""
    compared = _Compared()
    for file, found in zip(files, reference.pictures, strict=True):
        _compare_pictures(process, file, found, {}, compared)
    return _row_elsewhere(HERE, compared)


def _cell_row(process: CodecProcess, cell: Cell, files: Sequence[CodedFile], reference: Reference) -> Row:
    compared = _Compared()
    for file, expected in zip(files, reference.pictures, strict=True):
        try:
            found = process.reconstructions(file.stream)
        except RequestFailedError as error:
            compared.counts[error.outcome] += len(file.picture_sha256)
        else:
            _compare_pictures(process, file, found, expected, compared)
    if cell.batch > 1:
        for begin in range(0, len(files), cell.batch):
            _compare_batch(process, range(begin, min(begin + cell.batch, len(files))), files, reference, compared)
    return _row_elsewhere(cell, compared)


def _row_elsewhere(cell: Cell, compared: _Compared) -> Row:
    return {
        "check": ELSEWHERE,
        "case": cell.name,
        "n": sum(compared.counts.values()),
        **{str(one): compared.counts[one] for one in Outcome},
        Outcome.EARLIER: None,
        VARYING: compared.counts[VARYING],
        "largest_difference": compared.largest,
        "store_refused": None,
    }


def _compare_pictures(
    process: CodecProcess,
    file: CodedFile,
    found: Mapping[PictureName, np.ndarray],
    expected: Mapping[PictureName, np.ndarray],
    compared: _Compared,
) -> None:
    """Compares the pictures of a file with the hashes that were measured; ``expected`` has their pixels."""
    for name, sha256 in file.picture_sha256.items():
        if name in found:
            compared.add(found[name], expected.get(name), sha256, varies=name[1] in process.varying)
        else:
            compared.counts[Outcome.REFUSED] += 1


def _compare_batch(
    process: CodecProcess, indices: range, files: Sequence[CodedFile], reference: Reference, compared: _Compared
) -> None:
    """Compares the pictures of files that are decoded at once with those that are decoded one by one."""
    try:
        pictures = process.decode_pictures([files[index].stream for index in indices])
    except RequestFailedError as error:
        compared.counts[error.outcome] += len(indices)
        return
    for index, picture in zip(indices, pictures, strict=True):
        sha256 = reference.whole_sha256(index)
        varies = reference.last_kinds(index) <= process.varying
        compared.add(picture, reference.whole[index], sha256, varies=varies)

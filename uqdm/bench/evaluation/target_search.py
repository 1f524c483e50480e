"""Measures images at the setting of their own that reaches a target: searched values, or the points of one file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from uqdm.bench import checked_calls
from uqdm.bench.checked_calls import MeasurementError
from uqdm.bench.evaluation.bisection import Bisection, bisect, unreachable
from uqdm.bench.evaluation.measure import Measured, PictureObserver, Row, failure, image_columns, measure_images
from uqdm.bench.evaluation.metric_process import MetricProcess
from uqdm.bench.run.codec_settings import format_value
from uqdm.bench.run.found_settings import TARGET_POINT
from uqdm.bench.run.search_values import SearchValues
from uqdm.bench.run.targets import Found, Target
from uqdm.bench.schema import STATUS_OK
from uqdm.codec import Codec
from uqdm.text import error_line

Pair = tuple[Codec, Codec]
"""An encoder and a decoder."""
Score = Callable[[np.ndarray, np.ndarray], float]
"""A metric of an original and a decoded picture, uint8 [H, W, 3]; NaN where it has no value."""
_IMAGE = "this image"


@dataclass(frozen=True)
class TargetSearch:
    """A target, the codec to reach it with, and the metric that it is for.

    ``make`` gives the codec, ready to be measured, at the value of that place of ``search``; at the only setting, if
    ``search`` is None. ``score`` is not called for a rate. ``progressive`` says that files may have several points.
    """

    target: Target
    make: Callable[[int], Pair]
    score: Score
    search: SearchValues | None = None
    progressive: bool = False

    def measure(self, images: Sequence[np.ndarray], observers: Sequence[PictureObserver] = ()) -> Measured:
        """As :func:`~uqdm.bench.evaluation.measure.measure_images`; every image has rows of one point.

        An image that the target is not reached on has a failed row with the reason. Observers see the pictures that are
        in the rows alone, and times are those of the final encoding and decoding: the search is in none.
        """
        if self.search is None:
            return self._by_points(images, observers)
        parts = [
            self._by_search(offset, image, self.search, [_At(offset, observer) for observer in observers])
            for offset, image in enumerate(images)
        ]
        measured = Measured(threads=max((part.threads or 0 for part in parts), default=0) or None)
        for part in parts:
            measured.rows += part.rows
            measured.streams += part.streams
        return measured

    # ---- one file for each image, whose points answer ---------------------------------------------------------

    def _by_points(self, images: Sequence[np.ndarray], observers: Sequence[PictureObserver]) -> Measured:
        choice = _PictureChoice(self, images, observers, is_whole_file=False)
        encoder, decoder = self.make(0)
        measured = measure_images(encoder, decoder, images, [choice])
        choice.finish()
        rows = [row for offset in range(len(images)) for row in self._rows(measured, offset, choice, 1, "")]
        is_ok = {row["image_index"] for row in rows if row["status"] == STATUS_OK}
        streams = [stream if offset in is_ok else None for offset, stream in enumerate(measured.streams)]
        return Measured(rows, streams, measured.threads)

    # ---- a search for each image ------------------------------------------------------------------------------

    def _by_search(
        self, offset: int, image: np.ndarray, search: SearchValues, observers: Sequence[PictureObserver]
    ) -> Measured:
        try:
            found = bisect(len(search.values), lambda place: self._try(place, image), self.target)
        except Exception as error:  # of the codec, at one of the values
            return self._failed(offset, image, f"search for {self.target.text}: {error_line(error)}")
        if not found.is_reached:
            reason = unreachable(self.target, found.tries.values(), _IMAGE)
            return self._failed(offset, image, reason, len(found.tries))
        return self._final(offset, image, search, found, observers)

    def _try(self, place: int, image: np.ndarray) -> Found:
        encoder, decoder = self.make(place)
        (encoded,), _ = checked_calls.encode(encoder, [image])
        n_bytes = len(encoded.stream)
        if self.target.is_rate:
            return self.target.rate(n_bytes, image.shape[0] * image.shape[1])
        decoded = None
        for picture, _ in checked_calls.pictures(decoder, encoded.stream, image.shape):
            decoded = picture.image_uint8  # that of the whole file is the last
        if decoded is None:
            raise MeasurementError("a file decoded to no picture")
        return Found(self.score(image, decoded), n_bytes)

    def _final(
        self,
        offset: int,
        image: np.ndarray,
        search: SearchValues,
        found: Bisection,
        observers: Sequence[PictureObserver],
    ) -> Measured:
        encoder, decoder = self.make(found.best)
        choice = _PictureChoice(self, [image], observers, is_whole_file=True)
        measured = measure_images(encoder, decoder, [image], [choice])
        choice.finish()
        setting = ",".join(f"{name}={format_value(encoder.values[name])}" for name in search.names)
        rows = list(self._rows(measured, 0, choice, len(found.tries), setting))
        return Measured([{**row, "image_index": offset} for row in rows], measured.streams, measured.threads)

    def _failed(self, offset: int, image: np.ndarray, reason: str, tries: int | None = None) -> Measured:
        row = {"image_index": offset, **image_columns(image), **failure(reason), **self._asked(tries)}
        return Measured([row], [None])

    # ---- rows -------------------------------------------------------------------------------------------------

    def _asked(self, tries: int | None) -> Row:
        return {"target": self.target.text, "target_tries": tries}

    def _rows(self, measured: Measured, offset: int, choice: _PictureChoice, tries: int, setting: str) -> Iterator[Row]:
        """The rows of one image: those of its chosen pictures, or a failed one with the reason why there are none."""
        rows = [row for row in measured.rows if row["image_index"] == offset]
        if rows[0]["status"] != STATUS_OK:
            yield from ({**row, **self._asked(None)} for row in rows)
            return
        reached = choice.reached(offset)
        for group in reached:
            for row in rows:
                if row["point"] == group.point and row["reconstruction"] in group.pictures:
                    off = {"found_setting": setting, "target_error": self.target.error(group.best)}
                    yield {**row, **self.names_of(group.point), **self._asked(tries), **off}
        if not reached:
            size = {name: rows[0].get(name) for name in ("image_index", "height", "width", "original_sha256")}
            yield {**size, **failure(unreachable(self.target, choice.tried(offset), _IMAGE)), **self._asked(tries)}

    def names_of(self, point: str) -> Row:
        """The columns of a point: one name for all images where each is cut at a point of its own."""
        return {"point": TARGET_POINT, "point_index": 0, "found_point": point} if self.progressive else {}


@dataclass
class _Group:
    """Pictures of a file among which one point is chosen: the best so far, its pictures, and what each point gives."""

    best: Found
    point: str
    point_index: int
    pictures: dict[str, tuple[Row, np.ndarray]] = field(default_factory=dict)
    tried: dict[str, Found] = field(default_factory=dict)

    def is_reached(self, target: Target) -> bool:
        return target.is_reached(self.best, self.tried.values())


class _PictureChoice:
    """Receives the pictures of files, and passes on those at the point that answers the target best, or at the last.

    Where the target is a rate, all kinds of reconstruction share a point; where it is a metric, each has its own, and
    a kind that the file has at one point only counts if no other reaches the target. Pictures are passed on when those
    of the next image begin, since an image may fail until then.
    """

    def __init__(
        self,
        search: TargetSearch,
        images: Sequence[np.ndarray],
        observers: Sequence[PictureObserver],
        *,
        is_whole_file: bool,
    ) -> None:
        self._is_whole_file = is_whole_file
        self._search = search
        self._images = images
        self._observers = observers
        self._groups: dict[int, dict[str, _Group]] = {}
        self._waiting: int | None = None

    def keep(self, offset: int, point_index: int, row: Row, image_uint8: np.ndarray) -> None:
        """See :class:`~uqdm.bench.evaluation.measure.PictureObserver`."""
        if offset != self._waiting:
            self.finish()
            self._waiting = offset
        point, way = row["point"], row["reconstruction"]
        groups = self._groups.setdefault(offset, {})
        name = "" if self._is_whole_file or self._search.target.is_rate else way
        group = groups.get(name)
        if group is None or point != group.point:
            found = self._found(self._images[offset], row, image_uint8)
            tried = {point: found} if group is None else group.tried
            tried[point] = found
            if group is None or self._is_whole_file or self._search.target.is_better(found, than=group.best):
                group = groups[name] = _Group(found, point, point_index, tried=tried)
        if point == group.point:
            group.pictures[way] = dict(row), image_uint8.copy()

    def discard(self, offset: int) -> None:
        """See :class:`~uqdm.bench.evaluation.measure.PictureObserver`."""
        self._groups.pop(offset, None)

    def reached(self, offset: int) -> list[_Group]:
        """The pictures of an image that answer the target; empty if none does."""
        groups = list(self._groups[offset].values())
        if self._is_whole_file:
            return groups
        found = [group for group in groups if group.is_reached(self._search.target)]
        return [group for group in found if len(group.tried) > 1] or found

    def tried(self, offset: int) -> list[Found]:
        """What each point of an image's file gives."""
        return [found for group in self._groups[offset].values() for found in group.tried.values()]

    def finish(self) -> None:
        """Passes on the pictures of the last image; they are not held any longer."""
        offset, self._waiting = self._waiting, None
        if offset is None or offset not in self._groups:
            return
        for group in self.reached(offset):
            for row, image_uint8 in group.pictures.values():
                named = {**row, **self._search.names_of(group.point)}
                for observer in self._observers:
                    observer.keep(offset, named.get("point_index", group.point_index), named, image_uint8)
        for group in self._groups[offset].values():
            group.pictures = {way: (row, _RELEASED) for way, (row, _) in group.pictures.items()}

    def _found(self, image: np.ndarray, row: Mapping[str, Any], image_uint8: np.ndarray) -> Found:
        n_bytes = row["file_bits"] / 8
        if self._search.target.is_rate:
            return self._search.target.rate(n_bytes, image.shape[0] * image.shape[1])
        return Found(self._search.score(image, image_uint8), n_bytes)


_RELEASED = np.empty(0, np.uint8)
"""In place of a picture that was passed on."""


@dataclass(frozen=True)
class _At:
    """An observer of the image at another place."""

    offset: int
    observer: PictureObserver

    def keep(self, offset: int, point_index: int, row: Row, image_uint8: np.ndarray) -> None:
        self.observer.keep(self.offset, point_index, row, image_uint8)

    def discard(self, offset: int) -> None:
        self.observer.discard(self.offset)


def score_of(process: MetricProcess, metric: str) -> Score:
    """A metric of single pictures, computed in a process of its own; NaN where it has no value."""
    return lambda original, decoded: process.scores([(original, decoded)])[0].get(metric, math.nan)

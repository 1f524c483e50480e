"""The rows of set metrics: each setting, point and reconstruction, with its pictures and their originals."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from uqdm.bench.metrics import SetMetric, all_set_metrics, basis_metrics
from uqdm.bench.run.picture_hash import picture_sha256
from uqdm.bench.run.row_batches import row_groups, with_status
from uqdm.bench.run.score_store import PictureKey, set_key
from uqdm.bench.run.shards import Shard
from uqdm.bench.run.stored_run import StoredCodec, StoredRun
from uqdm.bench.run.unscored import unscored_map
from uqdm.bench.schema import STATUS_OK, STATUS_REFERENCE
from uqdm.bench.scoring.extraction import Extractor, FeatureRequest, feature_keys
from uqdm.bench.scoring.patch_choice import PatchChoice
from uqdm.bench.scoring.selection import SetMetricBounds

if TYPE_CHECKING:
    import pandas as pd

ORIGINALS = "originals"
"""Name in place of a codec in the row that compares one half of the originals with the other."""
HALVES = "first half against second half"
_LINE = ["codec", "setting", "point_index", "point", "reconstruction"]
_COLUMNS = [*_LINE, "image_index", "height", "width", "picture_sha256", "status"]


@dataclass(frozen=True)
class SetPicture:
    """A picture of a set: the shard that it is decoded from (None for an original), its hash and size."""

    shard: Shard | None
    image_index: int
    sha256: str
    size: tuple[int, int]
    point: str = ""
    reconstruction: str = ""

    def request(self, metric: SetMetric, positions: tuple[int, ...]) -> FeatureRequest:
        """The request for this picture's features for ``metric``, at these positions."""
        picture = PictureKey(self.image_index, self.point, self.reconstruction, self.sha256)
        return FeatureRequest(picture, self.sha256, metric.patches, positions, metric.extractor)

    def keys(self, metric: SetMetric, positions: tuple[int, ...]) -> list[str]:
        """Keys of this picture's features for ``metric``, at these positions."""
        return feature_keys(self.sha256, metric.patches, positions)


@dataclass
class SetLine:
    """One row of the summary: its names, its set of pictures with their originals, and the values."""

    names: dict[str, Any]
    originals: list[SetPicture]
    pictures: list[SetPicture]
    choice: PatchChoice
    chosen: bool = True
    columns: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def key(self, metric: SetMetric, extractor: Extractor) -> str:
        """Key of the values of ``metric`` in the store of scores."""
        return set_key(metric, extractor.sha256, *(self.keys(metric, side) for side in self.sides))

    @property
    def sides(self) -> tuple[list[SetPicture], list[SetPicture]]:
        """The originals and the pictures."""
        return self.originals, self.pictures

    def keys(self, metric: SetMetric, members: Sequence[SetPicture]) -> list[str]:
        """Keys of the features of one side for ``metric``, one for each item."""
        return [key for one in members for key in one.keys(metric, self.positions(metric, one))]

    def positions(self, metric: SetMetric, member: SetPicture) -> tuple[int, ...]:
        """The numbers of a picture's patches that ``metric`` takes."""
        return self.choice.positions(metric, member.image_index)

    def undefined_reason(self, metric: SetMetric, bounds: SetMetricBounds) -> str | None:
        """The reason why ``metric`` is not computed for these pictures; None if it is."""
        side = min((min(member.size) for member in self.originals), default=0)
        if self.originals and side < metric.smallest_side:
            return f"{side} px is under its smallest side of {metric.smallest_side} px"
        n_items = min(len(self.keys(metric, members)) for members in self.sides)
        if n_items < metric.smallest_set:
            return f"n={n_items} is under the {metric.smallest_set} that it needs"
        return bounds.too_few(metric, n_items) or self.choice.excess(metric)

    def row(self, extractors: Mapping[str, Extractor]) -> dict[str, Any]:
        """The row as ``scores.json`` has it, from the extractors that were loaded, by name.

        It says what the values of each extractor were computed on, and warns of too few images only if the metric that
        declares the warning has a value.
        """
        used = {metric.extractor for metric in all_set_metrics() if metric.name in self.columns}
        basis_columns: dict[str, Any] = {}
        for name, declarer in basis_metrics().items():
            basis, extractor = declarer.basis, extractors.get(name)
            assert basis is not None
            basis_columns |= dict.fromkeys(basis.names)
            if extractor is not None and name in used:
                is_warned = declarer.name in self.columns
                basis_columns |= basis.values(len(self.pictures), extractor, is_warned=is_warned)
        return {**self.names, **self.columns, **basis_columns, "unscored": unscored_map(self.reasons)}


def set_lines(run: StoredRun, metrics: Sequence[SetMetric], bounds: SetMetricBounds) -> list[SetLine]:
    """The lines of the summary that have pictures, and the floor; without ``metrics``, lines of no pictures.

    Lines that are not chosen have a reason in place of pictures.
    """
    indices = bounds.image_indices(len(run.dataset))
    ok = _chosen_rows(run.store.run_dir, indices)
    originals = {index: _original(run.dataset.load(index), index) for index in indices} if metrics else {}
    choice = PatchChoice({index: one.size for index, one in originals.items()}, bounds.patches)
    codecs = {codec.name: codec for codec in run.codecs}
    chosen = {name: bounds.chosen_settings(codec.settings) for name, codec in codecs.items()}
    shards = _shards_of_images(run.codecs, indices)
    lines = []
    for names, group in ok.groupby(_LINE, sort=False):
        line = SetLine(dict(zip(_LINE, names, strict=True)), [], [], choice)
        lines.append(line)
        line.chosen = line.names["setting"] in chosen[line.names["codec"]]
        if line.chosen and metrics:
            found = group[group.image_index.isin(indices)].sort_values("image_index")
            line.pictures = [_set_picture(shards, row) for row in found.to_dict("records")]
            line.originals = [originals[member.image_index] for member in line.pictures]
        else:
            counts = f"{len(chosen[line.names['codec']])} of {len(codecs[line.names['codec']].settings)}"
            reason = f"not among the {counts} settings chosen for metrics of sets"
            line.reasons |= {metric.name: reason for metric in metrics}
    return [*lines, _floor(list(originals.values()), choice)] if metrics else lines


def _shards_of_images(codecs: Sequence[StoredCodec], indices: Sequence[int]) -> dict[tuple[str, str, int], Shard]:
    """The shard of each codec, setting and chosen image."""
    return {
        (codec.name, shard.codec_setting.setting, index): shard
        for codec in codecs
        for shard in codec.shards
        for index in indices[bisect_left(indices, shard.start) : bisect_left(indices, shard.stop)]
    }


def _chosen_rows(run_dir: Path, indices: Sequence[int]) -> pd.DataFrame:
    """The rows with status ok of the chosen images, and at least one of each line, in the order of the files."""
    seen: set[tuple[Any, ...]] = set()
    chosen = pa.array(indices, pa.int32())
    tables = []
    for table in row_groups(run_dir, _COLUMNS):
        ok = with_status(table, STATUS_OK)
        first = []
        for line in zip(*(ok[name].to_pylist() for name in _LINE), strict=True):
            first.append(line not in seen)
            seen.add(line)
        tables.append(ok.filter(pc.or_(pc.is_in(ok["image_index"], chosen), pa.array(first, pa.bool_()))))
    frame: pd.DataFrame = pa.concat_tables(tables).to_pandas()
    return frame


def _original(image: np.ndarray, index: int) -> SetPicture:
    return SetPicture(None, index, picture_sha256(image), (image.shape[0], image.shape[1]))


def _set_picture(shards: Mapping[tuple[str, str, int], Shard], row: Mapping[Any, Any]) -> SetPicture:
    index = int(row["image_index"])
    return SetPicture(
        shards[row["codec"], row["setting"], index],
        index,
        row["picture_sha256"],
        (int(row["height"]), int(row["width"])),
        row["point"],
        row["reconstruction"],
    )


def _floor(originals: Sequence[SetPicture], choice: PatchChoice) -> SetLine:
    """The floor, a bound that codecs cannot be expected to fall below: one half of the originals against the other."""
    half = len(originals) // 2
    names = {"codec": ORIGINALS, "setting": HALVES, "status": STATUS_REFERENCE}
    return SetLine(names, list(originals[:half]), list(originals[half : 2 * half]), choice)

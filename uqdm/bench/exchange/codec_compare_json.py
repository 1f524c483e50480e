"""The JSON of codec-compare: one file, a *batch*, for each curve, with a row for each image and point.

As the README of webmproject/codec-compare describes it: constants and fields are listed as objects of one name and its
description, in the order of the values. The names of fields that its pages treat as sizes, times and metrics are those
of its file ``src/entry.ts``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uqdm.bench.analysis.summary_csv import numeric_parameters
from uqdm.bench.metrics import all_metrics
from uqdm.bench.run.tables import records

if TYPE_CHECKING:
    import pandas as pd

NAMES = {"psnr_db": "psnr", "ms_ssim": "msssim"}
"""codec-compare's names of metrics; others have the names that they have here."""
EXACT_PSNR_DB = 99.0
"""PSNR of an exact picture: JSON has no infinity, and libwebp gives this number."""
COLUMNS = ["image_id", "height", "width", "setting", "point", "reconstruction", "file_bits", "encode_ms", "decode_ms"]
"""The columns of rows that a batch is made of, beside metrics."""
_PLAIN = ("full", "decoded", "exact")  # points and reconstructions that are no choice


@dataclass(frozen=True)
class Batch:
    """What is known of a batch as a whole."""

    name: str
    codec: str
    version: str
    time: str
    """When the rows were measured, ISO 8601."""
    protocol: str


def codec_compare_json(batch: Batch, rows: pd.DataFrame) -> str:
    """The text of the file of some rows of one codec; ``rows`` have :data:`COLUMNS` and metrics, and status ok.

    A metric that some row lacks is left out.
    """
    constants = {
        "name": ("Name of this batch", batch.name),
        "codec": ("Name of the codec used to generate this data", batch.codec),
        "version": ("Version of the codec used to generate this data", batch.version),
        "time": ("Timestamp of when this data was generated", batch.time),
        "protocol": ("How the figures were made", batch.protocol),
    }
    fields = _fields(rows)
    content = {
        "constant_descriptions": [{name: text} for name, (text, _) in constants.items()],
        "constant_values": [value for _, value in constants.values()],
        "field_descriptions": [{name: text} for name, (text, _) in fields.items()],
        "field_values": [list(values) for values in zip(*(values for _, values in fields.values()), strict=True)],
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def batch_list(names: Sequence[str]) -> str:
    """The text of the file that names the batches, for ``index.html?load=``."""
    return json.dumps([[name] for name in names], indent=1) + "\n"


def _fields(rows: pd.DataFrame) -> dict[str, tuple[str, list[Any]]]:
    """The fields by name: description and values."""
    found: dict[str, tuple[str, list[Any]]] = {
        "original_name": ("Original image name in its data set", rows.image_id.tolist()),
        "width": ("Pixel columns in the original image", rows.width.astype(int).tolist()),
        "height": ("Pixel rows in the original image", rows.height.astype(int).tolist()),
    }
    if rows.setting.nunique() > 1:
        found["setting"] = ("Parameters of the codec", rows.setting.tolist())
    for name, numbers in numeric_parameters(rows.setting.tolist()).items():
        values = numbers.to_pylist()
        if name not in found and len({*values}) > 1 and None not in values:
            found[name] = (f"Parameter {name} of the codec", values)
    for name in ("point", "reconstruction"):
        if not set(rows[name]) <= set(_PLAIN):
            found[name] = (f"The {name} of the picture in its progressive file", rows[name].tolist())
    found["encoded_size"] = ("Size in bytes of the file, or of its part up to the point", _bytes(rows))
    found["encoding_time"] = ("Encoding duration in seconds; depends on the machine", _seconds(rows.encode_ms))
    found["decoding_time"] = ("Decoding duration in seconds; depends on the machine", _seconds(rows.decode_ms))
    return {name: field for name, field in {**found, **_metrics(rows)}.items() if None not in field[1]}


def _metrics(rows: pd.DataFrame) -> dict[str, tuple[str, list[Any]]]:
    return {
        NAMES.get(metric.name, metric.name): (
            f"Distortion metric: {metric.comment.replace('+inf', f'{EXACT_PSNR_DB:g} for infinite')}",
            [_number(value) for value in rows[metric.name]],
        )
        for metric in all_metrics()
    }


def _bytes(rows: pd.DataFrame) -> list[int]:
    return [int(bits) // 8 for bits in rows.file_bits]


def _seconds(values_ms: pd.Series) -> list[float | None]:
    return [None if math.isnan(value) else float(value) / 1000 for value in values_ms]


def _number(value: float) -> float | None:
    """A finite number, None where there is none; the PSNR of exact pictures is :data:`EXACT_PSNR_DB`."""
    if value is None or math.isnan(value):
        return None
    return EXACT_PSNR_DB if math.isinf(value) else float(value)


def rows_of(points: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of single images of the points of a curve, in the order of the points."""
    keys = ["codec", "setting", "point", "reconstruction"]
    order = {tuple(row[name] for name in keys): place for place, row in enumerate(records(points))}
    found = rows.assign(place=[order.get(key, -1) for key in rows[keys].itertuples(index=False, name=None)])
    return found[found.place >= 0].sort_values(["place", "image_index"], kind="stable")

"""CompressAI's JSON: one file for each curve, with lists of equal length.

``{"name": ..., "description": ..., "results": {"bpp": [...], "psnr-rgb": [...], "ms-ssim-rgb": [...]}}``, as in the
folder ``results/`` of InterDigitalInc/CompressAI, whose ``compressai.utils.plot`` draws such files. MS-SSIM is linear,
times are in seconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uqdm.bench.exchange.rd_curve import RATE, PointsError, RdCurve, checked_points, metric_names
from uqdm.text import printable

NAMES = {"psnr_db": "psnr-rgb", "ms_ssim": "ms-ssim-rgb"}
"""CompressAI's names of metrics; others have the names that they have here."""
_OURS = {theirs: ours for ours, theirs in NAMES.items()} | {"psnr": "psnr_db", "ms-ssim": "ms_ssim"}
_TIMES = {"encode_ms": "encoding_time", "decode_ms": "decoding_time"}


def read_compressai(path: Path) -> tuple[RdCurve, list[str]]:
    """The curve of a file, and the names of lists that were ignored.

    Raises :class:`~uqdm.bench.exchange.rd_curve.PointsError` for a file of another form.
    """
    import pandas as pd

    content = _read(path)
    results = content.get("results")
    if not isinstance(results, Mapping) or RATE not in results:
        raise PointsError(f'{path}: no "results" with a list "bpp"; expected the JSON of CompressAI')
    lists = {_OURS.get(name, name): values for name, values in results.items()}
    known = {name: values for name, values in lists.items() if name in (RATE, *metric_names())}
    for name, values in known.items():
        is_list = isinstance(values, list) and all(type(value) in (int, float) for value in values)
        if not is_list or len(values) != len(known[RATE]):
            raise PointsError(f"{path}: {name}: expected a list of numbers, as many as in bpp")
    points = checked_points(pd.DataFrame(known), str(path))
    texts = [str(content.get(name) or "") for name in ("name", "description")]
    ignored = [printable(str(name)) for name in lists if name not in (*known, *_TIMES.values())]
    return RdCurve(texts[0], points, "", texts[1]), ignored


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise PointsError(f"{path}: does not read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise PointsError(f"{path}: not an object of JSON; expected the JSON of CompressAI")
    return content


def compressai_json(curve: RdCurve, times_ms: Mapping[str, list[float]] | None = None) -> str:
    """The text of the file of a curve. A metric that some point lacks is left out, since lists have no gaps.

    ``times_ms`` has ``encode_ms`` and ``decode_ms`` of the points, which become seconds.

    >>> import pandas as pd
    >>> curve = RdCurve("jpeg", pd.DataFrame({"bpp": [0.5], "psnr_db": [30.0]}), "file", "sizes of files")
    >>> json.loads(compressai_json(curve))["results"]
    {'bpp': [0.5], 'psnr-rgb': [30.0]}
    """
    import numpy as np

    results: dict[str, list[float]] = {RATE: curve.points[RATE].tolist()}
    for name in curve.metrics:
        if np.isfinite(curve.points[name]).all():
            results[NAMES.get(name, name)] = curve.points[name].tolist()
    for name, theirs in _TIMES.items():
        values = (times_ms or {}).get(name, [])
        if values and np.isfinite(values).all():
            results[theirs] = [value / 1000 for value in values]
    content = {"name": curve.name, "description": curve.protocol, "results": results}
    return json.dumps(content, indent=2, allow_nan=False) + "\n"

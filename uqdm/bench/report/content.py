"""What stands in the tables of the report, as text."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uqdm.bench.results import records
from uqdm.bench.schema import STATUS_OK, STATUS_REFERENCE, STATUS_SKIPPED, SUMMARY
from uqdm.bench.tables import NONE

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Cell:
    """Text of a cell with its interval, if it has one, and the value that it is sorted by."""

    text: str
    value: float | str
    interval: str = ""


@dataclass(frozen=True)
class Table:
    """Headings (each with an explanation) and rows."""

    headings: list[tuple[str, str]]
    rows: list[list[Cell]]


# Column of the summary, heading, decimals (None: not a number with decimals). Explanations are those of the schema.
_COLUMNS = (
    ("dataset", "data set", None),
    ("codec", "codec", None),
    ("setting", "setting", None),
    ("point", "point", None),
    ("reconstruction", "picture", None),
    ("n", "images", 0),
    ("failed", "failed", 0),
    ("exact", "exact", 0),
    ("bpp", "rate, bpp", 3),
    ("ideal_bpp", "ideal, bpp", 3),
    ("psnr_db", "PSNR, dB", 2),
    ("mse", "MSE", 2),
    ("encode_ms", "encode, ms", 2),
    ("decode_ms", "decode, ms", 2),
)


def title(summary: pd.DataFrame) -> str:
    """Heading of the page."""
    return f"Image compression benchmark: {', '.join(summary.dataset.unique())}"


def lead(summary: pd.DataFrame, origin: Mapping[str, Any]) -> str:
    """One sentence on what was run, on what, and by what."""
    ran = summary[~summary.status.isin([STATUS_SKIPPED, STATUS_REFERENCE])]
    settings = len(ran.drop_duplicates(["dataset", "codec", "setting"]))
    images = "; ".join(
        f"{int(data.n.max())} images of {name} (fingerprint {data.fingerprint.iloc[0]})"
        for name, data in summary.groupby("dataset")
    )
    return (
        f"{ran.codec.nunique()} codecs at {settings} settings on {images}. "
        f"Summarized {_date(origin)} with {origin.get('project', 'an unknown version')}"
        f"{_revision(origin)}."
    )


def protocol(origin: Mapping[str, Any]) -> list[str]:
    """How the numbers were made, as the summary's provenance has it."""
    made = origin.get("protocol", {})
    return [f"{name}: {text}" for name, text in made.items()]


def full_table(summary: pd.DataFrame) -> Table:
    """Every row of the summary that has pictures; a column that says nothing is left out."""
    ok = summary[summary.status == STATUS_OK]
    columns = [column for column in _COLUMNS if not _silent(ok, column[0])]
    headings = [(heading, _explanation(name)) for name, heading, _ in columns]
    return Table(headings, [[_cell(row, name, decimals) for name, _, decimals in columns] for row in records(ok)])


def codec_table(summary: pd.DataFrame, origin: Mapping[str, Any]) -> Table:
    """Of each codec: version, settings, and when and where its rows were measured."""
    headings = ["codec", "version", "settings", "measured", "by", "on"]
    return Table(
        [(heading, "") for heading in headings],
        [
            [Cell(text, text) for text in _codec_facts(str(codec), rows, origin.get("rows", {}).get(codec, {}))]
            for codec, rows in summary.groupby("codec")
        ],
    )


def packages(origin: Mapping[str, Any]) -> list[str]:
    """Versions of the packages that rows were measured with; all of them where codecs differ."""
    found: dict[str, dict[str, None]] = {}
    for one in origin.get("rows", {}).values():
        for name, version in one.get("packages", {}).items():
            if version is not None:
                found.setdefault(name, {})[version] = None
    return [f"{name} {' and '.join(versions)}" for name, versions in sorted(found.items())]


def _codec_facts(codec: str, rows: pd.DataFrame, origin: Mapping[str, Any]) -> list[str]:
    machine = origin.get("machine", {})
    place = [str(machine[key]) for key in ("cpu", "platform") if machine.get(key)]
    place += [f"Python {machine['python']}"] if machine.get("python") else []
    place += machine.get("gpus", [])
    versions = rows.codec_version.dropna().unique()
    return [
        codec,
        "; ".join(versions) or NONE,
        str(rows.setting.nunique()),
        _date(origin),
        f"{origin.get('project', NONE)}{_revision(origin)}",
        ", ".join(place) or NONE,
    ]


def _date(origin: Mapping[str, Any]) -> str:
    """Date and minute of a provenance, in UTC."""
    if "date" not in origin:
        return "at an unknown time"
    return f"{datetime.datetime.fromisoformat(origin['date']).astimezone(datetime.UTC):%Y-%m-%d %H:%M} UTC"


def _revision(origin: Mapping[str, Any]) -> str:
    revision = origin.get("git_revision")
    if not revision:
        return ""
    commit, plus, dirty = revision.partition("+")
    return f", revision {commit[:10]}{plus}{dirty}"


def _silent(rows: pd.DataFrame, name: str) -> bool:
    """True for a column that is empty, or names the one data set or the one kind of picture that there is."""
    constant = name in ("dataset", "point", "reconstruction") and rows[name].nunique() == 1
    return bool(constant or rows[name].isna().all())


def _explanation(name: str) -> str:
    comment = (SUMMARY.field(name).metadata or {}).get(b"comment", b"").decode()
    return comment + (", with its 95 % interval" if f"{name}_low" in SUMMARY.names else "")


def _cell(row: Mapping[str, Any], name: str, decimals: int | None) -> Cell:
    value = row[name]
    if decimals is None:
        return Cell(str(value), str(value))
    if math.isnan(value):
        return Cell(NONE, -math.inf)
    if math.isinf(value):
        return Cell("exact", value)
    ends = [row.get(f"{name}_{end}", math.nan) for end in ("low", "high")]
    interval = "" if any(map(math.isnan, ends)) else " to ".join(f"{end:.{decimals}f}" for end in ends)
    return Cell(f"{value:.{decimals}f}", value, interval)

"""Texts of the report: title, lead, protocol and provenance."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from uqdm.bench.analysis.curves import shared_parameters
from uqdm.bench.analysis.short_table import NONE
from uqdm.bench.report.results_table import Cell, Heading, Table
from uqdm.bench.schema import STATUS_REFERENCE, STATUS_SKIPPED

if TYPE_CHECKING:
    import pandas as pd


def title(summary: pd.DataFrame) -> str:
    """Heading of the page."""
    return f"Image compression benchmark: {', '.join(summary.dataset.unique())}"


def lead(summary: pd.DataFrame, origin: Mapping[str, Any]) -> str:
    """What was run, on which images, and by which version."""
    ran = summary[~summary.status.isin([STATUS_SKIPPED, STATUS_REFERENCE])]
    settings = len(ran.drop_duplicates(["dataset", "codec", "setting"]))
    images = "; ".join(
        f"{_images(data)} of {name} (fingerprint {data.fingerprint.iloc[0]})"
        for name, data in summary.groupby("dataset")
    )
    runs = origin.get("merged_from", ())
    merged = f"Merged from {_counted(len(runs), 'run')}: {', '.join(runs)}. " if runs else ""
    return (
        f"{_counted(ran.codec.nunique(), 'codec')} at {_counted(settings, 'setting')} on {images}. {merged}"
        f"Summarized {_date(origin)} with {origin.get('project', 'an unknown version')}"
        f"{_revision(origin)}."
    )


def _images(rows: pd.DataFrame) -> str:
    """Number of measured images; none for a run that skipped every setting."""
    measured = int((rows.n + rows.failed).max())
    return _counted(measured, "image") if measured else "no image"


def _counted(number: int, noun: str) -> str:
    """A number and its noun.

    >>> _counted(1, "codec"), _counted(2, "setting")
    ('1 codec', '2 settings')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def protocol(origin: Mapping[str, Any]) -> list[str]:
    """How the numbers were computed, from the summary's provenance."""
    made = origin.get("protocol", {})
    return [f"{name}: {text}" for name, text in made.items()]


def codec_table(summary: pd.DataFrame, origin: Mapping[str, Any]) -> Table:
    """For each codec its version, settings, and the date and machine of its rows."""
    headings = ["codec", "version", "settings", "measured", "by", "on", "parameters of all settings"]
    found = {str(codec): rows for codec, rows in summary[summary.status != STATUS_REFERENCE].groupby("codec")}
    return Table(
        [Heading(heading) for heading in headings],
        [
            [Cell(text, text) for text in _codec_facts(codec, rows, origin.get("rows", {}).get(codec, {}))]
            for codec, rows in found.items()
        ],
        [{"codec": codec} for codec in found],
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
        shared_parameters(rows.setting.unique()) or NONE,
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

"""Curves of others that a user imports into a run: shown beside its own ones, dashed, and never part of statistics.

They are stored in the run's folder, a file of :mod:`uqdm.bench.exchange.points_csv` for each. Removing the file removes
the curve.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from uqdm.bench.analysis.file_names import safe
from uqdm.bench.analysis.published_systems import RATE_KINDS
from uqdm.bench.exchange.compressai_json import read_compressai
from uqdm.bench.exchange.points_csv import points_csv, read_points_csv
from uqdm.bench.exchange.rd_curve import PointsError, RdCurve, check_names, checked_text
from uqdm.bench.file_identity import write_stored
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.layout import imported_dir, is_run
from uqdm.registry import suggest
from uqdm.text import printable

MOST_NAMED = 12
"""Imported curves that a legend names."""
MOST_DESCRIBED = 6
"""Imported curves whose protocols a note lists."""
UNSTATED = "unstated"
"""The kind of a rate that nobody states."""
_ALIASES = {"estimate": "ideal", "file size": "file", "entropy estimate": "ideal", "": UNSTATED, "unknown": UNSTATED}


@dataclass(frozen=True)
class About:
    """What a user says of imported curves; what is None is as the file says."""

    name: str | None = None
    protocol: str | None = None
    rate_kind: str | None = None
    source: str | None = None


@dataclass(frozen=True)
class Imported:
    """The stored curves with their files, and the columns of the file that were ignored."""

    curves: dict[Path, RdCurve]
    ignored: list[str]


def import_points(run_dir: Path, file: Path, about: About) -> Imported:
    """Stores the curves of a file in a run's folder; an earlier import of a curve's name is replaced.

    The file is plain CSV (:mod:`uqdm.bench.exchange.points_csv`) or CompressAI's JSON. Raises
    :class:`~uqdm.bench.exchange.rd_curve.PointsError` where it is neither, or lacks a name or a protocol that ``about``
    does not give, and :class:`~uqdm.bench.run.errors.ResultsError` for a folder that is no run's. Then nothing is
    stored.
    """
    if not is_run(run_dir):
        raise ResultsError(f"{run_dir}: not the folder of a run; name one, such as results/demo")
    found, ignored = read_points(file)
    if about.name is not None and len(found) > 1:
        names = ", ".join(curve.name for curve in found)
        raise PointsError(f"{file}: has {len(found)} curves, which it names itself ({names}); leave out --name")
    described = [_described(curve, about, file) for curve in found]
    check_names(described, str(file))
    files = {imported_path(run_dir, curve.name): curve for curve in described}
    for path, curve in files.items():
        write_stored(path, points_csv([curve]).encode())
    return Imported(files, ignored)


def read_points(file: Path) -> tuple[list[RdCurve], list[str]]:
    """The curves of a file of CSV or JSON, and the names of what was ignored."""
    with file.open("rb") as opened:
        is_json = opened.read(64).lstrip()[:1] in (b"{", b"[")
    if not is_json:
        return read_points_csv(file)
    curve, ignored = read_compressai(file)
    return [curve], ignored


def _described(curve: RdCurve, about: About, file: Path) -> RdCurve:
    where = f"{file}: curve {curve.name!r}" if curve.name else str(file)
    name = about.name or curve.name
    if not name.strip():
        raise PointsError(f"{file}: the curve has no name; give it one with --name")
    protocol = about.protocol or curve.protocol
    if not protocol.strip():
        raise PointsError(f"{where}: how were the figures made? Say it with --protocol 'TEXT'")
    return replace(
        curve,
        name=checked_text(name, "name", where),
        protocol=checked_text(protocol, "protocol", where),
        rate_kind=_rate_kind(curve.rate_kind if about.rate_kind is None else about.rate_kind, where),
        source=checked_text(about.source or curve.source or file.name, "source", where),
    )


def _rate_kind(text: str, where: str) -> str:
    kind = _ALIASES.get(text, text)
    if kind not in RATE_KINDS:
        known = ", ".join(f"{name} ({meaning})" for name, meaning in RATE_KINDS.items())
        raise PointsError(f"{where}: no kind of rate {printable(text)!r}{suggest(text, RATE_KINDS)}; known: {known}")
    return kind


def imported_path(run_dir: Path, name: str) -> Path:
    """The file of an imported curve."""
    stem = safe(name)
    unique = stem if stem == name else f"{stem}-{zlib.crc32(name.encode()):08x}"
    return imported_dir(run_dir) / f"{unique}.csv"


def imported_curves(run_dir: Path) -> list[RdCurve]:
    """The imported curves of a run by name; raises ResultsError, with the remedy, for a file that does not read."""
    found: list[tuple[Path, RdCurve]] = []
    for path in sorted(imported_dir(run_dir).glob("[!.]*.csv")):
        try:
            found += [(path, _described(curve, About(), path)) for curve in read_points_csv(path)[0]]
        except (PointsError, OSError) as error:
            raise ResultsError(f"{error}; import it again, or remove {path}") from error
    return sorted(_named_apart(found), key=lambda curve: curve.name)


def _named_apart(found: Sequence[tuple[Path, RdCurve]]) -> list[RdCurve]:
    """The curves; those of one name, as merged runs may have, with the names of their files."""
    names = [curve.name for _, curve in found]
    return [
        replace(curve, name=f"{curve.name} ({path.stem})") if names.count(curve.name) > 1 else curve
        for path, curve in found
    ]


def imported_label(curve: RdCurve) -> str:
    """The name of an imported curve in legends, with what its rate is."""
    return f"{curve.name}, imported ({curve.rate_kind})"


def imported_note(curves: Sequence[RdCurve]) -> str:
    """The note below plots with imported curves; empty without any."""
    if not curves:
        return ""
    listed = [f"{curve.name}: {curve.protocol} ({curve.source})" for curve in curves[:MOST_DESCRIBED]]
    more = len(curves) - len(listed)
    listed += [f"{more} more, whose protocols are in the files of imported/"] if more else []
    return f"Dashed, with hollow marks: imported curves of others, not measured here. {'; '.join(listed)}."


def legend_of(curves: Sequence[RdCurve]) -> list[str]:
    """The texts of imported curves in a legend: a line for each, or one line for all where they are many."""
    if len(curves) > MOST_NAMED:
        return [f"{len(curves)} imported curves"]
    return [imported_label(curve) for curve in curves]

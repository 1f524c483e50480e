"""Writes the curves of a run for other programs: plain CSV, CompressAI's JSON, codec-compare's JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from uqdm.bench.analysis.curves import Curve, curves, lossless
from uqdm.bench.analysis.file_names import safe
from uqdm.bench.exchange.codec_compare_json import COLUMNS, Batch, batch_list, codec_compare_json, rows_of
from uqdm.bench.exchange.compressai_json import compressai_json
from uqdm.bench.exchange.points_csv import points_csv
from uqdm.bench.exchange.rd_curve import LONGEST_TEXT, RATE, RdCurve
from uqdm.bench.metrics import all_metrics, declared
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.rates import is_ideal
from uqdm.bench.run.rows_reader import read_rows
from uqdm.bench.run.summary_reader import read_summary, summary_provenance
from uqdm.bench.schema import RATE_FILE, RATE_IDEAL, STATUS_OK
from uqdm.files import write_bytes
from uqdm.output import check_output
from uqdm.text import counted, one_line

if TYPE_CHECKING:
    import pandas as pd

_RATES = {RATE_FILE: "bits of whole files, headers included", RATE_IDEAL: "ideal rates by the model, of no files"}


@dataclass(frozen=True)
class Exported:
    """The files that were written, and notes on what is not in them."""

    files: list[Path]
    notes: list[str]


@dataclass(frozen=True, eq=False)
class _RunCurve:
    """A curve of a run: as it is drawn, and as it is exchanged."""

    drawn: Curve
    exchanged: RdCurve


def export_run(run_dir: Path, form: str, out: Path) -> Exported:
    """Writes a summarized run in one of :data:`FORMS`: ``csv`` to the file ``out``, others into the folder ``out``.

    The points are those of the run's curves: settings at which every image is exact are in no curve. Raises
    :class:`~uqdm.bench.run.errors.ResultsError` where the run has no curve, and
    :class:`~uqdm.output.OutputError` where a file would be lost.
    """
    if form not in FORMS:
        raise ValueError(f"no form {form!r}; choose from {', '.join(FORMS)}")
    summary = read_summary(run_dir)
    texts, notes = FORMS[form](run_dir, summary)
    if not texts:
        raise ResultsError(f"{run_dir}: no curve to export: no codec has a point between lossless and nothing")
    files = {out if not name else out / name: text for name, text in texts.items()}
    for path in files:
        check_output(path, _is_ours, force=None)
    for path, text in files.items():
        write_bytes(path, text.encode())
    return Exported(list(files), notes)


def run_curves(run_dir: Path, summary: pd.DataFrame) -> list[RdCurve]:
    """The curves of a run as they are exchanged, the one with the lowest rate at equal PSNR first."""
    return [one.exchanged for one in _curves(run_dir, summary)]


def _curves(run_dir: Path, summary: pd.DataFrame) -> list[_RunCurve]:
    made = summary_provenance(run_dir)
    source = f"measured with {made.get('project', 'uqdm')}, run {run_dir.resolve().name}, {made.get('date', '')[:10]}"
    several = summary.dataset.nunique() > 1
    found = []
    for dataset, rows in summary[summary.status == STATUS_OK].groupby("dataset"):
        for curve in curves(rows):
            name = f"{curve.label} on {dataset}" if several else curve.label
            found.append(_RunCurve(curve, _exchanged(curve, name, source)))
    return found


def _exchanged(curve: Curve, name: str, source: str) -> RdCurve:
    metrics = [metric.name for metric in declared() if metric.name in curve.points]
    points = curve.points[["rate_bpp", *metrics]].rename(columns={"rate_bpp": RATE}).reset_index(drop=True)
    kind = RATE_IDEAL if curve.ideal else RATE_FILE
    first = curve.points.iloc[0]
    images = f"means over {counted(int(curve.points.n.max()), 'image')} of {first.dataset} ({first.fingerprint})"
    versions = ", ".join(curve.points.codec_version.dropna().unique())
    about = "; ".join(filter(None, [_RATES[kind], images, versions, curve.settings]))
    return RdCurve(name, points.dropna(axis=1, how="all"), kind, one_line(about, LONGEST_TEXT), one_line(source))


# ---- the forms: names of files, empty for `out` itself, with their texts; and notes ----------------------------

_Texts = tuple[dict[str, str], list[str]]


def _csv(run_dir: Path, summary: pd.DataFrame) -> _Texts:
    found = _curves(run_dir, summary)
    described = ["dataset", "setting", "point", "reconstruction"]
    more = {one.exchanged.name: one.drawn.points[described].reset_index(drop=True) for one in found}
    return ({"": points_csv([one.exchanged for one in found], more)} if found else {}), []


def _compressai(run_dir: Path, summary: pd.DataFrame) -> _Texts:
    found = _curves(run_dir, summary)
    names = _file_names([one.exchanged.name for one in found])
    times = [{name: one.drawn.points[name].tolist() for name in ("encode_ms", "decode_ms")} for one in found]
    texts = [compressai_json(one.exchanged, times_ms) for one, times_ms in zip(found, times, strict=True)]
    return dict(zip(names, texts, strict=True)), []


def _codec_compare(run_dir: Path, summary: pd.DataFrame) -> _Texts:
    rows = read_rows(run_dir, ["codec", "status", "image_index", *COLUMNS, *(metric.name for metric in all_metrics())])
    rows = rows[rows.status == STATUS_OK]
    batches = list(_batches(run_dir, summary))
    names = _file_names([batch.name for batch, _ in batches])
    texts = {
        name: codec_compare_json(batch, rows_of(points, rows))
        for name, (batch, points) in zip(names, batches, strict=True)
    }
    listed = {"batches.json": batch_list(names)} if names else {}
    ideal = sorted(summary[is_ideal(summary)].codec.unique())
    return texts | listed, [f"{codec}: ideal rates, no files; left out" for codec in ideal]


def _batches(run_dir: Path, summary: pd.DataFrame) -> Iterator[tuple[Batch, pd.DataFrame]]:
    """Each batch with its points: curves of files, and the lossless settings of each codec."""
    times = {codec: made.get("date", "") for codec, made in summary_provenance(run_dir).get("rows", {}).items()}
    for one in _curves(run_dir, summary):
        if not one.drawn.ideal:
            curve = one.drawn
            yield _batch(one.exchanged.name, curve.points, times, one.exchanged.protocol), curve.points
    for _, rows in summary[summary.status == STATUS_OK].groupby("dataset"):
        exact = lossless(rows[~is_ideal(rows)])
        for place in range(len(exact)):
            points = exact.iloc[[place]]
            yield _batch(f"{points.name.iloc[0]} lossless", points, times, _RATES[RATE_FILE]), points


def _batch(name: str, points: pd.DataFrame, times: Mapping[str, str], protocol: str) -> Batch:
    codec = str(points.codec.iloc[0])
    versions = ", ".join(points.codec_version.dropna().unique())
    return Batch(name, codec, versions, times.get(codec, ""), protocol)


def _file_names(names: list[str]) -> list[str]:
    """A name of a JSON file for each curve; all different, upper and lower case apart."""
    stems: list[str] = []
    for name in names:
        taken = {stem.casefold() for stem in stems} | {"batches"}
        choices = (f"{safe(name)}{end}" for end in ("", *(f"-{number}" for number in range(2, len(names) + 3))))
        stems.append(next(stem for stem in choices if stem.casefold() not in taken))
    return [f"{stem}.json" for stem in stems]


def _is_ours(head: bytes) -> bool:
    return head.lstrip()[:1] in (b"{", b"[") or head.startswith(b"curve,")


FORMS: dict[str, Callable[[Path, pd.DataFrame], _Texts]] = {
    "csv": _csv,
    "compressai": _compressai,
    "codec-compare": _codec_compare,
}
"""The forms of an export by name."""

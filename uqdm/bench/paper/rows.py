"""The published figures compared with those of a run: a row for each point and quantity, with a verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uqdm.bench.analysis.published_curves import N_IMAGES, Relation, published, relation
from uqdm.bench.paper import protocol
from uqdm.bench.paper.columns import COMPARED, IMAGES, QUANTITY, compared
from uqdm.bench.paper.estimates import Estimates
from uqdm.bench.paper.judge import MIN_IMAGES, NOT_COMPARABLE, NOT_RUN, Estimate, Verdict, accepted, judge
from uqdm.bench.paper.protocol import Model, Place, System
from uqdm.bench.run.codec_settings import format_value, parse_request
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.json_files import read_origin
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.run.tables import records
from uqdm.bench.schema import STATUS_OK
from uqdm.model.zoo import absolute_name
from uqdm.text import counted

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "figure": "of the publication",
    "system": "published system",
    "model": "label of the UQDM model that was run for it, if any",
    "point": "position on the published curve, from 0",
    "setting": "what was run for the point",
    **QUANTITY,
    "rate_kind": "what the published rate is: 'file', 'ideal' or 'unstated'",
    **COMPARED,
    "doubt": "why the published figure is doubtful",
    "codec": "codec of the run",
    "codec_version": "library and version, or model and its hash",
    **IMAGES,
    "n_published": "images of the published figure",
}
"""The columns of the table."""

QUANTITIES = {
    "bpp": ("rate", "bpp"),
    "bpp_at_psnr": ("rate at the published PSNR", "bpp"),
    "file_bpp": ("rate of the files", "bpp"),
    "psnr_db": ("PSNR", "dB"),
    "fid": ("FID", ""),
}
"""Label and unit of each quantity."""

_PUBLISHED = ("bpp", "psnr_db", "fid")
_NOT_HERE = "no runnable system"
_NO_VDM = "ideal rates of a Gaussian model whose weights are not here; the codec vdm has those of other weights"
_NO_MODEL = "no UQDM model is named in the configuration"
_REASONS = {"uqdm": _NO_MODEL, "vdm": _NO_VDM}


@dataclass(frozen=True)
class Run:
    """The results of a run and the images that they are of."""

    name: str
    dataset: str
    fingerprint: str
    n_images: int
    relation: Relation
    summary: pd.DataFrame
    estimates: Estimates

    @property
    def facts(self) -> dict[str, Any]:
        """The columns that every row of the table shares."""
        return {
            "figure": protocol.FIGURES[self.name],
            "images": self.dataset,
            "fingerprint": self.fingerprint,
            "n": self.n_images,
            "n_published": N_IMAGES,
        }


def read_run(run_dir: Path, name: str) -> Run:
    """Reads a summarized run, to compare with the figures ``name``; raises ResultsError for several data sets."""
    summary = read_summary(run_dir)
    contents = summary[["dataset", "fingerprint"]].drop_duplicates()
    if len(contents) != 1:
        raise ResultsError(f"{run_dir}: images of several data sets: {', '.join(contents.dataset)}; one is wanted")
    dataset, fingerprint = (str(value) for value in contents.iloc[0])
    n_images = int(fingerprint.partition("-")[0])
    beside = relation(name, dataset, n_images, read_origin(run_dir))
    return Run(name, dataset, fingerprint, n_images, beside, summary, Estimates(run_dir))


def table(run: Run, models: Sequence[Model]) -> pd.DataFrame:
    """The table with the columns ``COLUMNS``: first the systems that run here, then those that are only published."""
    import pandas as pd

    figures = published(run.name)
    known = protocol.systems(models)
    others = {model.label: model.label for model in models if not model.is_published}
    found: list[dict[str, Any]] = []
    for (name, label), system in known.items():
        points = records(figures[figures.system == name])
        if points and len(points) != len(system.places):
            raise ValueError(
                f"{run.name}: {len(points)} published points of {name}, {counted(len(system.places), 'setting')}"
            )
        base = {**run.facts, "system": name, "model": label}
        for point, place in zip(points, system.places, strict=False):
            beside = _Pair(run, system, place, point, others.get(label, ""))
            found += [{**base, "point": point["point"], **row} for row in beside.rows()]
    shown = {name for name, _ in known}
    for point in records(figures[~figures.system.isin(shown)]):
        reason = _REASONS.get(point["system"].partition("-")[0], _NOT_HERE)
        found += [{**run.facts, **row} for row in _published_only(point, reason)]
    return pd.DataFrame(found, columns=list(COLUMNS)).fillna({"model": "", "reason": "", "doubt": ""})


def _published_only(point: Mapping[str, Any], reason: str) -> Iterator[dict[str, Any]]:
    for quantity in _PUBLISHED:
        row = {"system": point["system"], "point": point["point"], **_figure(point, quantity)}
        yield {**row, "verdict": NOT_RUN, "reason": reason}


def _figure(point: Mapping[str, Any], quantity: str) -> dict[str, Any]:
    doubtful = quantity == "fid" and point["suspect"]
    published_value = point[quantity] if quantity in _PUBLISHED else math.nan
    return {
        "quantity": quantity,
        "unit": QUANTITIES[quantity][1],
        "rate_kind": point["kind"],
        "published": published_value,
        "doubt": point["suspect_reason"] if doubtful else "",
    }


@dataclass(frozen=True)
class _Pair:
    """A published point and its counterpart in a run; ``other_model`` is the model's label if it is not the published
    one.
    """

    run: Run
    system: System
    place: Place
    point: Mapping[str, Any]
    other_model: str

    def rows(self) -> Iterator[dict[str, Any]]:
        """A row for each quantity."""
        measured, lacking = find_row(self.run.summary, self.place)
        if measured is None:
            for quantity in _PUBLISHED:
                yield {**self._head(quantity), "verdict": NOT_RUN, "reason": lacking}
            return
        for quantity in self._quantities(measured):
            head = self._head(quantity)
            found = self._compare(quantity, head["published"], measured)
            yield {**head, "codec_version": measured["codec_version"], **found}

    def _head(self, quantity: str) -> dict[str, Any]:
        head = {"setting": self.place.label, "codec": self.place.codec, **_figure(self.point, quantity)}
        return {**head, "published": self.point["bpp"]} if quantity == "bpp_at_psnr" else head

    def _quantities(self, measured: Mapping[str, Any]) -> list[str]:
        quantities = list(_PUBLISHED)
        if self._by_psnr(measured):
            quantities.insert(1, "bpp_at_psnr")
        if self.point["kind"] == "ideal":
            quantities.insert(1, "file_bpp")
        return quantities

    def _by_psnr(self, measured: Mapping[str, Any]) -> bool:
        """Whether rates are compared at equal PSNR, because the quality scales of the two encoders differ."""
        return protocol.another_encoder(self.place, measured["codec_version"]) and math.isfinite(self.point["psnr_db"])

    def _compare(self, quantity: str, figure: float, measured: Mapping[str, Any]) -> dict[str, Any]:
        """The columns of the run's figure and of its comparison with the published one."""
        estimate, verdict = self._estimate(quantity, measured)
        verdict = verdict or self._not_comparable(quantity, measured)
        bounds = (math.nan, math.nan)
        if verdict is None:
            sampling = 0.0 if quantity == "fid" else self.run.relation.sampling
            bounds = accepted(estimate, sampling, self._tolerance(quantity, figure))
            verdict = judge(figure, bounds, protocol.known_difference(self.place, measured["codec_version"]))
        return compared(estimate, figure, bounds, verdict)

    def _estimate(self, quantity: str, measured: Mapping[str, Any]) -> tuple[Estimate, Verdict | None]:
        """The figure of the run; with a verdict if there is none to compare."""
        if quantity == "fid":
            return _fid(self.run, measured)
        if quantity == "bpp_at_psnr":
            estimate = self.run.estimates.rate_at_psnr(self._lossy_settings, self.place, self.point["psnr_db"])
            beyond = Verdict(NOT_COMPARABLE, "the curve measured here does not reach that PSNR")
            return estimate, beyond if math.isnan(estimate.value) else None
        if quantity == "bpp" and self.point["kind"] == "ideal":
            return self.run.estimates.ideal_rate(measured["setting"], self.place), None
        column = "bpp" if quantity == "file_bpp" else quantity
        return Estimate(*(measured[name] for name in (column, f"{column}_low", f"{column}_high"))), None

    @property
    def _lossy_settings(self) -> list[str]:
        """The settings of this system's points that are not exact: the points of its curve."""
        found = [find_row(self.run.summary, place)[0] for place in self.system.places]
        return [row["setting"] for row in found if row is not None and math.isfinite(row["psnr_db"])]

    @property
    def _too_few(self) -> bool:
        return self.run.relation.sampling != 0 and self.run.n_images < MIN_IMAGES

    def _not_comparable(self, quantity: str, measured: Mapping[str, Any]) -> Verdict | None:
        """Why a measured figure cannot be compared; None if it can."""
        reasons = {
            "other images": self.run.relation.kind == "other",
            f"another model, {self.other_model}": bool(self.other_model),
            f"{counted(measured['failed'], 'image')} failed": measured["failed"] > 0,
            f"n={self.run.n_images} is too few for an interval": self._too_few,
            "the published rate is the model's estimate": quantity == "file_bpp",
            "another encoder": quantity != "bpp_at_psnr" and self._by_psnr(measured),
            "the published figure is doubtful": quantity == "fid" and self.point["suspect"],
        }
        return next((Verdict(NOT_COMPARABLE, reason) for reason, holds in reasons.items() if holds), None)

    def _tolerance(self, quantity: str, figure: float) -> float:
        tolerance = self.system.tolerance
        if quantity == "bpp_at_psnr":
            return protocol.EQUAL_PSNR_SHARE * figure
        if quantity == "fid":
            return protocol.FID_SHARE * figure + protocol.FID_ABSOLUTE
        return tolerance.psnr_db if quantity == "psnr_db" else tolerance.rate_share * figure + tolerance.rate_bpp


def _fid(run: Run, measured: Mapping[str, Any]) -> tuple[Estimate, Verdict | None]:
    """The FID of a row if it is comparable with the published one; else a verdict that says why not."""
    value, n_scored = (measured.get(name, math.nan) for name in ("fid", "fid_n"))
    if run.n_images != N_IMAGES:  # FID falls with the number of images, so the values are not comparable
        return Estimate(math.nan), Verdict(NOT_COMPARABLE, f"n={run.n_images:,} against {N_IMAGES:,}")
    if value == value and n_scored != N_IMAGES:
        reason = f"FID is over {n_scored:,.0f} images against {N_IMAGES:,}; score all"
        return Estimate(math.nan), Verdict(NOT_COMPARABLE, reason)
    if value != value:
        reason = ": ".join(["FID is not scored", *_unscored(measured.get("unscored"), "fid")])
        return Estimate(math.nan), Verdict(NOT_RUN, reason)
    return Estimate(value), None


def _unscored(reasons: Any, metric: str) -> list[str]:
    """Why a metric has no value, out of a summary's column ``unscored``; nothing if that does not say."""
    return [reasons[metric]] if isinstance(reasons, Mapping) and metric in reasons else []


def find_row(summary: pd.DataFrame, place: Place) -> tuple[dict[str, Any] | None, str]:
    """The row of a summary at a place, or None and the reason why there is none; raises ResultsError for several."""
    of_codec = summary[summary.codec == place.codec]
    rows = of_codec[[_is_at(place.codec, setting, place.parameters) for setting in of_codec.setting]]
    if rows.empty:
        return None, f"{place.codec} at {place.label} is not in the run"
    there = rows[rows.status == STATUS_OK]
    if there.empty:
        return None, str(rows.error.iloc[0])
    there = there[(there.point == place.point) & (there.reconstruction == place.reconstruction)]
    if len(there) > 1:
        raise ResultsError(
            f"{place.codec} at {place.label} is in the run more than once: {'; '.join(there.setting)}; keep one"
        )
    if there.empty:
        return None, f"no {place.point} by {place.reconstruction} in its files"
    return records(there)[0], ""


def _is_at(codec: str, setting: str, parameters: Mapping[str, Any]) -> bool:
    """Whether a setting has these parameters; a lossless setting matches only if ``lossless`` is among them."""
    held = parse_request(f"{codec}:{setting}").parameters or {}
    wanted = {"lossless": False, **parameters} if "lossless" in held else parameters
    return all(_is_same(name, held.get(name), format_value(value)) for name, value in wanted.items())


def _is_same(name: str, held: str | None, wanted: str) -> bool:
    """Whether two texts of a parameter have the same value; earlier versions stored paths as users wrote them."""
    return held == wanted or (name == "model" and held is not None and absolute_name(held) == absolute_name(wanted))

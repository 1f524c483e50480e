"""The published figures compared with those of a run: a row for each point and quantity, with a verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uqdm.bench.analysis.published_curves import published
from uqdm.bench.paper import protocol
from uqdm.bench.paper.columns import COMPARED, IMAGES, QUANTITY, compared
from uqdm.bench.paper.judge import MIN_IMAGES, NOT_COMPARABLE, NOT_RUN, Estimate, Verdict, accepted, judge
from uqdm.bench.paper.learned import small_rows, weights_rows
from uqdm.bench.paper.measured import Run, fid_of, find_row, mean_of
from uqdm.bench.paper.points import PUBLISHED, figure, published_only
from uqdm.bench.paper.protocol import Model, Place, System, Weights
from uqdm.bench.run.tables import records
from uqdm.text import counted

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "figure": "of the publication",
    "system": "published system",
    "model": "label of the model or the weights that were run for it, if any",
    "point": "position on the published curve, from 0; of points without a published one, on the measured curve",
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

_NOT_HERE = "no runnable system"
_NO_VDM = "ideal rates of a Gaussian model whose weights are not here; the codec vdm has those of other weights"
_NO_MODEL = "no UQDM model is named in the configuration"
_REASONS = {"uqdm": _NO_MODEL, "vdm": _NO_VDM}
_REASONS |= {name: learned.lacking for name, learned in protocol.LEARNED.items()}


def table(run: Run, models: Sequence[Model], weights: Sequence[Weights] = ()) -> pd.DataFrame:
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
        base = {"system": name, "model": label}
        for point, place in zip(points, system.places, strict=False):
            beside = _Pair(run, system, place, point, others.get(label, ""))
            found += [{**base, "point": point["point"], **row} for row in beside.rows()]
    for one in weights:
        found += weights_rows(run, one, records(figures[figures.system == one.system]))
    found += small_rows(run)
    shown = {name for name, _ in known} | {one.system for one in weights}
    for point in records(figures[~figures.system.isin(shown)]):
        found += published_only(point, _reason(point["system"]))
    rows = pd.DataFrame([{**run.facts, **row} for row in found], columns=list(COLUMNS))
    return rows.fillna({"model": "", "reason": "", "doubt": ""})


def _reason(system: str) -> str:
    """Why a published system was not run."""
    return _REASONS.get(system, _REASONS.get(system.partition("-")[0], _NOT_HERE))


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
            for quantity in PUBLISHED:
                yield {**self._head(quantity), "verdict": NOT_RUN, "reason": lacking}
            return
        for quantity in self._quantities(measured):
            head = self._head(quantity)
            found = self._compare(quantity, head["published"], measured)
            yield {**head, "codec_version": measured["codec_version"], **found}

    def _head(self, quantity: str) -> dict[str, Any]:
        head = {"setting": self.place.label, "codec": self.place.codec, **figure(self.point, quantity)}
        return {**head, "published": self.point["bpp"]} if quantity == "bpp_at_psnr" else head

    def _quantities(self, measured: Mapping[str, Any]) -> list[str]:
        quantities = list(PUBLISHED)
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
            return fid_of(self.run, measured)
        if quantity == "bpp_at_psnr":
            estimate = self.run.estimates.rate_at_psnr(self._lossy_settings, self.place, self.point["psnr_db"])
            beyond = Verdict(NOT_COMPARABLE, "the curve measured here does not reach that PSNR")
            return estimate, beyond if math.isnan(estimate.value) else None
        if quantity == "bpp" and self.point["kind"] == "ideal":
            return self.run.estimates.ideal_rate(measured["setting"], self.place), None
        column = "bpp" if quantity == "file_bpp" else quantity
        return mean_of(measured, column), None

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

"""The run that is compared with published figures: its images, and its figures at a codec's setting."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uqdm.bench.analysis.published_curves import N_IMAGES, Relation, relation
from uqdm.bench.paper import protocol
from uqdm.bench.paper.estimates import Estimates
from uqdm.bench.paper.judge import NOT_COMPARABLE, NOT_RUN, Estimate, Verdict
from uqdm.bench.paper.protocol import Place
from uqdm.bench.run.codec_settings import format_value, parse_request
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.json_files import read_origin
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.run.tables import records
from uqdm.bench.schema import STATUS_OK
from uqdm.model.zoo import absolute_name

if TYPE_CHECKING:
    import pandas as pd


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


def fid_of(run: Run, measured: Mapping[str, Any]) -> tuple[Estimate, Verdict | None]:
    """The FID of a row of the summary if it is comparable with the published one; else a verdict that says why not."""
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


def mean_of(measured: Mapping[str, Any], column: str) -> Estimate:
    """The mean of a column of a row of the summary, with its interval."""
    return Estimate(*(measured[name] for name in (column, f"{column}_low", f"{column}_high")))


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

"""Appendix C of the paper compared with this project: networks, files, times and network calls, with verdicts.

Figures of networks are counted from their configurations (:mod:`uqdm.bench.paper.networks`); costs of coding are
measured in the run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uqdm.bench.paper.columns import COMPARED, IMAGES, QUANTITY, compared
from uqdm.bench.paper.judge import (
    MIN_IMAGES,
    NOT_COMPARABLE,
    NOT_RUN,
    Estimate,
    Verdict,
    judge,
)
from uqdm.bench.paper.measured import Run, find_row
from uqdm.bench.paper.networks import Network, Stated, count, network_of, networks
from uqdm.bench.paper.protocol import UQDM, Model, Place
from uqdm.text import counted

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "source": "where the figure was published",
    "system": "published network, or label of the UQDM model that was run",
    **QUANTITY,
    "setting": "point and picture that a number of calls belongs to; empty for other quantities",
    **COMPARED,
    "codec_version": "model and its hash; empty for counts",
    "device": "device that coded; empty for counts",
    **IMAGES,
}
"""The columns of the table."""

QUANTITIES = {
    "parameters": ("parameters", ""),
    "channels": ("channels", ""),
    "macs_per_pixel": ("multiply-accumulates of a call", "per pixel"),
    "file_overhead": ("file over ideal rate", "%"),
    "encode_seconds": ("time to encode", "s per image"),
    "decode_seconds": ("time to decode", "s per image"),
    "encode_calls": ("network calls to encode", "per image"),
    "decode_calls": ("network calls to decode", "per picture"),
}
"""Label and unit of each quantity."""

APPENDIX = "Appendix C"
CODE = "the published code"
MAX_OVERHEAD_PERCENT = 3.0
"""Published upper bound of the size of a file over the model's own rate."""
COUNTING_SHARE = 0.01
"""Tolerance of counts of multiply-accumulates: counters differ in which other operations they count."""

_NO_MODEL = "no UQDM model is named in the configuration"
_KEPT_CALL = "one call less: the first depends on the seed alone, and is kept for all images"
_OTHER_MACHINE = "the paper's seconds are of the authors' GPU, these of {device}; times of two machines do not compare"
_LOSSLESS = ("lossless", "exact")
_WAYS = ("denoise", "ancestral", "flow")


def cost_table(run: Run, models: Sequence[Model]) -> pd.DataFrame:
    """The rows of Appendix C, with the columns ``COLUMNS``: the networks, if the run is on their kind of images, then
    each model of the run.
    """
    import pandas as pd

    found = list(_network_rows()) if run.name == "imagenet64" else []
    for model in models:
        found += _Measured(run, model).rows()
    if not models:
        found += [_absent(quantity, "", _NO_MODEL) for quantity in _RUN_QUANTITIES]
    table = pd.DataFrame(found, columns=list(COLUMNS))
    texts = ["reason", "setting", "codec_version", "device", "images", "fingerprint"]
    table[texts] = table[texts].astype(object).fillna("")
    return table


def cost_rules() -> list[str]:
    """Rules that the verdicts follow, as sentences."""
    return [
        "Counts need no images and no weights: they are judged in every run. They are of the published configurations: "
        "parameters without the schedule's slope, and multiply-accumulates of convolutions, linear layers and "
        "attention products in one call of the network. They agree within the rounding of the published figure, to "
        "the nearest or by cutting it off; multiply-accumulates also within "
        f"{COUNTING_SHARE:.0%}, since counters differ in what else they count.",
        'The paper calls them FLOPs. They are multiply-accumulates: the paper\'s figures would be half of the "FLOPs" '
        "in which a multiplication and an addition are two.",
        f"The published bound of the overhead, {MAX_OVERHEAD_PERCENT:g} %, agrees unless the whole interval of the "
        "overhead measured here is above it. The overhead is that of whole lossless files, headers included, over "
        "the model's rate in the paper's accounting. It can be below zero: files code x given z_0 among the levels "
        "that the hard ends of the noise leave, which takes less than the accounting's softmax.",
        "Published calls are those that the published code makes for one image: T to encode; to decode, one for each "
        "step that is known and one for the picture, T at most, and T for pictures that sample the rest.",
    ]


# ---- networks: counted ---------------------------------------------------------------------------------------


def _network_rows() -> Iterator[dict[str, Any]]:
    for network in networks():
        counts = network.counts
        yield _counted(network, "parameters", network.parameters, counts.parameters, share=0.0)
        if network.channels is not None:
            yield _channels(network, network.channels)
        yield _counted(network, "macs_per_pixel", network.flops_per_pixel, counts.macs_per_pixel, share=COUNTING_SHARE)


def _counted(network: Network, quantity: str, stated: Stated, ours: float, *, share: float) -> dict[str, Any]:
    """A count beside a printed figure, which may have been rounded or cut off at its last digit."""
    slack = share * ours
    bounds = (ours - stated.digit - slack, ours + stated.digit / 2 + slack)
    reason = f"the published configuration and checkpoint have {ours:,.0f}"
    return {**_head(quantity, network.name, APPENDIX), **_judged(Estimate(ours), stated.value, bounds, reason)}


def _channels(network: Network, stated: int) -> dict[str, Any]:
    ours = network.embedding_dim
    other = count(stated, network.n_blocks, network.norm_groups).parameters
    reason = (
        f"the published configuration has {ours}, which the published count of parameters fits; {stated} would make "
        f"{other:,} parameters"
    )
    return {**_head("channels", network.name, APPENDIX), **_judged(Estimate(ours), stated, (ours, ours), reason)}


# ---- models of the run: measured -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Measured:
    """The costs of coding with one model."""

    run: Run
    model: Model

    def rows(self) -> Iterator[dict[str, Any]]:
        """A row for each quantity, and for calls to decode one for each picture."""
        lossless, lacking = find_row(self.run.summary, self._place(*_LOSSLESS))
        if lossless is None:
            yield from (_absent(quantity, self.model.label, lacking) for quantity in _RUN_QUANTITIES)
            return
        yield self._overhead(lossless)
        yield self._seconds("encode_seconds", lossless, "encode_ms")
        yield self._seconds("decode_seconds", lossless, "decode_ms")
        pictures = [row for step in range(self._n_steps + 1) for row in self._pictures(step)]
        yield self._calls("encode_calls", lossless, self._n_steps)
        for step, row in pictures:
            yield self._calls("decode_calls", row, published_calls(self._n_steps, step, row["reconstruction"]))
        yield self._calls("decode_calls", lossless, self._n_steps)

    @property
    def _n_steps(self) -> int:
        points = self.run.summary.point[self.run.summary.codec == UQDM]
        steps = [int(name.removeprefix("step ")) for name in points.dropna() if name.startswith("step ")]
        return max(steps, default=0)

    def _place(self, point: str, reconstruction: str) -> Place:
        return Place(UQDM, self.model.parameters, point, reconstruction)

    def _pictures(self, step: int) -> Iterator[tuple[int, dict[str, Any]]]:
        for way in _WAYS:
            row, _ = find_row(self.run.summary, self._place(f"step {step}", way))
            if row is not None:
                yield step, row

    def _head(self, quantity: str, row: Mapping[str, Any], source: str) -> dict[str, Any]:
        run = self.run
        head = {**_head(quantity, self.model.label, source), "codec_version": row["codec_version"]}
        return {
            **head,
            "device": row["device"],
            "images": run.dataset,
            "fingerprint": run.fingerprint,
            "n": run.n_images,
        }

    def _overhead(self, row: Mapping[str, Any]) -> dict[str, Any]:
        estimate = self.run.estimates.overhead_percent(row["setting"], self._place(*_LOSSLESS))
        head = self._head("file_overhead", row, APPENDIX)
        judged = _judged(estimate, MAX_OVERHEAD_PERCENT, (estimate.low, math.inf), "files here are larger")
        reason = self._why_not_comparable(row)
        if reason:
            verdict = {"verdict": NOT_COMPARABLE, "reason": reason}
            judged = {**judged, "agrees_from": math.nan, "agrees_to": math.nan, **verdict}
        return {**head, **judged}

    def _why_not_comparable(self, row: Mapping[str, Any]) -> str:
        """Why the overhead cannot be compared; empty if it can."""
        reasons = {
            "other images": self.run.relation.kind == "other",
            "another network than the published ones": network_of(self.model.path) is None,
            f"{counted(row['failed'], 'image')} failed": row["failed"] > 0,
            f"n={self.run.n_images} is too few for an interval": self.run.n_images < MIN_IMAGES,
        }
        return next((reason for reason, holds in reasons.items() if holds), "")

    def _seconds(self, quantity: str, row: Mapping[str, Any], column: str) -> dict[str, Any]:
        reason = _OTHER_MACHINE.format(device=row["device"] or "this machine")
        verdict = {"verdict": NOT_COMPARABLE, "reason": reason}
        return {**self._head(quantity, row, APPENDIX), "ours": row[column] / 1e3, **verdict}

    def _calls(self, quantity: str, row: Mapping[str, Any], theirs: int) -> dict[str, Any]:
        ours = float(row["encode_calls" if quantity == "encode_calls" else "decode_calls"])
        head = self._head(quantity, row, CODE)
        setting = row["point"] if row["point"] == "lossless" else f"{row['point']}, {row['reconstruction']}"
        reason = _KEPT_CALL if ours == theirs - 1 else ""
        judged = _judged(Estimate(ours), theirs, (ours, ours), reason)
        return {**head, "setting": "" if quantity == "encode_calls" else setting, **judged}


def published_calls(n_steps: int, step: int, reconstruction: str) -> int:
    """Calls that the published code makes for a picture after ``step`` of ``n_steps`` steps.

    >>> [published_calls(4, step, "denoise") for step in range(5)]
    [1, 2, 3, 4, 4]
    >>> published_calls(4, 1, "flow")
    4
    """
    return min(step + 1, n_steps) if reconstruction == "denoise" else n_steps


# ---- shared ----------------------------------------------------------------------------------------------------

_RUN_QUANTITIES = ("file_overhead", "encode_seconds", "decode_seconds", "encode_calls", "decode_calls")


def _head(quantity: str, system: str, source: str) -> dict[str, Any]:
    return {"source": source, "system": system, "quantity": quantity, "unit": QUANTITIES[quantity][1]}


def _absent(quantity: str, system: str, reason: str) -> dict[str, Any]:
    source = CODE if quantity.endswith("_calls") else APPENDIX
    published = {"published": MAX_OVERHEAD_PERCENT} if quantity == "file_overhead" else {}
    return {**_head(quantity, system, source), **published, "verdict": NOT_RUN, "reason": reason}


def _judged(estimate: Estimate, published: float, bounds: tuple[float, float], difference: str) -> dict[str, Any]:
    """The columns that compare a figure with the published one; ``difference`` is the reason if they differ."""
    verdict = judge(published, bounds, difference)
    if math.isnan(estimate.value):
        verdict = Verdict(NOT_RUN, "the run has no figure for it")
    return compared(estimate, published, bounds, verdict)

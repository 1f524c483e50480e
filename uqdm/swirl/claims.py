"""The paper's claims on the swirl (Sec. 5.1 and Figures 2, 6 and 7, Yang et al. 2025), each with a verdict.

A claim *holds* or *fails* if the intervals decide it; otherwise it is *undecided*.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from uqdm.bench.analysis.bootstrap import mean_of
from uqdm.swirl.estimates import MeanWithInterval, SwirlResults

HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"
AS_GOOD = 1.05
"""Rates up to this ratio count as equal."""


@dataclass(frozen=True)
class ClaimVerdict:
    """A claim, its verdict, and the evidence."""

    claim: str
    word: str
    evidence: str
    figure: str = ""
    """Section or figure of the paper."""


@dataclass(frozen=True)
class Published:
    """A number in the paper, and the range of values that agree with it."""

    value_bpd: float
    low_bpd: float
    high_bpd: float
    source: str


def published(claim: str) -> Published:
    """The paper's number for a claim.

    >>> published("uqdm-eight").value_bpd
    8.0
    """
    with (Path(__file__).parent / "published.csv").open(newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["claim"] == claim)
    value, low, high = (float(row[name]) for name in ("value_bpd", "low_bpd", "high_bpd"))
    return Published(value, low, high, row["source"])


def judge(measured: SwirlResults) -> list[ClaimVerdict]:
    """A verdict for each claim."""
    by_figure: dict[str, list[Callable[[SwirlResults], ClaimVerdict]]] = {
        "Figure 2": [
            _vdm_falls,
            _vdm_reaches,
            _uqdm_is_about_eight,
            _learned_is_below_fixed,
            _five_is_best,
            _rate_rises_again,
        ],
        "Figure 6": [_vdm_weights_are_as_good],
        "Figure 7": [
            _samples_get_better("vdm", "VDM"),
            _samples_get_better("learned", "UQDM with learned variance"),
        ],
    }
    return [
        dataclasses.replace(claim(measured), figure=figure) for figure, claims in by_figure.items() for claim in claims
    ]


def word(parts: list[str]) -> str:
    """The verdict of a claim with several parts; without any it is undecided.

    >>> word(["holds", "undecided"]), word(["undecided", "fails"]), word([])
    ('undecided', 'fails', 'undecided')
    """
    return FAILS if FAILS in parts else UNDECIDED if UNDECIDED in parts or not parts else HOLDS


def below(found: MeanWithInterval, bound: float) -> str:
    """Verdict on a mean that must be below a bound."""
    return HOLDS if found.high < bound else FAILS if found.low > bound else UNDECIDED


def _vdm_falls(measured: SwirlResults) -> ClaimVerdict:
    steps = measured.steps("vdm")
    differences = [measured.difference(("vdm", after), ("vdm", before)) for before, after in pairwise(steps)]
    shown = "; ".join(f"{n}: {interval(measured.rate(('vdm', n)))}" for n in steps)
    found = word([below(one, 0.0) for one in differences])
    return ClaimVerdict("VDM's NELBO falls with T.", found, f"Bits per dimension by T: {shown}.")


def _vdm_reaches(measured: SwirlResults) -> ClaimVerdict:
    theirs, n_steps = published("vdm-monotone"), measured.steps("vdm")[-1]
    found = measured.rate(("vdm", n_steps))
    evidence = f"{interval(found)} at T = {n_steps}; the entropy of the data is 5.49."
    return ClaimVerdict(_about("VDM", theirs, n_steps), within(found, theirs), evidence)


def _uqdm_is_about_eight(measured: SwirlResults) -> ClaimVerdict:
    theirs, found = published("uqdm-eight"), measured.rate(("learned", 5))
    return ClaimVerdict(_about("UQDM with learned variance", theirs, 5), within(found, theirs), f"{interval(found)}.")


def _about(name: str, theirs: Published, n_steps: int) -> str:
    return (
        f"{name} needs about {theirs.value_bpd:g} bits per dimension at T = {n_steps} (here: {theirs.low_bpd:g} to "
        f"{theirs.high_bpd:g})."
    )


def within(found: MeanWithInterval, theirs: Published) -> str:
    """Verdict on a mean that must be in the published range, by its whole interval."""
    if theirs.low_bpd <= found.low and found.high <= theirs.high_bpd:
        return HOLDS
    return FAILS if found.high < theirs.low_bpd or found.low > theirs.high_bpd else UNDECIDED


def _learned_is_below_fixed(measured: SwirlResults) -> ClaimVerdict:
    pairs = {n: measured.difference(("learned", n), ("fixed", n)) for n in measured.steps("learned")}
    shown = "; ".join(f"{n}: {interval(one)}" for n, one in pairs.items())
    found = word([below(one, 0.0) for one in pairs.values()])
    return ClaimVerdict(
        "UQDM's learned variance is better than the fixed one at every T.", found, f"Learned less fixed: {shown}."
    )


def _five_is_best(measured: SwirlResults) -> ClaimVerdict:
    others = [n for n in measured.steps("learned") if n != 5]
    against = {n: measured.difference(("learned", n), ("learned", 5)) for n in others}
    better = [n for n, one in against.items() if one.high < 0]
    tied = [n for n, one in against.items() if one.low <= 0 <= one.high]
    best = _best_by_seed(measured, "learned")
    found = FAILS if better else UNDECIDED if tied else HOLDS
    shown = "; ".join(f"{n}: {interval(one)}" for n, one in against.items())
    counted = ", ".join(f"T = {n} for {count} of {len(measured.seeds)} seeds" for n, count in best.items())
    return ClaimVerdict(
        "UQDM's rate (learned variance) is lowest at T = 5.",
        found,
        f"Lowest: {counted}. Rate at T less that at 5: {shown}." + (f" Tied with 5: {_listed(tied)}." if tied else ""),
    )


def _best_by_seed(measured: SwirlResults, system: str) -> dict[int, int]:
    """Number of seeds with their lowest rate at each T."""
    steps = measured.steps(system)
    means = np.stack([measured.rates_bpd[system, n].mean(axis=1) for n in steps])
    best = [steps[index] for index in means.argmin(axis=0)]
    return {n: best.count(n) for n in sorted(set(best))}


def _rate_rises_again(measured: SwirlResults) -> ClaimVerdict:
    steps = [n for n in measured.steps("learned") if n >= 5]
    rises = [measured.difference(("learned", before), ("learned", after)) for before, after in pairwise(steps)]
    evidence = "; ".join(f"{n}: {interval(measured.rate(('learned', n)))}" for n in steps)
    claim = "Unlike VDM's, UQDM's rate (learned variance) rises with T beyond 5."
    return ClaimVerdict(claim, word([below(one, 0.0) for one in rises]), f"Bits per dimension by T: {evidence}.")


def _vdm_weights_are_as_good(measured: SwirlResults) -> ClaimVerdict:
    ratios = {n: measured.ratio(("vdm-weights", n), ("fixed", n)) for n in measured.steps("fixed")}
    found = word([below(one, AS_GOOD) for one in ratios.values()])
    shown = "; ".join(f"{n}: {interval(one)}" for n, one in ratios.items())
    claim = f"VDM's weights serve UQDM as well as weights trained with fixed variance (here: within {AS_GOOD - 1:.0%})."
    return ClaimVerdict(claim, found, f"Ratio of the rates by T: {shown}.")


def _samples_get_better(system: str, name: str) -> Callable[[SwirlResults], ClaimVerdict]:
    def judged(measured: SwirlResults) -> ClaimVerdict:
        found = {n: measured.samples[system, n] for n in sorted(n for key, n in measured.samples if key == system)}
        first, last = min(found), max(found)
        few, many = found[first], found[last]
        outcome = HOLDS if many.max() < few.min() else FAILS if many.min() > few.max() else UNDECIDED
        shown = "; ".join(f"{n}: {spread(values)}" for n, values in found.items())
        floor = f"two sets of the data: {spread(measured.floor)}"
        claim = (
            f"Samples of {name} are better with more steps (here: at T = {last} than at T = {first}, for all seeds)."
        )
        return ClaimVerdict(
            claim, outcome, f"Sliced Wasserstein distance by T, lowest and highest of the seeds: {shown}; {floor}."
        )

    return judged


def spread(values: np.ndarray) -> str:
    """Mean, lowest and highest of a few distances.

    >>> spread(np.array([0.01, 0.02]))
    '0.0150 [0.0100, 0.0200]'
    """
    return f"{mean_of(values):.4f} [{values.min():.4f}, {values.max():.4f}]"


def interval(found: MeanWithInterval) -> str:
    """A mean with its interval.

    >>> interval(MeanWithInterval(1.0, 0.9, 1.1, 0.95, 1.05))
    '1.00 [0.90, 1.10]'
    """
    return f"{found.mean:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _listed(counts: list[int]) -> str:
    return ", ".join(map(str, counts))

"""The noise levels at which codewords are chosen, and those of the steps after them.

The information of a step grows quickly with the signal-to-noise ratio, while each step of a file has the same number of
bits. The coded steps are therefore evenly spaced in SNR^spacing, from the first noise level of the model to one that
fits the rate. Later steps need no bits. All levels are multiples of 2^-12, computed in decimals: they are the same on
every machine.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass, replace
from decimal import Context, Decimal, localcontext

from uqdm.model.schedule import Schedule, Step

DEPTH_UNITS = 8
"""Fractions of a nat in which the depth is stated."""
SPACING_UNITS = 100
_LEVEL_UNITS = 1 << 12
_NEAR = 0.5
_CONTEXT = Context(prec=50)


@dataclass(frozen=True)
class NoiseLevels:
    """Steps from z_T: ``n_coded`` with codewords, then ``n_free`` without.

    With gamma = -log SNR, the coded steps lead from the model's gamma_max down to gamma_max - ``depth`` / 8. They are
    evenly spaced in SNR^(``spacing`` / 100), or in gamma for a spacing of 0. The free steps lead on to the model's last
    gamma, evenly spaced in gamma.
    """

    n_coded: int
    n_free: int
    depth: int
    spacing: int

    def coded(self, model_schedule: Schedule) -> list[Step]:
        """The steps with codewords. Raises ValueError where they do not fit the model's schedule.

        >>> steps = NoiseLevels(n_coded=4, n_free=2, depth=64, spacing=65).coded(Schedule(18.3, 6.0, 20))
        >>> [round(step.gamma_s, 2) for step in steps]
        [0.11, -0.94, -1.56, -2.0]
        """
        return list(_coded(self, model_schedule))

    def free(self, model_schedule: Schedule) -> list[Step]:
        """The steps without codewords.

        >>> levels = NoiseLevels(n_coded=4, n_free=2, depth=64, spacing=65)
        >>> [round(step.gamma_s, 2) for step in levels.free(Schedule(18.3, 6.0, 20))]
        [-7.15, -12.3]
        """
        first, last = self.coded(model_schedule)[-1].gamma_s, model_schedule.gamma(0.0)
        steps = Schedule(slope=first - last, gamma_max=first, n_steps=self.n_free).steps()
        return [replace(step, index=self.n_coded + step.index) for step in steps]


@functools.lru_cache(maxsize=64)
def _coded(levels: NoiseLevels, model_schedule: Schedule) -> tuple[Step, ...]:
    first = model_schedule.gamma_max
    last = first - levels.depth / DEPTH_UNITS
    if last <= model_schedule.gamma(0.0):
        raise ValueError(
            f"coded steps to gamma {last:g} go beyond the model's last noise level, {model_schedule.gamma(0.0):g}"
        )
    places = _places(levels)
    if any(high <= low for low, high in itertools.pairwise(places)):
        raise ValueError(
            f"{levels.n_coded} coded steps from gamma {first:g} to {last:g} are too close: take fewer, or a spacing "
            "nearer 0"
        )
    gammas = [first - place / _LEVEL_UNITS for place in places]
    pairs = itertools.pairwise(gammas)
    return tuple(
        replace(Schedule(slope=high - low, gamma_max=high, n_steps=1).step(0), index=index)
        for index, (high, low) in enumerate(pairs)
    )


def _places(levels: NoiseLevels) -> list[int]:
    """How far below gamma_max each level is, in multiples of 2^-12."""
    depth, n_steps = Decimal(levels.depth) / DEPTH_UNITS, levels.n_coded
    spacing = Decimal(levels.spacing) / SPACING_UNITS
    with localcontext(_CONTEXT):
        shares = [Decimal(index) / n_steps for index in range(n_steps + 1)]
        if spacing:
            growth = (spacing * depth).exp() - 1  # SNR^spacing from 1 to 1 + growth, in units of its first value
            fractions = [(1 + growth * share).ln() / spacing for share in shares]
        else:
            fractions = [depth * share for share in shares]
        return [round(fraction * _LEVEL_UNITS) for fraction in fractions]


def depth_for(bpp: float, model_schedule: Schedule) -> int:
    """A depth that fits a rate in bits per pixel: the coded steps end near gamma = -2.6 - 1.6 ln(bpp).

    They end at the noise level of the model's own schedule that is nearest, if one is within half a nat: a network that
    was trained at few noise levels is best there. The formula was fitted on photographs of 64x64; see docs/codecs.md.

    >>> [6.0 - depth_for(bpp, Schedule(18.3, 6.0, 20)) / 8 for bpp in (0.1, 0.3, 1.0)]
    [1.375, -0.375, -2.25]
    >>> [6.0 - depth_for(bpp, Schedule(18.3, 6.0, 1000)) / 8 for bpp in (0.1, 0.3, 1.0)]
    [1.125, -0.625, -2.625]
    """
    wanted = -2.6 - 1.6 * math.log(bpp)
    own = [step.gamma_s for step in model_schedule.steps()[:-1]]
    nearest = min(own, key=lambda gamma: abs(gamma - wanted), default=math.inf)
    last = nearest if abs(nearest - wanted) <= _NEAR else wanted
    most = math.ceil((model_schedule.gamma_max - model_schedule.gamma(0.0)) * DEPTH_UNITS) - 1
    return max(1, min(round((model_schedule.gamma_max - last) * DEPTH_UNITS), most, 255))

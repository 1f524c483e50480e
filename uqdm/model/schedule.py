"""The noise schedule, and the constants of each step, computed with the same bits on every machine.

Decoder and encoder need exactly the same constants, but ``exp`` of the C library differs between machines. So the
constants are computed in decimal arithmetic, whose results are defined exactly, and rounded once to float64.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext

_CONTEXT = Context(prec=50)


@dataclass(frozen=True)
class Schedule:
    """A linear schedule of gamma(t) = -log SNR(t), variance preserving: alpha^2 + sigma^2 = 1.

    gamma(t) = gamma_max + |slope| (t - 1), with t = 1 pure noise and t = 0 the data (Sec. 5, Yang et al. 2025;
    Kingma et al. 2021, eq. 2). ``n_steps`` is T.

    >>> Schedule(slope=18.3, gamma_max=6.0, n_steps=4).gamma(0.0)
    -12.3
    """

    slope: float
    gamma_max: float
    n_steps: int

    def gamma(self, t: float) -> float:
        """gamma at time t in [0, 1], rounded to float64 from exact arithmetic."""
        return float(self._gamma(t))

    def time(self, index: int) -> float:
        """Time of the latent that is known after ``index`` steps: 1 for 0, 0 for T."""
        return 1.0 - index / self.n_steps

    def step(self, index: int) -> Step:
        """Constants of step ``index`` in 0..T-1, from t = time(index) to s = time(index + 1)."""
        return _step(self, index)

    def steps(self) -> list[Step]:
        """Constants of all steps in coding order."""
        return [self.step(index) for index in range(self.n_steps)]

    def _gamma(self, t: float) -> Decimal:
        with localcontext(_CONTEXT):
            return Decimal(repr(self.gamma_max)) + abs(Decimal(repr(self.slope))) * (Decimal(t) - 1)


@dataclass(frozen=True)
class Step:
    """Constants of the step from z_t to z_s (all float64, correctly rounded).

    The forward kernel is q(z_s | z_t, x) = U(z_weight z_t + x_weight x +- width / 2) (eq. 4, Yang et al. 2025).
    """

    index: int
    gamma_t: float
    gamma_s: float
    alpha_t: float
    sigma_t: float
    alpha_s: float
    sigma_s: float
    z_weight: float
    """alpha_s (1 - e) / alpha_t with e = 1 - exp(gamma_s - gamma_t)."""
    x_weight: float
    """alpha_s e."""
    width: float
    """Width of the uniform noise, sqrt(12) sigma_s sqrt(e): its deviation is the Gaussian posterior's."""
    forward_sd: float
    """sigma_t sqrt(e), the deviation of the forward kernel q(z_t | z_s)."""
    posterior_sd: float
    """sigma_s sqrt(e), the deviation of q(z_s | z_t, x)."""


@functools.lru_cache(maxsize=1024)
def _step(schedule: Schedule, index: int) -> Step:
    if not 0 <= index < schedule.n_steps:
        raise ValueError(f"step {index}: a schedule of {schedule.n_steps} steps has steps 0 to {schedule.n_steps - 1}")
    with localcontext(_CONTEXT):
        gamma_t = schedule._gamma(schedule.time(index))
        gamma_s = schedule._gamma(schedule.time(index + 1))
        alpha_t, sigma_t = _alpha_sigma(gamma_t)
        alpha_s, sigma_s = _alpha_sigma(gamma_s)
        e = 1 - (gamma_s - gamma_t).exp()
        return Step(
            index=index,
            gamma_t=float(gamma_t),
            gamma_s=float(gamma_s),
            alpha_t=float(alpha_t),
            sigma_t=float(sigma_t),
            alpha_s=float(alpha_s),
            sigma_s=float(sigma_s),
            z_weight=float(alpha_s * (1 - e) / alpha_t),
            x_weight=float(alpha_s * e),
            width=float(Decimal(12).sqrt() * sigma_s * e.sqrt()),
            forward_sd=float(sigma_t * e.sqrt()),
            posterior_sd=float(sigma_s * e.sqrt()),
        )


def _alpha_sigma(gamma: Decimal) -> tuple[Decimal, Decimal]:
    sigma2 = 1 / (1 + (-gamma).exp())  # sigma^2 = sigmoid(gamma)
    return (1 - sigma2).sqrt(), sigma2.sqrt()

"""Schedule constants against their definitions, in another arithmetic."""

import math

import mpmath
import pytest

from uqdm.model.schedule import Schedule


@pytest.mark.parametrize("slope", [17.9658203125, 18.21, 9.0])
@pytest.mark.parametrize("n_steps", [1, 4, 30])
def test_constants_are_correctly_rounded(slope, n_steps):
    mpmath.mp.dps = 40
    schedule = Schedule(slope, 6.0, n_steps)
    for step in schedule.steps():
        t, s = schedule.time(step.index), schedule.time(step.index + 1)
        gamma_t, gamma_s = (mpmath.mpf(6) + mpmath.mpf(repr(slope)) * (mpmath.mpf(v) - 1) for v in (t, s))
        alpha_t, alpha_s = (mpmath.sqrt(1 / (1 + mpmath.exp(g))) for g in (gamma_t, gamma_s))
        sigma_t, sigma_s = (mpmath.sqrt(1 / (1 + mpmath.exp(-g))) for g in (gamma_t, gamma_s))
        e = -mpmath.expm1(gamma_s - gamma_t)
        assert step.z_weight == float(alpha_s * (1 - e) / alpha_t)
        assert step.x_weight == float(alpha_s * e)
        assert step.width == float(mpmath.sqrt(12) * sigma_s * mpmath.sqrt(e))
        assert step.forward_sd == float(sigma_t * mpmath.sqrt(e))
        assert step.posterior_sd == float(sigma_s * mpmath.sqrt(e))


def test_gamma_has_the_published_range():
    schedule = Schedule(18.3, 6.0, 4)
    assert schedule.gamma(1.0) == 6.0
    assert math.isclose(schedule.gamma(0.0), -12.3, abs_tol=1e-15)


def test_step_out_of_range_is_refused():
    with pytest.raises(ValueError, match="step 4"):
        Schedule(18.3, 6.0, 4).step(4)

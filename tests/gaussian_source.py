"""A Gaussian source with its exact denoiser, and the rates and squared errors of diffusion on it in closed form.

x = U diag(sqrt(v)) n with orthonormal U has independent components of variances v in the basis U. Every step of
diffusion acts on each component alone, so all moments follow from those of one component. Errors are sums over the
components, of one sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from uqdm.diffusion.levels import Levels
from uqdm.model.denoiser import Denoiser, Prediction
from uqdm.model.schedule import Schedule, Step

UNCLIPPED = Levels.standardized([127.5], [50.0])
"""Levels whose estimates are not clipped: a Gaussian has no range."""


class GaussianSource(Denoiser):
    """x of a Gaussian source [N, 1, 1, D], and E[x | z_t] as its denoiser.

    The deviation of z_s given z_t is exact for a white source, whose components are the coordinates; for a coloured one
    it has the right mean variance, since p is independent over coordinates.
    """

    any_schedule = True

    def __init__(self, variances: Sequence[float], *, coloured: bool = False) -> None:
        super().__init__()
        self.variances = np.array(variances)
        size = len(variances)
        random = np.random.default_rng(1).normal(size=(size, size))
        self.basis = torch.from_numpy(np.linalg.qr(random)[0] if coloured else np.eye(size))

    def draw(self, n: int, seed: int) -> torch.Tensor:
        """``n`` samples, float64."""
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.empty(n, 1, 1, len(self.variances), dtype=torch.float64).normal_(generator=generator)
        return drawn * torch.from_numpy(np.sqrt(self.variances)) @ self.basis.T

    def forward(self, z_t: torch.Tensor, step: Step) -> Prediction:
        """See :class:`uqdm.model.denoiser.Denoiser`."""
        x_hat = (z_t @ self.basis) * torch.from_numpy(self.mean_weights(step)) @ self.basis.T
        scale = math.sqrt(step.posterior_sd**2 + step.x_weight**2 * self._mmses(step).mean())
        return Prediction(x_hat, torch.full_like(z_t, scale))

    def latent(self, x: torch.Tensor, step: Step, seed: int) -> torch.Tensor:
        """A sample of q(z_t | x)."""
        generator = torch.Generator().manual_seed(seed)
        return step.alpha_t * x + step.sigma_t * torch.empty_like(x).normal_(generator=generator)

    # ---- in closed form, at SNR(t) -----------------------------------------------------------------------------

    def correlations(self, snr: float) -> np.ndarray:
        """rho of each component: of x and its estimate, sqrt(1 - 2^(-2 R)) at the R bits of that component."""
        return np.sqrt(self.variances * snr / (1 + self.variances * snr))

    def bits(self, snr: float) -> float:
        """I(x; z_t)."""
        return float((0.5 * np.log2(1 + self.variances * snr)).sum())

    def mmse(self, snr: float) -> float:
        """E|x - E[x | z_t]|^2."""
        return float((self.variances / (1 + self.variances * snr)).sum())

    def flow_error(self, snr: float) -> float:
        """Squared error of the optimally transported estimate, where the probability flow leads: 2 v (1 - rho)."""
        return float((2 * self.variances * (1 - self.correlations(snr))).sum())

    def distance(self, snr: float) -> float:
        """W2 of the distributions of E[x | z_t] and x: deviations rho sqrt(v) and sqrt(v) of each component."""
        return math.sqrt((self.variances * (1 - self.correlations(snr)) ** 2).sum())

    # ---- the same for steps of finite length -------------------------------------------------------------------

    def left_sum_bits(self, schedule: Schedule) -> float:
        """Expected cost of all steps with the deviation of q(z_s | z_t, x): 1/2 mmse(t) (SNR(s) - SNR(t)) of each."""
        steps = [(math.exp(-step.gamma_t), math.exp(-step.gamma_s)) for step in schedule.steps()]
        return sum(0.5 * self.mmse(t) * (s - t) for t, s in steps) / math.log(2)

    def flow_weights(self, steps: Sequence[Step]) -> np.ndarray:
        """Where the flow leads over z_t: each step is z_s = (alpha_s w + sigma_s (1 - alpha_t w) / sigma_t) z_t."""
        factor = np.ones_like(self.variances)
        for step in steps:
            weight = self.mean_weights(step)
            factor *= step.alpha_s * weight + step.sigma_s * (1 - step.alpha_t * weight) / step.sigma_t
        return factor / steps[-1].alpha_s

    def transport_weights(self, step: Step, last_variance: float) -> np.ndarray:
        """The optimal transport of z_t to x with noise of ``last_variance``, over z_t: deviations are matched."""
        total = step.alpha_t**2 * self.variances + step.sigma_t**2
        return np.sqrt((self.variances + last_variance) / total)

    def mean_weights(self, step: Step) -> np.ndarray:
        """E[x | z_t] over z_t."""
        return step.alpha_t * self.variances / (step.alpha_t**2 * self.variances + step.sigma_t**2)

    def linear_error(self, step: Step, weights: np.ndarray) -> float:
        """E|x - weights z_t|^2."""
        return float(((1 - weights * step.alpha_t) ** 2 * self.variances + (weights * step.sigma_t) ** 2).sum())

    def linear_distance(self, step: Step, weights: np.ndarray) -> float:
        """W2 of the distributions of weights z_t and x."""
        deviations = np.abs(weights) * np.sqrt(step.alpha_t**2 * self.variances + step.sigma_t**2)
        return math.sqrt(((np.sqrt(self.variances) - deviations) ** 2).sum())

    def error_of_ancestral(self, steps: Sequence[Step], *, exact: bool = False) -> float:
        """Squared error of ancestral samples in these steps with the deviation of q(z_s | z_t, x).

        With ``exact`` it is that of p(z_s | z_t) itself, for each component: then the samples are of p(z_0 | z_t).
        """
        factor, noise = np.ones_like(self.variances), np.zeros_like(self.variances)
        for step in steps:
            kept = step.z_weight + step.x_weight * self.mean_weights(step)
            added = step.posterior_sd**2 + exact * step.x_weight**2 * self._mmses(step)
            factor, noise = kept * factor, kept**2 * noise + added
        last = steps[-1].alpha_s
        return self.linear_error(steps[0], factor / last) + float(noise.sum()) / last**2

    def _mmses(self, step: Step) -> np.ndarray:
        return self.variances * step.sigma_t**2 / (step.alpha_t**2 * self.variances + step.sigma_t**2)


def assert_mean(samples: np.ndarray | torch.Tensor, expected: float) -> None:
    """The mean of samples is within five standard errors of ``expected``: a right answer fails once in two million."""
    values = np.asarray(samples, np.float64)
    error = values.std() / math.sqrt(values.size)
    assert abs(values.mean() - expected) < 5 * error, (values.mean(), expected, error)


def squared_errors(x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Sums of squares of each sample [N]."""
    return (x - other).square().flatten(1).sum(1)

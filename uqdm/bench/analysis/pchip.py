"""Integrals and values of monotone piecewise cubics (PCHIP) through many curves at once.

The same interpolation as ``scipy.interpolate.PchipInterpolator``, which takes one curve at a time; a bootstrap needs
thousands. Slopes are those of Fritsch & Butland (SIAM J. Sci. Stat. Comput. 5, 1984), with Moler's one-sided slopes at
the ends (Numerical Computing with MATLAB, 2004, sec. 3.6).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def integrals(x: np.ndarray, y: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Integrals [R] from ``low`` [R] to ``high`` [R] of the interpolants through ``x``, ``y`` [R, K], a curve per row.

    ``x`` increases strictly in each row, K is at least 2, and the bounds lie within a row's ``x``. The value of a row
    that breaks this, or has NaN, is meaningless.

    >>> x = np.array([[0.0, 1.0, 2.0, 3.0]])
    >>> float(integrals(x, 2 * x, np.array([1.0]), np.array([3.0]))[0])
    8.0
    """
    if x.shape != y.shape or x.ndim != 2 or x.shape[1] < 2:
        raise ValueError(f"expected two arrays [curves, points >= 2] of one shape, got {x.shape} and {y.shape}")
    with np.errstate(all="ignore"):
        slopes = _slopes(x, y)
        return _antiderivative(x, y, slopes, high) - _antiderivative(x, y, slopes, low)


def values(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Values [R] at ``at`` [R] of the interpolants through ``x``, ``y`` [R, K], as :func:`integrals` takes them.

    >>> x = np.array([[0.0, 1.0, 2.0, 3.0]])
    >>> float(values(x, 2 * x, np.array([1.25]))[0])
    2.5
    """
    with np.errstate(all="ignore"):
        piece = _Piece.at(x, y, _slopes(x, y), at)
        return piece.start + piece.u * (piece.slope + piece.u * (piece.quadratic + piece.u * piece.cubic))


def _slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Slopes [R, K] at the points."""
    h = np.diff(x)
    secants = np.diff(y) / h
    if x.shape[1] == 2:
        return np.repeat(secants, 2, axis=1)
    slopes = np.zeros_like(y)
    left, right = secants[:, :-1], secants[:, 1:]
    weight_left, weight_right = 2 * h[:, 1:] + h[:, :-1], h[:, 1:] + 2 * h[:, :-1]
    harmonic = (weight_left + weight_right) / (weight_left / left + weight_right / right)
    slopes[:, 1:-1] = np.where(left * right > 0, harmonic, 0.0)  # flat where the curve turns
    slopes[:, 0] = _end_slope(h[:, 0], h[:, 1], secants[:, 0], secants[:, 1])
    slopes[:, -1] = _end_slope(h[:, -1], h[:, -2], secants[:, -1], secants[:, -2])
    return slopes


def _end_slope(h_0: np.ndarray, h_1: np.ndarray, secant_0: np.ndarray, secant_1: np.ndarray) -> np.ndarray:
    """Slope [R] at an end, of the parabola through three points, limited so that no piece overshoots."""
    slope = ((2 * h_0 + h_1) * secant_0 - h_0 * secant_1) / (h_0 + h_1)
    turns = (np.sign(secant_0) != np.sign(secant_1)) & (np.abs(slope) > 3 * np.abs(secant_0))
    return np.where(np.sign(slope) != np.sign(secant_0), 0.0, np.where(turns, 3 * secant_0, slope))


@dataclass(frozen=True)
class _Piece:
    """The cubic of each row [R] on the piece that holds a place: coefficients in the distance ``u`` from its start."""

    index: np.ndarray
    u: np.ndarray
    start: np.ndarray
    slope: np.ndarray
    quadratic: np.ndarray
    cubic: np.ndarray

    @classmethod
    def at(cls, x: np.ndarray, y: np.ndarray, slopes: np.ndarray, place: np.ndarray) -> _Piece:
        index = np.clip((x <= place[:, None]).sum(axis=1) - 1, 0, x.shape[1] - 2)[:, None]

        def of(values: np.ndarray, offset: int = 0) -> np.ndarray:
            return np.take_along_axis(values, index + offset, axis=1)[:, 0]

        width = of(x, 1) - of(x)
        secant = (of(y, 1) - of(y)) / width
        slope, next_slope = of(slopes), of(slopes, 1)
        quadratic = (3 * secant - 2 * slope - next_slope) / width
        return cls(index, place - of(x), of(y), slope, quadratic, (slope + next_slope - 2 * secant) / width**2)


def _antiderivative(x: np.ndarray, y: np.ndarray, slopes: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Integrals [R] from each row's first point to ``at`` [R]."""
    h = np.diff(x)
    pieces = h * (y[:, :-1] + y[:, 1:]) / 2 + h**2 * (slopes[:, :-1] - slopes[:, 1:]) / 12
    before = np.concatenate([np.zeros((len(x), 1)), np.cumsum(pieces, axis=1)], axis=1)
    piece = _Piece.at(x, y, slopes, at)
    u = piece.u
    within = u * (piece.start + u * (piece.slope / 2 + u * (piece.quadratic / 3 + u * piece.cubic / 4)))
    return np.take_along_axis(before, piece.index, axis=1)[:, 0] + within

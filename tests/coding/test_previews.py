"""Separately rounded images are equal for outputs within the tolerance, and close to the estimate."""

import numpy as np
import pytest

from uqdm.coding import previews
from uqdm.coding.ans import Reader, Writer
from uqdm.coding.offsets import MarginError


def picture(size, error_levels, seed=0):
    """An estimate x_hat of random levels, and the levels."""
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, 256, size)
    return np.clip((2 * levels + 1) / 256 - 1 + rng.normal(0, error_levels / 128, size), -1, 1), levels


@pytest.mark.parametrize("size", [1, 7, 192, 12288])
@pytest.mark.parametrize("error_levels", [0.0, 2.0, 30.0])
@pytest.mark.parametrize("eps", [2e-6, 1e-9])
def test_decoder_within_the_tolerance_gets_the_same_levels(size, error_levels, eps):
    x_hat, levels = picture(size, error_levels)
    writer = Writer()
    shown = previews.write(writer, x_hat, levels, eps)
    stream, _ = writer.finish()
    rng = np.random.default_rng(1)
    for _ in range(20):  # each at the limit of the tolerance
        other = x_hat + 0.999 * eps * rng.choice([-1, 1], size)
        assert (previews.read(Reader(stream), other) == shown).all()


def test_levels_are_within_a_cell_of_the_estimate():
    x_hat, levels = picture(12288, 1.0)
    shown = previews.write(Writer(), x_hat, levels, 1e-8)
    # This eps allows the finest cells: 1/8 of a level, whose middle is at most 1/16 away.
    assert np.abs(shown - np.clip(128 * (x_hat + 1) - 0.5, 0, 255)).max() <= 0.5 + 1 / 16
    assert (shown != np.clip(np.floor(128 * (x_hat + 1)), 0, 255)).mean() < 1 / 16


@pytest.mark.parametrize(("error_levels", "most_bits", "most_loss_db"), [(20.0, 30, 0.01), (2.0, 70, 0.05)])
def test_rounding_takes_few_bits_and_loses_little_quality(error_levels, most_bits, most_loss_db):
    x_hat, levels = picture(12288, error_levels)
    writer = Writer()
    shown = previews.write(writer, x_hat, levels, 2e-6)
    nearest = np.clip(np.floor(128 * (x_hat + 1)), 0, 255)
    loss_db = 10 * np.log10(((shown - levels) ** 2.0).mean() / ((nearest - levels) ** 2.0).mean())
    assert loss_db < most_loss_db
    assert 8 * len(writer.finish()[0]) - 48 <= most_bits


def test_estimates_that_are_not_finite_become_levels():
    bad = np.array([np.nan, np.inf, -np.inf, 0.0])
    shown = previews.write(Writer(), bad, np.zeros(4), 1e-6)
    assert shown.tolist() == [128, 255, 0, 128]


def test_no_fitting_offset_is_an_error():
    x_hat, levels = picture(12288, 2.0)
    with pytest.raises(MarginError):
        previews.write(Writer(), x_hat, levels, 1e-3)

"""Codebooks, the choice of codewords, and the noise that they make."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from ddcm_models import gaussian_model
from scipy import stats

from uqdm.channel.prefix_code import BitReader
from uqdm.ddcm.choice import Choice, Method, Pursuit, Threshold
from uqdm.ddcm.codebook import Codebook
from uqdm.ddcm.coder import CodebookCoder
from uqdm.ddcm.noise_levels import NoiseLevels

BOOK = Codebook(seed=1, index=2, n_words=64, size=300)
SMALL_BOOK = Codebook(seed=1, index=2, n_words=16, size=40)


def residuals(n_tiles: int, size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_tiles, size)).astype(np.float32)


def all_words(book: Codebook, tile: int) -> np.ndarray:
    return np.stack([book.word(number, tile) for number in range(book.n_words)])


def test_products_are_those_of_each_tiles_words() -> None:
    rows = residuals(3, 300)
    (found,) = BOOK.products([rows])
    for tile in range(3):
        # Sums of 300 float32 products of about 1 have errors of some 1e-6.
        np.testing.assert_allclose(found[tile], all_words(BOOK, tile) @ rows[tile].astype(np.float64), atol=1e-4)


def test_blocks_do_not_change_products(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = residuals(2, 300)
    whole = BOOK.products([rows])[0]
    monkeypatch.setattr("uqdm.ddcm.codebook._BLOCK_NUMBERS", 7 * 300)
    np.testing.assert_allclose(BOOK.products([rows])[0], whole, atol=1e-4)
    assert BOOK.norms().shape == (64,)


def test_products_of_an_image_do_not_depend_on_the_others() -> None:
    first, second = residuals(2, 300, seed=1), residuals(5, 300, seed=2)
    together = BOOK.products([first, second])
    assert (together[0] == BOOK.products([first])[0]).all()
    assert (together[1] == BOOK.products([second])[0]).all()


def test_tiles_have_different_words_of_equal_norm() -> None:
    first, second = all_words(BOOK, 0), all_words(BOOK, 1)
    assert not (first == second).all(axis=1).any()
    np.testing.assert_array_equal((first**2).sum(1), (second**2).sum(1))
    np.testing.assert_allclose(BOOK.norms(), np.sqrt((first**2).sum(1)), rtol=1e-12)


def test_threshold_takes_the_largest_products_with_their_signs() -> None:
    rows = residuals(2, 300)
    products = all_words(BOOK, 1) @ rows[1]
    (found,) = Threshold(64, 5).choose(BOOK, [rows])
    expected = sorted(np.argsort(-np.abs(products))[:5].tolist())
    assert list(found[1].numbers) == expected
    assert [bool(sign) for sign in found[1].coefficients] == (products[expected] > 0).tolist()


def test_one_codeword_of_pursuit_is_the_nearest() -> None:
    rows = residuals(2, 300)
    (found,) = Pursuit(64, 1, 3).choose(BOOK, [rows])
    assert [choice.numbers for choice in found] == [(int((all_words(BOOK, t) @ rows[t]).argmax()),) for t in (0, 1)]
    np.testing.assert_array_equal(Pursuit(64, 1, 3).noise(found[1], BOOK, 1), BOOK.word(found[1].numbers[0], 1))


def test_each_word_of_pursuit_is_the_best_there_is() -> None:
    method, (row,) = Pursuit(16, 2, 2), residuals(1, 40)
    ((found,),) = method.choose(SMALL_BOOK, [row[None]])
    first = found.numbers[0]
    choices = [Choice((first, number), (0, weight)) for number in range(16) for weight in range(4)]
    reached = [float(method.noise(choice, SMALL_BOOK, 0) @ row) for choice in choices]
    # The choice is made by float32 products: another one may be better by their rounding.
    assert float(method.noise(found, SMALL_BOOK, 0) @ row) == pytest.approx(max(reached), abs=1e-4)


def test_pursuit_stops_where_no_word_helps() -> None:
    method = Pursuit(2, 3, 3)
    book = Codebook(seed=0, index=0, n_words=2, size=64)
    ((found,),) = method.choose(book, [book.word(0, 0)[None].astype(np.float32)])
    assert found == Choice((0, 0, 0), (0, 0, 0))
    # Normalized, the first word stays the noise.
    np.testing.assert_allclose(method.noise(found, book, 0), book.word(0, 0) / (book.norms()[0] / 8), rtol=1e-12)


@pytest.mark.parametrize("method", [Threshold(64, 1), Threshold(64, 9), Threshold(64, 64), Pursuit(64, 4, 3)])
def test_noise_has_unit_variance_and_points_to_the_image(method: Method) -> None:
    rows = residuals(2, 300)
    (found,) = method.choose(BOOK, [rows])
    for tile, choice in enumerate(found):
        noise = method.noise(choice, BOOK, tile)
        assert (noise**2).mean() == pytest.approx(1, rel=1e-12)
        assert noise @ rows[tile] > 2 * np.linalg.norm(rows[tile])  # of a word at random it is 0 with a deviation of 1


@pytest.mark.parametrize(
    "method",
    [Threshold(2, 1), Threshold(4, 4), Threshold(4096, 20), Pursuit(2, 1, 1), Pursuit(256, 1, 3), Pursuit(64, 3, 8)],
)
def test_choices_survive_writing_and_reading(method: Method) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        if isinstance(method, Threshold):
            numbers = np.sort(rng.choice(method.n_words, method.vectors, replace=False))
            coefficients = rng.integers(0, 2, method.vectors)
        else:
            assert isinstance(method, Pursuit)
            numbers = rng.integers(0, method.n_words, method.vectors)
            coefficients = np.array([0, *rng.integers(0, 1 << method.coefficient_bits, method.vectors - 1)])
        choice = Choice(tuple(numbers.tolist()), tuple(coefficients.tolist()))
        bits = method.write(choice)
        assert len(bits) == method.n_bits
        assert method.read(BitReader(bits)) == choice


@pytest.mark.parametrize(("words", "vectors"), [(16, 1), (4096, 1), (4096, 5), (65536, 100)])
def test_a_choice_has_the_bits_of_all_subsets_and_signs(words: int, vectors: int) -> None:
    method = Threshold(words, vectors)
    expected = (math.lgamma(words + 1) - math.lgamma(vectors + 1) - math.lgamma(words - vectors + 1)) / math.log(2)
    assert method.ideal_bits == pytest.approx(expected + vectors, rel=1e-9)
    assert method.n_bits == math.ceil(method.ideal_bits)


def test_a_rank_out_of_range_is_refused() -> None:
    method = Threshold(16, 3)  # 560 subsets of 8 signs in 13 bits
    with pytest.raises(ValueError, match="there are 560"):
        method.read(BitReader("1" * method.n_bits))


def test_latents_of_a_gaussian_source_are_those_of_the_process() -> None:
    # A step's 12 bits are close to its divergence (10 to 12 bits) for a white source and its exact estimate. The noise
    # of codewords then leaves the latents with the distribution of the forward process, and with its noise about x.
    deviation, n_tiles, size = 0.25, 32, 768  # images are clipped at 4 deviations
    model, method = gaussian_model(deviation, deviation), Pursuit(4096, 1, 3)
    coder = CodebookCoder(model, method, NoiseLevels(n_coded=8, n_free=1, depth=56, spacing=100))
    x = torch.from_numpy(np.random.default_rng(0).normal(0, deviation, (n_tiles, 3, 16, 16)))
    (steps,) = coder.send([x], seed=5)
    for step, latent in zip(coder.coded, list(coder.receive(steps, tuple(x.shape), 5))[1:], strict=True):
        z_s = latent.z_t.double()
        variance = step.alpha_s**2 * deviation**2 + step.sigma_s**2
        noise = (z_s - step.alpha_s * x) / step.sigma_s
        # Four standard errors of the variance of 24,576 values, on a fixed seed.
        tolerance = 4 * math.sqrt(2 / (n_tiles * size))
        assert float((z_s**2).mean()) == pytest.approx(variance, rel=tolerance)
        assert float((noise**2).mean()) == pytest.approx(1, rel=tolerance)
        assert stats.kstest(z_s.numpy().ravel() / math.sqrt(variance), "norm").pvalue > 1e-3
        assert stats.kstest(noise.numpy().ravel(), "norm").pvalue > 1e-3

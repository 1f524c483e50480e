"""The networks of a process in bands: sections, what each head sees, and the cost of a call."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from small_bands import NOISE, SMALL_BANDS, banded_model, banded_networks

from uqdm.banded.network import BAND_SECTIONS, N_BAND_SECTIONS, N_BANDS, BandState, band_section, known_before
from uqdm.coding.bounds import Bounds
from uqdm.diffusion.choices import ANCESTRAL, DENOISE
from uqdm.model.sectioned import N_SECTIONS, by_section
from uqdm.progressive.banded.costs import BandedCosts
from uqdm.progressive.banded.rounding import Rounding
from uqdm.progressive.banded.steps import Draws, Known, Networks, advance, begin
from uqdm.progressive.banded.symbols import Symbols


@pytest.mark.parametrize(("height", "width"), [(2, 2), (3, 5)])
def test_sections_cover_each_coordinate_once(height: int, width: int) -> None:
    count, seen = torch.zeros(N_BANDS, height, width), torch.zeros(N_BANDS, dtype=torch.bool)
    for index in range(N_BAND_SECTIONS):
        of, blocks = band_section(index, height, width)
        assert seen.nonzero().flatten().tolist() == list(range(known_before(index)))
        count[of] += blocks
        seen[of] = True
    assert (count == 1).all()
    assert sum(BAND_SECTIONS) == N_BANDS


def late_section(number: int) -> tuple[slice | int, ...]:
    """A section of a late step in [B, 3, S, S]: upper left, lower right, upper right, lower left; green, red, blue."""
    position, colour = divmod(number, 3)
    row, column = ((0, 0), (1, 1), (0, 1), (1, 0))[position]
    return slice(None), (1, 0, 2)[colour], slice(row, None, 2), slice(column, None, 2)


def test_late_sections_cover_each_coordinate_once() -> None:
    """In the order in which the heads see them."""
    count, numbers = torch.zeros(1, 3, 4, 6), torch.zeros(1, 3, 4, 6)
    for number in range(N_SECTIONS):
        count[late_section(number)] += 1
        numbers[late_section(number)] = number
    assert (count == 1).all()
    assert (by_section(numbers) == torch.arange(N_SECTIONS)[:, None, None]).all()


class Watched(Symbols):
    """The symbols of data; ``seen`` has the densities of each section."""

    def __init__(self, data: np.ndarray):
        self.data: np.ndarray | None = data
        self.seen: list[np.ndarray] = []

    def free(self, row: int, locations: np.ndarray, scales: np.ndarray, wanted: np.ndarray | None) -> np.ndarray:
        assert wanted is not None
        self.seen.append(np.stack([locations, scales]))
        return wanted

    def bounded(
        self, row: int, locations: np.ndarray, scales: np.ndarray, bounds: Bounds, wanted: np.ndarray | None
    ) -> np.ndarray:
        return self.free(row, locations, scales, wanted)


def advanced(networks: Networks, known: Known, data: np.ndarray) -> tuple[Known, list[np.ndarray]]:
    """What is known after one more step of data, and the densities of its sections."""
    watched = Watched(data)
    return advance(networks, known, Draws([0], [0]), Rounding([0]), watched)[0], watched.seen


def after_steps(networks: Networks, levels: np.ndarray, n_steps: int) -> Known:
    known, coefficients = begin(networks, 1), networks.coefficients(levels)
    for step in range(n_steps):
        known, _ = advanced(networks, known, coefficients if step < networks.schedule.n_band_steps else levels)
    return known


@pytest.fixture(scope="module")
def networks() -> Networks:
    made = Networks(banded_model(noise=NOISE), torch.device("cpu"))
    with torch.no_grad():
        made.networks.bands.log_deviation.copy_(6.5 - 0.005 * torch.arange(N_BANDS))  # so that all sections send much
    return made


@pytest.fixture(scope="module")
def levels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (1, 3, 16, 16))


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("first", range(N_BAND_SECTIONS))
def test_densities_of_a_band_section_depend_on_earlier_sections_alone(
    networks: Networks, levels: np.ndarray, step: int, first: int
) -> None:
    """Other coefficients from section ``first`` on: densities up to and including that section are the same bits."""
    known, one = after_steps(networks, levels, step), networks.coefficients(levels)
    other = one.copy()
    for index in range(first, N_BAND_SECTIONS):
        of, blocks = band_section(index, *one.shape[2:])
        other[:, of] += np.where(blocks, 300.0, 0.0)
    (_, seen), (_, changed) = (advanced(networks, known, data) for data in (one, other))
    assert len(seen) == N_BAND_SECTIONS
    for index in range(first + 1):
        assert np.array_equal(seen[index], changed[index])
    if first + 1 < N_BAND_SECTIONS:
        assert seen[first][0].size > 0  # something of it was sent, and the next section sees it
        assert seen[first + 1].shape != changed[first + 1].shape or (seen[first + 1] != changed[first + 1]).any()


@pytest.mark.parametrize("stage", [3, 4], ids=["pixel step", "last stage"])
@pytest.mark.parametrize("first", [0, 5, 11])
def test_densities_of_a_late_section_depend_on_earlier_sections_alone(
    networks: Networks, levels: np.ndarray, stage: int, first: int
) -> None:
    known, other = after_steps(networks, levels, stage), levels.copy()
    low, high = (0, 255) if known.window is None else known.window
    opposite = np.where(levels - low > (high - low) / 2, low, high)
    for number in range(first, N_SECTIONS):
        other[late_section(number)] = opposite[late_section(number)]
    (_, seen), (_, changed) = (advanced(networks, known, data) for data in (levels, other))
    assert len(seen) == N_SECTIONS
    assert all(np.array_equal(seen[number], changed[number]) for number in range(first + 1))
    assert first + 1 == N_SECTIONS or (seen[first + 1] != changed[first + 1]).any()


def test_all_late_sections_at_once_are_the_sections_one_by_one() -> None:
    """Training and coding: masked weights against weights of known sections alone."""
    networks = banded_networks(noise=NOISE).double()
    generator = torch.Generator().manual_seed(0)
    picture, misfit, values = 30 * torch.randn(3, 1, 3, 16, 16, generator=generator, dtype=torch.float64)
    network, _ = networks.late_networks
    opened = networks.open_pixel_step(picture, misfit / 100)
    residuals = network.residuals(values, opened)
    mean, log_deviation = (by_section(found) for found in network.all_sections(opened, residuals))
    for number in range(N_SECTIONS):
        one, own_log = network.section(number, opened, residuals)
        torch.testing.assert_close(one[:, 0], mean[:, number], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(own_log[:, 0], log_deviation[:, number], rtol=1e-12, atol=1e-12)


def test_shapes_of_any_even_tiling() -> None:
    networks = banded_networks(32, noise=NOISE)
    state = BandState.empty(torch.zeros(2, N_BANDS, 4, 3))
    opened = networks.bands.open(1, state)
    assert opened.picture.shape == (2, 3, 32, 24)
    assert opened.spread.shape == state.z.shape
    for index in range(N_BAND_SECTIONS):
        found = networks.bands.section(index, 1, opened, state.z[:, : known_before(index)])
        assert {value.shape for value in found} == {(2, BAND_SECTIONS[max(index - 1, 0)], 4, 3)}
    z = torch.zeros(2, 3, 32, 24)
    late = networks.open_last_stage(opened.picture, networks.misfit(state, opened.picture), z)
    assert late.x_hat.shape == z.shape
    assert (networks.misfit(state, opened.picture) == 0).all()  # nothing was sent


def test_before_the_first_step_there_is_one_picture(networks: Networks) -> None:
    """It depends on weights alone: the same for all tiles, and for all blocks inside a tile."""
    known = begin(networks, 2)
    picture = known.picture(Rounding([0, 0]))
    assert picture.shape == (2, 3, 16, 16)
    assert np.array_equal(picture[0], picture[1])
    assert known.n_done == 0
    assert not known.state.z.any()


def test_deviations_stay_within_their_limits() -> None:
    """Weights of any size give densities that a coder can use: deviations from e^-6 to e^3 times the linear one's."""
    networks = banded_networks()
    with torch.no_grad():
        networks.bands.heads[0].end.bias.fill_(50)
    state = BandState.empty(torch.zeros(1, N_BANDS, 2, 2))
    opened = networks.bands.open(0, state)
    _, log_deviation = networks.bands.section(0, 0, opened, state.z[:, :0])
    assert log_deviation[0, :, 0, 0].unique().tolist() == [3.0]
    networks.bands.heads[0].end.bias.data.neg_()
    _, log_deviation = networks.bands.section(0, 0, opened, state.z[:, :0])
    assert log_deviation[0, :, 0, 0].unique().tolist() == [-6.0]


# ---- costs --------------------------------------------------------------------------------------------------------


def convolution(inputs: int, outputs: int, kernel: int = 1, groups: int = 1) -> int:
    """Multiply-accumulates for each place of its outputs."""
    return inputs * outputs * kernel**2 // groups


def test_macs_are_those_counted_by_hand(networks: Networks) -> None:
    bands, late = SMALL_BANDS["bands"], SMALL_BANDS["late"][0]
    width, hidden, refine = bands["width"], bands["hidden"], bands["refine"]
    blocks, quarters, pixels = 4, 64, 256  # of 16 x 16 pixels
    transform = blocks * N_BANDS * 3 * 64
    trunk = convolution(2 * N_BANDS, width) + convolution(width, width, 3) + convolution(width, width)
    trunk += convolution(width, N_BANDS) + convolution(width, 16 * 16) + convolution(width, N_BAND_SECTIONS * hidden)
    refinement = convolution(12 + 16, refine, 3) + 2 * convolution(refine, refine, 3) + convolution(refine, 12, 3)
    costs = BandedCosts.of(networks)
    assert costs.opening == blocks * trunk + quarters * refinement + transform
    sections = 0
    for index in range(N_BAND_SECTIONS):
        near, far = min(known_before(index), 32), max(known_before(index) - 32, 0)
        sections += convolution(near, hidden, 3) + convolution(far, hidden) + convolution(hidden, hidden)
        sections += convolution(hidden, 2 * BAND_SECTIONS[max(index - 1, 0)])
    assert costs.sections == blocks * sections + transform  # that of x_hat: the centres of the densities
    own, heads = late["width"], late["hidden"]
    chain = convolution(own, own, 3) * 2
    features = quarters * convolution(4 * own, N_SECTIONS * heads)
    first = pixels * (convolution(6, own, 3) + chain) + features
    last = pixels * (convolution(9, own, 3) + chain + convolution(own, 3, 3)) + features  # with a residual of x_hat
    assert costs.late_openings == (first + 2 * transform, last)  # with the misfit, there and back, once for both
    head = convolution(heads, heads) + convolution(heads, 2)
    decoded = sum(convolution(number, heads, 3) for number in range(N_SECTIONS))
    assert costs.late_sections == (quarters * (N_SECTIONS * head + decoded),) * 2


def test_costs_of_pictures_add_up(networks: Networks) -> None:
    """K band steps have K openings after them; the pixel step and the last stage are opened to see the former."""
    costs = BandedCosts.of(networks)
    assert costs.encoding_calls == 5
    assert [costs.calls(step, DENOISE) for step in range(5)] == [0, 1, 2, 3, 5]
    assert costs.calls(None, DENOISE) == costs.calls(1, ANCESTRAL) == 5
    band, late = costs.opening + costs.sections, sum(costs.late_openings) + costs.late_sections[0]
    assert [costs.macs(step, DENOISE) for step in range(5)] == [0, band, 2 * band, 3 * band, 3 * band + late]
    assert costs.macs(None, DENOISE) == costs.macs(0, ANCESTRAL) == 3 * band + late + costs.late_sections[1]


def test_calls_are_those_made(levels: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    networks = Networks(banded_model(), torch.device("cpu"))
    calls: list[str] = []

    def count(owner: Any, name: str) -> None:
        kept = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *given: (calls.append(name), kept(*given))[1])

    count(networks.networks.bands, "open")
    for name in ("open_pixel_step", "open_last_stage", "misfit"):
        count(networks.networks, name)
    after_steps(networks, levels, 5)
    assert calls == [*["open"] * 4, "misfit", "open_pixel_step", "open_last_stage"]  # the first one is the same for all

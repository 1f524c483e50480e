"""Sections: their dependencies, and equal results at once and in turn."""

import pytest
import torch

from uqdm.model import checkpoint
from uqdm.model.sectioned import N_SECTIONS, SectionedDenoiser

NETWORK = {"width": 4, "dilations": [1, 2], "hidden": 5, "inner": [1]}
MODEL = {
    "schedule": {"slope": 18.21, "gamma_max": 6.0, "n_steps": 4},
    "denoiser": {"kind": "sectioned", "networks": [{**NETWORK, "inner": []}, NETWORK, {**NETWORK, "kernel": 5}]},
}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    denoiser, schedule = checkpoint.build(MODEL)
    for parameter in denoiser.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return denoiser.double().requires_grad_(False), schedule


@pytest.fixture(scope="module")
def latents():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 2, 3, 8, 12, generator=generator, dtype=torch.float64).unbind(0)


@pytest.mark.parametrize("index", [0, 1, 2, 3])
def test_sections_in_turn_equal_sections_at_once(model, latents, index):
    denoiser, schedule = model
    (z_t, z_s), step = latents, schedule.step(index)
    expected = denoiser.predict_all(z_t, z_s, step)
    opened, section = denoiser.begin(z_t, step), denoiser.section_of(step, *z_t.shape[1:])
    for i in range(denoiser.n_sections(step)):
        # What is not decoded yet holds no number: nothing of it may reach the prediction.
        known = torch.where(section < i, z_s, torch.nan)
        found = denoiser.condition(opened, z_t, known, i, step)
        for name in ("x_hat", "scale"):
            difference = (getattr(found, name) - getattr(expected, name))[:, section == i]
            assert difference.abs().max() < 1e-12  # float64, sums of some hundred terms in another order


def test_a_section_depends_on_each_earlier_section(model, latents):
    denoiser, schedule = model
    (z_t, z_s), step = latents, schedule.step(2)
    section = denoiser.section_of(step, *z_t.shape[1:])
    opened = denoiser.begin(z_t, step)
    before = denoiser.condition(opened, z_t, z_s, N_SECTIONS - 1, step).x_hat[:, section == N_SECTIONS - 1]
    for i in range(N_SECTIONS - 1):
        changed = torch.where(section == i, z_s + 1, z_s)
        after = denoiser.condition(opened, z_t, changed, N_SECTIONS - 1, step).x_hat[:, section == N_SECTIONS - 1]
        assert (after - before).abs().max() > 1e-9


def test_every_block_has_each_section_once(model):
    denoiser, schedule = model
    section = denoiser.section_of(schedule.step(1), 3, 8, 12)
    blocks = section.unfold(1, 2, 2).unfold(2, 2, 2).permute(1, 2, 0, 3, 4).flatten(2)
    assert (blocks.sort(-1).values == torch.arange(N_SECTIONS)).all()
    checkerboard = section.amax(0) < 6  # the first two positions of a block
    y, x = torch.meshgrid(torch.arange(8), torch.arange(12), indexing="ij")
    assert (checkerboard == ((x + y) % 2 == 0)).all()
    assert (denoiser.section_of(schedule.step(0), 3, 8, 12) == 0).all()


def test_picture_estimate_does_not_depend_on_sections(model, latents):
    denoiser, schedule = model
    (z_t, z_s), step = latents, schedule.step(1)
    opened, _ = denoiser.open_all(z_t, z_s, step)
    assert (opened.x_hat == denoiser(z_t, step).x_hat).all()


def test_x_hat_gets_gradient_from_its_own_loss_only(latents):
    torch.manual_seed(0)
    denoiser, schedule = checkpoint.build(MODEL)
    (z_t, z_s), step = (z.float() for z in latents), schedule.step(3)
    prediction = denoiser.predict_all(z_t, z_s, step)
    (prediction.x_hat.sum() + prediction.scale.sum()).backward()
    network = denoiser.networks[2]
    assert network.trunk.conv_out.weight.grad is None
    assert network.heads.out.weight.grad is not None


def test_every_step_but_the_first_needs_a_network():
    _, schedule = checkpoint.build(MODEL)
    with pytest.raises(ValueError, match="need 3 networks, not 1"):
        SectionedDenoiser(schedule, networks=[NETWORK])

"""DDIM on a model whose best noise prediction is known."""

import pytest
import torch

from fedzda.compression.diffusion.sampling import ddim_scheduler, sample, trajectory_points

DEVIATION = 0.5


def best(x, t):
    """The expected noise in ``x`` if images are normal with deviation 0.5."""
    kept = ddim_scheduler(1).alphas_cumprod[int(t)]
    return x * (1 - kept).sqrt() / (kept * DEVIATION**2 + 1 - kept)


@pytest.mark.parametrize("steps", [50, 61, 150, 334, 501, 600, 1000])
def test_any_number_of_steps_leads_to_the_images(steps):
    """Where steps do not divide 1000, those of diffusers' scheduler end elsewhere."""
    found = sample(best, torch.ones(1, 1, 2, 2), steps)
    assert float(found.mean()) == pytest.approx(DEVIATION, abs=0.03)


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("steps", [2, 5, 50, 1000])
def test_where_steps_divide_1000_it_is_diffusers_scheduler_bit_for_bit(steps, clip):
    noise = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))

    def denoiser(x, t):
        return torch.tanh(x) * float(t) / 1000

    theirs = sample(denoiser, noise, steps, scheduler=ddim_scheduler(steps, clip))
    assert torch.equal(sample(denoiser, noise, steps, clip=clip), theirs)


def test_points_of_a_trajectory_lie_between_its_steps():
    _, times = trajectory_points(
        best, torch.ones(500, 1, 1, 1), 3, torch.Generator().manual_seed(0)
    )
    high = [999, 666, 332]
    assert ddim_scheduler(3).timesteps.tolist() == high
    for part, top, low in zip(times.split(500), high, [*high[1:], -1], strict=True):
        assert low < int(part.min()) < int(part.max()) <= top

import pytest
import torch

from fedzda.base import UserError
from fedzda.compression.diffusion import (
    AutoFRConfig,
    FRDiffConfig,
    fit_keyframes,
    frdiff,
    frdiff_stats,
    sample,
)


def fitted(unet, **given):
    told = {"num_inference_steps": 4, "steps": 3, "lr": 0.1, **given}
    return fit_keyframes(unet, (1, 8, 8), AutoFRConfig(**told), torch.Generator().manual_seed(0))


def test_a_heavy_penalty_closes_every_gate_and_none_leaves_all_open(unet):
    closed = fitted(unet, penalty=100.0, steps=4)
    assert closed.keyframes == [0]
    opened = fitted(unet, penalty=0.0, first_logit=3.0)
    assert opened.keyframes == [0, 1, 2, 3]
    assert opened.errors == pytest.approx([0.0] * 3, abs=1e-9)


def test_only_the_error_reopens_a_closed_gate(unet):
    # with all gates closed the penalty is flat: what moves them is the error alone
    start = {"first_logit": -0.05, "steps": 1, "lr": 1e-3}
    assert fitted(unet, penalty=0.0, **start).gates == fitted(unet, penalty=5.0, **start).gates


def test_the_schedule_is_used_without_mixing_and_the_model_is_left_alone(unet, noise):
    plain = sample(unet, noise, 4)
    found = fitted(unet, penalty=100.0, steps=4)
    assert torch.equal(sample(unet, noise, 4), plain)
    config = found.config(FRDiffConfig(reuse_attention=False))
    assert (config.keyframes, config.score_mixing, config.reuse_attention) == ([0], False, False)
    with frdiff(unet, config):
        sample(unet, noise, 4)
        stats = frdiff_stats(unet)
    assert (stats.key, stats.reused, stats.skipped) == (1, 3, 0)


def test_closed_gates_compute_what_frdiff_computes(unet, noise):
    found = fitted(unet, penalty=0.0, first_logit=-1.0, steps=1, lr=1e-6)
    noise = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    wanted = sample(unet, noise, 4)
    with frdiff(unet, found.config()):
        error = (sample(unet, noise, 4) - wanted).square().mean()
    assert found.errors[0] == pytest.approx(float(error), rel=1e-4)


def test_training_mode_is_refused(unet):
    with pytest.raises(UserError, match="in eval mode"):
        fitted(unet.train())

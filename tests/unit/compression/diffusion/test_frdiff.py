import copy

import pytest
import torch
from diffusers import (
    DDIMPipeline,
    DDIMScheduler,
    DDPMPipeline,
    DDPMScheduler,
    HeunDiscreteScheduler,
)
from diffusers.hooks import HookRegistry, ModelHook
from torch import nn

from fedzda.base import UserError
from fedzda.compression.diffusion import (
    FRDiffConfig,
    apply_frdiff,
    count_flops,
    frdiff,
    frdiff_pipeline,
    frdiff_stats,
    remove_frdiff,
    reset_frdiff,
    sample,
)
from fedzda.compression.diffusion.schedule import mixing_weight, plan
from fedzda.compression.diffusion.targets import find_targets

from . import tiny


def config(**given):
    return FRDiffConfig(**{"num_inference_steps": 10, **given})


def test_share_of_the_network_is_the_table_of_the_paper():
    found = [mixing_weight(i, 50) for i in range(50)]
    assert found[:22] == [0.0] * 22
    expected = [0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95]
    assert found[22:29] == pytest.approx(expected)
    assert found[29:] == [1.0] * 21


@pytest.mark.parametrize(
    ("interval", "key", "reuse", "skip"), [(2, 25, 14, 11), (3, 17, 19, 14), (5, 10, 23, 17)]
)
def test_kinds_of_steps_at_50(interval, key, reuse, skip):
    kinds = plan(FRDiffConfig(interval=interval), 50)
    assert [kinds.count(kind) for kind in ("key", "reuse", "skip")] == [key, reuse, skip]


def test_kinds_of_steps_with_given_keyframes():
    kinds = plan(FRDiffConfig(keyframes=[0], score_mixing=False), 3)
    assert kinds == ["key", "reuse", "reuse"]
    with pytest.raises(UserError, match="keyframes must be below"):
        plan(FRDiffConfig(keyframes=[0, 9]), 5)
    with pytest.raises(ValueError, match="keyframes must rise from 0"):
        FRDiffConfig(keyframes=[1, 3])
    with pytest.raises(ValueError, match="keyframes replace interval"):
        FRDiffConfig(keyframes=[0, 3], interval=3)


def test_interval_1_and_removal_change_no_bit(unet, noise):
    plain = sample(unet, noise, 10)
    with frdiff(unet, config(interval=1)):
        assert torch.equal(sample(unet, noise, 10), plain)
    with frdiff(unet, config(interval=2)):
        changed = sample(unet, noise, 10)
        assert not torch.equal(changed, plain)
    assert torch.equal(sample(unet, noise, 10), plain)


def test_second_run_needs_no_reset_and_may_have_another_batch_size(unet, noise):
    with frdiff(unet, config()):
        first = sample(unet, noise, 10)
        assert torch.equal(sample(unet, noise, 10), first)
        torch.testing.assert_close(sample(unet, noise[:1], 10), first[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [tiny.unet, tiny.dit, tiny.conditional])
def test_reuse_at_the_point_of_the_key_step_changes_nothing(make):
    model = make()
    x, conditions = inputs_of(model)
    apply_frdiff(model, config(score_mixing=False))
    first = model(x, timestep=torch.full((2,), 500), **conditions).sample
    path = vars(model)["_fedzda_frdiff"]
    path.step, path.last = 0, 500.5  # so that the same point is met as step 1, a reuse step
    second = model(x, timestep=torch.full((2,), 500), **conditions).sample
    assert frdiff_stats(model).reused == 1
    torch.testing.assert_close(second, first, rtol=0, atol=2e-6)


def inputs_of(model):
    if model.config.in_channels == 1:
        return torch.randn(2, 1, 8, 8), {}
    x = torch.randn(2, 4, 8, 8)
    if "cross_attention_dim" in model.config and model.config.cross_attention_dim:
        return x, {"encoder_hidden_states": torch.randn(2, 5, 16)}
    return x, {"class_labels": torch.tensor([1, 2])}


def test_pure_jump_is_a_double_step(unet, noise):
    # mixing with the network's share forced to 0: every second step repeats the last output
    jump = FRDiffConfig(num_inference_steps=50, mixing_bias=1.0, mixing_slope=1000.0)
    with frdiff(unet, jump):
        doubled = sample(unet, noise, 50)
        assert frdiff_stats(unet).reused == 0
    wanted = sample(unet, noise, 25)
    assert float((doubled - wanted).norm() / wanted.norm()) <= 1e-5


def test_gates_of_a_dit_stay_live():
    model = tiny.dit()
    x, conditions = inputs_of(model)

    def noise_at(t):
        return model(x, timestep=torch.tensor([t, t]), **conditions).sample

    at_500, at_480 = noise_at(500), noise_at(480)
    apply_frdiff(model, config(score_mixing=False))
    noise_at(500)
    reused = noise_at(480)
    assert (reused - at_480).norm() < 0.2 * (at_500 - at_480).norm()
    assert not torch.equal(reused, at_480)


@pytest.mark.parametrize("make", [tiny.unet, tiny.dit, tiny.conditional])
def test_tuple_outputs_equal_named_ones(make):
    model = make()
    x, conditions = inputs_of(model)
    apply_frdiff(model, config())
    runs = []
    for return_dict in (True, False):
        outputs = []
        for t in (900, 800, 700, 600, 500, 400, 300, 200, 100, 0):
            found = model(x, torch.full((2,), t), return_dict=return_dict, **conditions)
            outputs.append(found.sample if return_dict else found[0])
        runs.append(torch.stack(outputs))
    assert torch.equal(runs[0], runs[1])
    assert frdiff_stats(model).key == 10


def test_guidance_in_two_calls_equals_one_call():
    model = tiny.conditional().double()
    x = torch.randn(1, 4, 8, 8).double()
    states = torch.randn(2, 5, 16).double()

    def guided(two_calls):
        scheduler = DDIMScheduler(clip_sample=False, timestep_spacing="trailing")
        scheduler.set_timesteps(10)
        latent = x
        for t in scheduler.timesteps:
            if two_calls:
                parts = [model(latent, t, states[i : i + 1]).sample for i in (0, 1)]
            else:
                parts = model(torch.cat([latent, latent]), t, states).sample.chunk(2)
            noise = parts[0] + 3 * (parts[1] - parts[0])
            latent = scheduler.step(noise, t, latent).prev_sample
        return latent

    with frdiff(model, config(interval=3)):
        torch.testing.assert_close(guided(True), guided(False), rtol=1e-4, atol=1e-4)


def test_guidance_switched_off_on_the_way_is_refused():
    model = tiny.conditional()
    x, conditions = inputs_of(model)
    apply_frdiff(model, config())
    for t in (900, 900, 800, 700):
        call = lambda t=t: model(x, torch.tensor(t), **conditions)  # noqa: E731
        if t == 700:
            with pytest.raises(UserError, match="fewer often per step"):
                call()
        else:
            call()


def test_a_batch_that_changes_within_a_trajectory_is_refused(unet):
    apply_frdiff(unet, config())
    unet(torch.randn(2, 1, 8, 8), torch.tensor(900))
    with pytest.raises(UserError, match="got a batch of shape"):
        unet(torch.randn(1, 1, 8, 8), torch.tensor(800))


@pytest.mark.parametrize("steps", [5, 12])
def test_wrong_number_of_steps_is_refused(unet, noise, steps):
    with (
        pytest.raises(UserError, match="num_inference_steps is 10, but the sampler"),
        frdiff(unet, config()),
    ):
        sample(unet, noise, steps)
    assert not hasattr(unet, "_fedzda_frdiff")


def test_a_stopped_trajectory_needs_a_reset(unet, noise):
    apply_frdiff(unet, config())
    unet(noise, torch.tensor(900))
    with pytest.raises(UserError, match="ended after 1 steps"):
        unet(noise, torch.tensor(999))
    unet(noise, torch.tensor(900))
    reset_frdiff(unet)
    unet(noise, torch.tensor(999))


def test_mixed_timesteps_and_unknown_numbers_are_refused(unet, noise):
    apply_frdiff(unet, config())
    with pytest.raises(UserError, match="time steps of one batch differ"):
        unet(noise, torch.tensor([3, 4]))
    remove_frdiff(unet)
    apply_frdiff(unet, FRDiffConfig())
    with pytest.raises(UserError, match="does not know the number"):
        unet(noise, torch.tensor(3))


def test_samplers_that_repeat_time_steps_are_refused(unet, noise):
    scheduler = HeunDiscreteScheduler()
    scheduler.set_timesteps(10)
    apply_frdiff(unet, config(num_inference_steps=19))
    with pytest.raises(UserError, match="repeat time steps"):
        sample(unet, noise, 19, scheduler=scheduler)
    remove_frdiff(unet)
    pipe = DDIMPipeline(unet, DDIMScheduler())
    pipe.scheduler = scheduler
    with (
        pytest.raises(UserError, match="Choose a scheduler of order 1"),
        frdiff_pipeline(pipe, FRDiffConfig()),
    ):
        pass


def test_other_predictions_are_refused(unet):
    pipe = DDIMPipeline(unet, DDIMScheduler(prediction_type="v_prediction"))
    with (
        pytest.raises(UserError, match="prediction_type must be 'epsilon'"),
        frdiff_pipeline(pipe, FRDiffConfig()),
    ):
        pass


def test_a_model_without_targets_is_refused():
    with pytest.raises(UserError, match="finds nothing to reuse in Sequential"):
        apply_frdiff(nn.Sequential(nn.Linear(2, 2)), config())


class Own(nn.Module):
    """A network of the user's, with its own places."""

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x, t):
        return self.body(x) * t / 1000


def test_networks_of_ones_own_name_their_places(noise):
    model = Own()
    with pytest.raises(UserError, match="names module 'head'"):
        apply_frdiff(model, config(targets=[{"module": "head"}]))
    apply_frdiff(model, config(score_mixing=False, targets=[{"module": "body"}]))
    with torch.no_grad():
        first = model(noise, torch.tensor(500))
        second = model(noise * 0, torch.tensor(250))
    torch.testing.assert_close(second, first / 2)


def test_copies_are_refused_until_removal(unet):
    apply_frdiff(unet, config())
    with pytest.raises(UserError, match="cannot be copied"):
        copy.deepcopy(unet)
    with pytest.raises(UserError, match="already applied"):
        apply_frdiff(unet, config())
    remove_frdiff(unet)
    copy.deepcopy(unet)
    with pytest.raises(UserError, match="not applied"):
        remove_frdiff(unet)


def test_foreign_hooks_are_refused(unet):
    registry = HookRegistry.check_if_exists_or_initialize(unet.mid_block)
    registry.register_hook(ModelHook(), "pyramid_attention_broadcast")
    with pytest.raises(UserError, match="hook 'pyramid_attention_broadcast'"):
        apply_frdiff(unet, config())
    registry.remove_hook("pyramid_attention_broadcast")
    apply_frdiff(unet, config())


def test_replaced_forward_functions_are_refused(unet):
    unet.mid_block.forward = unet.mid_block.forward
    with pytest.raises(UserError, match="a forward function of another package"):
        apply_frdiff(unet, config())


def test_places_in_every_kind_of_model():
    def kinds(model, **given):
        return [target.mode for target in find_targets(model, FRDiffConfig(**given))]

    unet = kinds(tiny.unet())
    assert (unet.count("output"), unet.count("residual")) == (8, 4)
    assert set(kinds(tiny.conditional(), reuse_resnet=False)) == {"residual"}
    assert kinds(tiny.dit()) == ["output"] * 2
    assert kinds(tiny.dit(), reuse_feedforward=True) == ["output"] * 4


@pytest.mark.parametrize(
    ("pipeline", "scheduler"), [(DDIMPipeline, DDIMScheduler), (DDPMPipeline, DDPMScheduler)]
)
def test_pipelines_say_their_number_of_steps(pipeline, scheduler):
    unet = tiny.unet()
    pipe = pipeline(unet, scheduler())
    pipe.set_progress_bar_config(disable=True)

    def images():
        rng = torch.Generator().manual_seed(0)
        return pipe(num_inference_steps=6, generator=rng, output_type="np").images

    plain = images()
    with frdiff_pipeline(pipe, FRDiffConfig(interval=1)):
        assert (images() == plain).all()
    with frdiff_pipeline(pipe, FRDiffConfig()) as path:
        assert (images() != plain).any()
        assert path.counts == {"key": 3, "reuse": 2, "skip": 1}
    assert (images() == plain).all()


def test_counted_cost_of_the_small_unet():
    unet, x = tiny.unet(layers=2, widths=(32, 64)), torch.randn(1, 1, 28, 28)
    assert sum(p.numel() for p in unet.parameters()) == 1_001_729

    def cost():
        return count_flops(lambda: sample(unet, x, 50))

    step = count_flops(lambda: unet(x, 0))
    assert step == pytest.approx(0.614e9, rel=0.01)
    with frdiff(unet, FRDiffConfig(num_inference_steps=50)):
        assert 50 * step / cost() == pytest.approx(1.62, abs=0.01)
    with frdiff(unet, FRDiffConfig(num_inference_steps=50, score_mixing=False)):
        assert 50 * step / cost() == pytest.approx(1.41, abs=0.01)


@pytest.mark.parametrize("names", [["mid_block.resnets.0.conv1"], ["mid_block", "mid_block"], [""]])
def test_modules_that_would_be_kept_twice_are_said_and_nothing_is_hooked(unet, noise, names):
    plain = sample(unet, noise, 10)
    with pytest.raises(UserError, match="FRDiff cannot keep the result of module"):
        apply_frdiff(unet, config(targets=[{"module": name} for name in names]))
    assert torch.equal(sample(unet, noise, 10), plain)
    apply_frdiff(unet, config())

import copy

import pytest
import torch
from torch import nn

from fedzda.base import UserError
from fedzda.compression.diffusion import (
    FRDiffConfig,
    TDQConfig,
    TDQTrainingConfig,
    apply_frdiff,
    calibrate_tdq,
    disable_tdq,
    frdiff,
    freeze_tdq,
    load_tdq,
    prepare_tdq,
    remove_frdiff,
    sample,
    save_tdq,
    train_tdq,
    train_tdq_ptq,
)
from fedzda.compression.diffusion.sampling import ddim_scheduler, trajectory_points
from fedzda.compression.diffusion.steps import StepNetwork, time_encoding
from fedzda.compression.diffusion.tdq import set_mode, state_of, stored_bits, tdq_layers
from fedzda.compression.diffusion.tdq_layers import levels

from . import tiny

METHODS = ["tdq", "lsq", "static-min-max", "static-mse", "per-step", "dynamic"]
TIMES = torch.tensor([3, 700])


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def quantized(unet, passes=2, **given):
    prepare_tdq(unet, TDQConfig(**given))
    calibrate_tdq(
        unet, torch.randn(8, 1, 8, 8, generator=rng()), rng(1), passes=passes, batch_size=4
    )
    return unet


def vary(unet):
    """Give every step network something to say."""
    for module in unet.modules():
        if isinstance(module, StepNetwork):
            nn.init.normal_(module.last.weight, std=0.02)


def call(model, noise, t=TIMES):
    with torch.no_grad():
        return model(noise, t).sample


def test_levels_of_grids():
    symmetric = {8: 253, 6: 61, 5: 29, 4: 13, 3: 5}
    for bits, count in symmetric.items():
        low, high = levels(bits, silu=False)
        assert high - low + 1 == count
        low, high = levels(bits, silu=True)
        assert (low, high + 1) == (0, 2**bits - 1)


def test_two_bits_leave_no_symmetric_grid():
    with pytest.raises(ValueError, match="greater than or equal to 3"):
        TDQConfig(activation_bits=2)


@pytest.mark.parametrize(("dim", "count"), [(128, 16641), (32, 10497)])
def test_size_of_a_step_network(dim, count):
    network = StepNetwork(dim, 64, 0.2)
    assert sum(p.numel() for p in network.parameters()) == count


def test_step_network_starts_near_its_constant():
    torch.manual_seed(0)
    network = StepNetwork(32, 64, 0.2).eval()
    network.start(0.37)
    steps = network.at(time_encoding(torch.arange(1000), 32)) / 0.37
    assert 0.7 < float(steps.min().detach()) < float(steps.max().detach()) < 1.4


def test_encoding_is_that_of_the_unet(unet):
    times = torch.tensor([0, 17, 999])
    torch.testing.assert_close(time_encoding(times, 16), unet.time_proj(times))


@pytest.mark.parametrize(("layers", "count"), [(1, 39), (2, 57)])
def test_layers_that_are_quantized(layers, count):
    model = tiny.unet(layers)
    prepare_tdq(model, TDQConfig())
    found = tdq_layers(model)
    assert len(found) == count
    assert not any("time" in name or name in ("conv_in", "conv_out") for name in found)
    silu = [n for n, m in found.items() if m.input_quantizer.offset is not None]
    assert all(name.endswith(("conv1", "conv2")) for name in silu)
    assert len(silu) == 2 * sum(name.endswith("conv1") for name in found)


@pytest.mark.parametrize("make", [tiny.dit, tiny.conditional])
def test_other_models(make):
    model = make()
    prepare_tdq(model, TDQConfig())
    kept = ("proj_out_1", "proj_out_2", "norm1.linear", "timestep_embedder", "conv_in")
    assert not any(part in name for name in tdq_layers(model) for part in kept)
    assert tdq_layers(model)


def test_chosen_modules_stay_float(unet):
    prepare_tdq(unet, TDQConfig(modules_to_not_convert=["down_blocks", "mid_block", "up_blocks"]))
    assert "conv_in" in tdq_layers(unet)
    disable_tdq(unet)
    with pytest.raises(UserError, match="no convolution or linear layer"):
        prepare_tdq(unet, TDQConfig(modules_to_not_convert=list(dict(unet.named_children()))))


def test_observing_and_disabling_change_no_bit(unet, noise):
    plain = call(unet, noise)
    names = list(unet.state_dict())
    prepare_tdq(unet, TDQConfig())
    assert torch.equal(call(unet, noise), plain)
    set_mode(unet, "observe")
    assert torch.equal(call(unet, noise), plain)
    set_mode(unet, "quantize")
    assert not torch.equal(call(unet, noise), plain)
    disable_tdq(unet)
    assert torch.equal(call(unet, noise), plain)
    assert list(unet.state_dict()) == names
    with pytest.raises(UserError, match="not quantized"):
        disable_tdq(unet)


@pytest.mark.parametrize("method", METHODS)
def test_more_bits_are_closer(noise, method):
    errors = []
    for bits in (8, 4):
        model = tiny.unet()
        plain = call(model, noise)
        quantized(model, method=method, weight_bits=bits, activation_bits=bits)
        errors.append(float((call(model, noise) - plain).norm() / plain.norm()))
    assert errors[0] < 0.15
    assert errors[0] < 0.5 * errors[1]


def test_a_constant_network_is_a_static_step(noise):
    model = quantized(tiny.unet(), activation_bits=4)
    other = quantized(tiny.unet(), activation_bits=4, method="lsq")
    for layer, same in zip(tdq_layers(model).values(), tdq_layers(other).values(), strict=True):
        nn.init.zeros_(layer.input_quantizer.source.last.weight)
        step = same.input_quantizer.source.step
        torch.testing.assert_close(layer.input_quantizer.source.at(torch.zeros(1, 16))[0], step)
        with torch.no_grad():
            layer.input_quantizer.source.start(float(step))
    expected = call(other, noise)
    assert (call(model, noise) - expected).norm() < 0.02 * expected.norm()


@pytest.mark.parametrize("method", ["tdq", "per-step", "dynamic"])
def test_a_mixed_batch_is_a_loop_over_time_steps(unet, noise, method):
    quantized(unet, method=method)
    vary(unet)
    mixed = call(unet, noise)
    alone = torch.cat([call(unet, noise[i : i + 1], TIMES[i : i + 1]) for i in (0, 1)])
    # sums in another order may flip single roundings
    assert (mixed - alone).norm() < 0.05 * alone.norm()
    assert (call(unet, noise, TIMES.flip(0)) - alone).norm() > 0.05 * alone.norm()


def test_gradients_reach_every_step(unet, noise):
    quantized(unet, activation_bits=4, weight_bits=4)
    unet.requires_grad_(True).train()
    unet(noise, TIMES).sample.square().mean().backward()
    for layer in tdq_layers(unet).values():
        assert float(layer.weight_step.step.grad.abs()) > 0
        assert float(layer.input_quantizer.source.last.weight.grad.abs().sum()) > 0


def test_gradient_of_the_weight_step_is_scaled():
    layer = next(iter(tdq_layers(quantized(tiny.unet(), weight_bits=4)).values()))
    weight = layer.weight.detach()
    with torch.no_grad():
        layer.weight_step.step.mul_(0.7)  # so that no weight lies just at the end of the grid
    layer.weight_step.step.requires_grad_(True)
    layer.weight_step(weight).sum().backward()
    step = float(layer.weight_step.step.detach())
    level = (weight / step).clamp(-6, 6)
    inside = (weight / step).abs() < 6
    slope = torch.where(inside, level.round() - level, level)
    expected = float(slope.sum()) / (15 * weight.numel()) ** 0.5
    assert float(layer.weight_step.step.grad) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("granularity", ["per-tensor", "per-channel"])
def test_weights_start_no_worse_with_least_squares(granularity):
    errors = []
    for start in ("abs-max", "mse"):
        model = tiny.unet()
        prepare_tdq(
            model, TDQConfig(weight_bits=4, weight_start=start, weight_granularity=granularity)
        )
        layer = model.mid_block.resnets[0].conv1
        errors.append(float((layer.weight_step(layer.weight) - layer.weight).norm()))
    assert errors[1] < errors[0]


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("method", ["tdq", "per-step", "static-mse"])
def test_files_keep_every_bit(tmp_path, noise, method, frozen):
    model = quantized(tiny.unet(), method=method, activation_bits=6)
    vary(model)
    if frozen:
        freeze_tdq(model, torch.tensor([700, 3]))
    save_tdq(model, tmp_path / "a.safetensors")
    other = tiny.unet()
    load_tdq(other, tmp_path / "a.safetensors")
    assert torch.equal(call(other, noise), call(model, noise))


def test_files_of_something_else_are_refused(tmp_path, unet):
    from safetensors.torch import save_file

    save_file({"a": torch.ones(1)}, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match="no quantized denoiser"):
        load_tdq(unet, tmp_path / "a.safetensors")
    save_tdq(quantized(tiny.unet(2)), tmp_path / "b.safetensors")
    with pytest.raises(UserError, match="is of another model"):
        load_tdq(unet, tmp_path / "b.safetensors")


def test_the_table_agrees_with_the_networks(unet, noise):
    quantized(unet)
    vary(unet)
    timesteps = ddim_scheduler(10).timesteps
    layer = unet.mid_block.resnets[0].conv1
    live = layer.input_quantizer.source.at(time_encoding(timesteps, 16)).detach()
    expected = sample(unet, noise, 10)
    freeze_tdq(unet, timesteps)
    torch.testing.assert_close(layer.input_quantizer.source.table, live, rtol=0, atol=1e-6)
    assert not any(isinstance(module, StepNetwork) for module in unet.modules())
    assert (sample(unet, noise, 10) - expected).norm() < 0.02 * expected.norm()
    with pytest.raises(UserError, match="time step 5 is not among the 10"):
        call(unet, noise, torch.tensor(5))
    with pytest.raises(UserError, match="frozen already"):
        freeze_tdq(unet, timesteps)
    with pytest.raises(UserError, match="cannot be trained"):
        train_tdq(unet, noise, TDQTrainingConfig(steps=1), rng())


def test_a_frozen_model_can_be_disabled(unet, noise):
    plain = call(unet, noise)
    freeze_tdq(quantized(unet), TIMES)
    disable_tdq(unet)
    assert torch.equal(call(unet, noise), plain)


def test_modules_are_in_the_mode_of_the_model(unet, noise):
    quantized(unet)
    assert torch.equal(call(unet, noise), call(unet, noise))
    assert not any(module.training for module in unet.modules())


@pytest.mark.parametrize("method", METHODS)
def test_training_with_images_lowers_the_loss(method):
    model = tiny.unet()
    images = torch.rand(16, 1, 8, 8, generator=rng(3)) * 2 - 1
    quantized(model, method=method, activation_bits=4, weight_bits=4)
    before = [layer.input_quantizer.source for layer in tdq_layers(model).values()]
    first = [{k: v.clone() for k, v in s.state_dict().items()} for s in before[:1]]
    config = TDQTrainingConfig(steps=12, batch_size=16, lr=2e-3, warmup=2, ema_decay=0.5)
    seen = []
    losses = train_tdq(model, images, config, rng(), lambda step, loss: seen.append(step))
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])
    assert seen == list(range(12))
    moved = any(not torch.equal(v, first[0][k]) for k, v in before[0].state_dict().items())
    assert moved == (method in ("tdq", "lsq", "per-step"))


@pytest.mark.parametrize("method", ["tdq", "lsq", "per-step"])
def test_training_without_images_lowers_the_error_and_leaves_weights(method):
    model = quantized(tiny.unet(), method=method, activation_bits=4, step_bins=4)
    weights = model.conv_in.weight.clone(), model.mid_block.resnets[0].conv1.weight.clone()
    config = TDQTrainingConfig(steps=25, batch_size=16, lr=1e-2)
    noise = torch.randn(8, 1, 8, 8, generator=rng())
    losses = train_tdq_ptq(model, noise, config, rng(), sampling_steps=10)
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    assert torch.equal(model.conv_in.weight, weights[0])
    assert torch.equal(model.mid_block.resnets[0].conv1.weight, weights[1])
    assert all(m.input_quantizer.mode == "quantize" for m in tdq_layers(model).values())
    copy.deepcopy(model)


def test_methods_without_learned_steps_have_nothing_to_train_without_images(unet):
    quantized(unet, method="dynamic")
    assert train_tdq_ptq(unet, torch.randn(1, 1, 8, 8), TDQTrainingConfig(), rng()) == []


def test_points_of_trajectories_cover_all_time_steps(unet, noise):
    points, times = trajectory_points(unet, noise.repeat(8, 1, 1, 1), 10, rng())
    assert points.shape == (160, 1, 8, 8)
    assert len(torch.unique(times)) > 120
    assert int(times.max()) > 900
    assert int(times.min()) < 20


def test_with_feature_reuse(unet, noise):
    quantized(unet)
    with frdiff(unet, FRDiffConfig(num_inference_steps=10, interval=1)):
        plain = sample(unet, noise, 10)
    assert torch.equal(sample(unet, noise, 10), plain)
    apply_frdiff(unet, FRDiffConfig(num_inference_steps=10))
    assert not torch.equal(sample(unet, noise, 10), plain)
    with pytest.raises(UserError, match="carries FRDiff"):
        disable_tdq(unet)
    remove_frdiff(unet)
    disable_tdq(unet)
    apply_frdiff(unet, FRDiffConfig(num_inference_steps=10))
    with pytest.raises(UserError, match="carries FRDiff"):
        prepare_tdq(unet, TDQConfig())


def test_after_feature_reuse(unet, noise):
    plain = call(unet, noise)
    with frdiff(unet, FRDiffConfig(num_inference_steps=10)):
        sample(unet, noise, 10)
    quantized(unet)
    apply_frdiff(unet, FRDiffConfig(num_inference_steps=10))
    remove_frdiff(unet)
    assert not torch.equal(call(unet, noise), plain)
    disable_tdq(unet)
    assert torch.equal(call(unet, noise), plain)


def test_layers_that_others_have_wrapped_are_refused(unet):
    unet.mid_block.resnets[0].conv1.forward = lambda x: x
    with pytest.raises(UserError, match=r"of layer 'mid_block\.resnets\.0\.conv1'"):
        prepare_tdq(unet, TDQConfig())


def test_copies_have_time_steps_of_their_own(unet, noise):
    quantized(unet)
    vary(unet)
    other = copy.deepcopy(unet)
    expected = call(unet, noise, TIMES.flip(0))
    call(unet, noise)
    assert torch.equal(call(other, noise, TIMES.flip(0)), expected)
    assert state_of(other).moment is not state_of(unet).moment
    disable_tdq(other)
    assert not other._forward_pre_hooks


def test_stored_bits(unet):
    whole = 32 * sum(p.numel() for p in unet.parameters())
    quantized(unet, weight_bits=4)
    freeze_tdq(unet, ddim_scheduler(10).timesteps)
    weights = sum(layer.weight.numel() for layer in tdq_layers(unet).values())
    # one step per layer for its weights and ten for its input
    assert stored_bits(unet) == whole - 28 * weights + 32 * 11 * len(tdq_layers(unet))


def test_steps_that_are_missing_or_fixed_are_said(unet, noise):
    prepare_tdq(unet, TDQConfig(method="static-min-max"))
    config = TDQTrainingConfig(steps=1, batch_size=2)
    for work in (
        lambda: freeze_tdq(unet, TIMES),
        lambda: train_tdq(unet, noise, config, rng()),
        lambda: train_tdq_ptq(unet, noise, config, rng()),
    ):
        with pytest.raises(UserError, match="no steps yet, so it still computes float"):
            work()
    calibrate_tdq(unet, noise, rng(), passes=1, batch_size=2)
    freeze_tdq(unet, TIMES)
    expected = call(unet, noise)
    with pytest.raises(UserError, match="a frozen model cannot be calibrated"):
        calibrate_tdq(unet, 3 * noise, rng(), passes=1, batch_size=2)
    assert torch.equal(call(unet, noise), expected)


def test_training_without_images_sees_no_dropout_of_the_model(noise):
    losses = []
    for training in (False, True):
        model = quantized(tiny.unet(), dropout=0.0)
        for block in model.modules():
            if isinstance(block, nn.Dropout):
                block.p = 0.3
        for layer in tdq_layers(model).values():
            layer.input_quantizer.source.layers[-1].p = 0.0
        model.train(training)
        config = TDQTrainingConfig(steps=2, batch_size=4)
        losses.append(train_tdq_ptq(model, noise, config, rng(), sampling_steps=4))
    assert losses[0] == losses[1]


@pytest.mark.parametrize("steps", [10, 61, 201])
def test_every_number_of_steps_has_so_many_time_steps(steps):
    timesteps = ddim_scheduler(steps).timesteps
    assert len(timesteps) == steps
    assert (int(timesteps[0]), int(timesteps.min()) >= 0) == (999, True)
    with pytest.raises(UserError, match=r"at most 1000, the time steps of training \(got 1001\)"):
        ddim_scheduler(1001)

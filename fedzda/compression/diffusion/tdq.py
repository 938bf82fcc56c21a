"""TDQ: quantization whose step depends on the time step (So et al. 2023, arXiv 2306.02316).

prepare_tdq -> calibrate_tdq -> train_tdq (with images) or train_tdq_ptq (without) -> freeze_tdq.
Quantization is simulated: it shows quality and size, not speed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from fedzda.base import UserError
from fedzda.compression.diffusion.calls import Caller
from fedzda.compression.diffusion.config import TDQConfig
from fedzda.compression.diffusion.sampling import add_noise
from fedzda.compression.diffusion.steps import (
    TRAIN_STEPS,
    Moment,
    StepNetwork,
    TableStep,
    time_encoding,
)
from fedzda.compression.diffusion.tdq_layers import (
    SILU_MINIMUM,
    InputQuantizer,
    Mode,
    TDQConv2d,
    TDQLayer,
    TDQLinear,
    WeightStep,
)

FLOAT_PARTS = (
    "conv_in",
    "conv_out",
    "time_embedding",
    "time_emb_proj",
    "class_embedding",
    "add_embedding",
    "pos_embed",
    "norm1.emb",
    "norm1.linear",
    "proj_out_1",
    "proj_out_2",
)
"""Modules of diffusers that stay float by default: first and last layer, handling of time."""
_STATE = "_fedzda_tdq"


class State:
    """What belongs to a prepared model as a whole."""

    def __init__(self, config: TDQConfig, moment: Moment, caller: Caller, hook: Any) -> None:
        self.config, self.moment, self.caller, self.hook = config, moment, caller, hook


class _Publish:
    """A forward pre-hook on the denoiser."""

    def __init__(self, moment: Moment, caller: Caller) -> None:
        self.moment, self.caller = moment, caller

    def __call__(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        device = self.caller.input(args, kwargs).device
        self.moment.take(self.caller.timesteps(args, kwargs), device)


def prepare_tdq(model: nn.Module, config: TDQConfig) -> None:
    """Turn the layers of a denoiser into quantized ones, in place; they compute float at first.

    Args:
        model: A denoiser of diffusers, called with a time step for the batch or one per image.
        config: Bits and method.

    Raises:
        UserError: It is prepared already, carries FRDiff, or has no layer to quantize.
    """
    if hasattr(model, _STATE):
        raise UserError("the model is quantized already. Call disable_tdq first.")
    if hasattr(model, "_fedzda_frdiff"):
        raise UserError("the model carries FRDiff. Call remove_frdiff, quantize, apply it again.")
    kept = config.modules_to_not_convert
    chosen = _chosen(model, FLOAT_PARTS if kept is None else tuple(kept))
    if not chosen:
        raise UserError(
            f"{type(model).__name__} has no convolution or linear layer to quantize. Name fewer "
            "modules in modules_to_not_convert."
        )
    wrapped = [name for name, layer in chosen.items() if "forward" in vars(layer)]
    if wrapped:
        raise UserError(
            f"another package has replaced the forward function of layer '{wrapped[0]}', which "
            "would hide quantization. Switch it off first."
        )
    moment = Moment(config.embedding_dim or _base_width(model))
    offsets = _silu_offsets(model)
    for layer in chosen.values():
        device = layer.weight.device
        layer.input_quantizer = InputQuantizer(config, offsets.get(id(layer)), moment).to(device)
        layer.weight_step = WeightStep(config, layer.weight).to(device)
        layer.__class__ = TDQConv2d if isinstance(layer, nn.Conv2d) else TDQLinear
    model.train(model.training)  # so that new modules are in the mode of the model
    caller = Caller(model)
    hook = model.register_forward_pre_hook(_Publish(moment, caller), with_kwargs=True)
    model.__dict__[_STATE] = State(config, moment, caller, hook)


def state_of(model: nn.Module) -> State:
    """What :func:`prepare_tdq` left. Raises :class:`UserError` if it was not called."""
    found: State | None = getattr(model, _STATE, None)
    if found is None:
        raise UserError("the model is not quantized. Call prepare_tdq first.")
    return found


def tdq_layers(model: nn.Module) -> dict[str, TDQLayer]:
    """The quantized layers by name."""
    return {n: m for n, m in model.named_modules() if isinstance(m, TDQConv2d | TDQLinear)}


def set_mode(model: nn.Module, mode: Mode) -> None:
    """``float``, ``observe``, ``fit`` or ``quantize``, for all layers."""
    for layer in tdq_layers(model).values():
        layer.input_quantizer.mode = mode
        layer.input_quantizer.error = torch.zeros(())  # its graph could not be copied


@torch.no_grad()
def calibrate_tdq(
    model: nn.Module,
    images_NCHW: torch.Tensor,
    rng: torch.Generator,
    *,
    passes: int = 100,
    batch_size: int = 64,
) -> None:
    """Find first steps from noisy images at random time steps, and switch quantization on.

    Args:
        model: Prepared; it computes float meanwhile.
        images_NCHW: Images as the model was trained on, in about [-1, 1].
        rng: CPU generator of images, time steps and noise.
        passes: Forward passes (100 in the published code).
        batch_size: Images per pass.

    Raises:
        UserError: The model is not prepared, or frozen.
    """
    state_of(model)
    refuse_frozen(model, "calibrated")
    set_mode(model, "observe")
    for _ in range(passes):
        noisy, timesteps, _ = random_batch(images_NCHW, batch_size, rng)
        device = next(model.parameters()).device
        model(noisy.to(device), timesteps.to(device))
    for layer in tdq_layers(model).values():
        layer.input_quantizer.set_step()
    set_mode(model, "quantize")


def refuse_frozen(model: nn.Module, what: str) -> None:
    """Raise :class:`UserError`, which says that a frozen model cannot be ``what``."""
    if any(layer.weight_step.fixed is not None for layer in tdq_layers(model).values()):
        raise UserError(f"a frozen model cannot be {what}. Calibrate and train before freeze_tdq.")


def require_calibrated(model: nn.Module) -> None:
    """Raise :class:`UserError` unless all layers quantize; before calibration they are float."""
    state_of(model)
    if any(layer.input_quantizer.mode != "quantize" for layer in tdq_layers(model).values()):
        raise UserError(
            "the model has no steps yet, so it still computes float. Call calibrate_tdq first."
        )


def random_batch(
    images_NCHW: torch.Tensor, size: int, rng: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Noisy images, their time steps ``(N,)`` and their noise."""
    rows = torch.randint(len(images_NCHW), (size,), generator=rng)
    timesteps = torch.randint(TRAIN_STEPS, (size,), generator=rng)
    noise = torch.randn(size, *images_NCHW.shape[1:], generator=rng)
    return add_noise(images_NCHW[rows].cpu(), noise, timesteps), timesteps, noise


@torch.no_grad()
def freeze_tdq(model: nn.Module, timesteps: torch.Tensor) -> None:
    """Write the steps down for the time steps of a sampler, and fix the quantized weights.

    Step networks are dropped: at inference a step is looked up. Nothing can be trained afterwards.

    Args:
        model: Quantized.
        timesteps: All that the model will be called with, ``(K,)``, such as
            ``scheduler.timesteps``.

    Raises:
        UserError: The model is not calibrated, or frozen already.
    """
    require_calibrated(model)
    state = state_of(model)
    if state.moment.table is not None:
        raise UserError("the model is frozen already. Freeze a copy that was not frozen yet.")
    table = timesteps.detach().reshape(-1)
    for layer in tdq_layers(model).values():
        source = layer.input_quantizer.source
        if isinstance(source, StepNetwork):
            source.eval()
            encoding = time_encoding(table.to(layer.weight.device), state.moment.dim)
            layer.input_quantizer.source = TableStep(source.at(encoding))
        layer.weight_step.fixed = layer.weight_step(layer.weight).clone()
    if state.config.method == "tdq":
        state.moment.table = table


def disable_tdq(model: nn.Module) -> None:
    """Turn quantized layers back into plain ones; a model that was not trained meanwhile computes
    bit for bit what it did before.

    Raises:
        UserError: The model is not quantized, or carries FRDiff.
    """
    state = state_of(model)
    if hasattr(model, "_fedzda_frdiff"):
        raise UserError("the model carries FRDiff. Call remove_frdiff first.")
    for layer in tdq_layers(model).values():
        del layer.input_quantizer, layer.weight_step
        plain: Any = layer
        plain.__class__ = nn.Conv2d if isinstance(layer, nn.Conv2d) else nn.Linear
    state.hook.remove()
    del model.__dict__[_STATE]


def stored_bits(model: nn.Module) -> int:
    """Bits of a quantized model on a device, computed: packed weights, steps, and float32 for all
    that stays float (biases, norms, first and last layer)."""
    config = state_of(model).config
    layers = tdq_layers(model)
    weights: int = sum(layer.weight.numel() for layer in layers.values())
    everything: int = sum(v.numel() for v in model.state_dict().values())
    return weights * config.weight_bits + (everything - weights) * 32


def _chosen(model: nn.Module, kept: tuple[str, ...]) -> dict[str, Any]:
    def stays(name: str) -> bool:
        return any(f".{part}." in f".{name}." for part in kept)

    return {
        name: module
        for name, module in model.named_modules()
        if type(module) in (nn.Conv2d, nn.Linear) and not stays(name)
    }


def _silu_offsets(model: nn.Module) -> dict[int, float]:
    """Lower ends of the grids of layers behind SiLU, by the layer's id.

    Chosen by what the block does, not by its name: with another activation the range is another.
    """
    from diffusers.models.resnet import ResnetBlock2D

    found = {}
    for block in model.modules():
        if isinstance(block, ResnetBlock2D) and isinstance(block.nonlinearity, nn.SiLU):
            found[id(block.conv1)] = SILU_MINIMUM
            # dropout in training stretches what it leaves
            found[id(block.conv2)] = SILU_MINIMUM / (1 - block.dropout.p)
    return found


def _base_width(model: nn.Module) -> int:
    """Channels of the first resolution of a U-Net; 128 for other networks (our choice)."""
    widths = getattr(getattr(model, "config", None), "block_out_channels", None)
    return int(widths[0]) if widths else 128

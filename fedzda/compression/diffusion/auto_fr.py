"""Auto-FR: keyframes learned by gradient through the sampler (So, Lee, Park 2024, section on
automated search; the form is that of the authors' code for DiT).

One gate per sampling step but the first, shared by all places. A gate is hard (0 or 1) forwards and
soft backwards. An open gate computes, a closed one keeps the memory. There is no score mixing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers.hooks import HookRegistry, ModelHook
from torch import nn

from fedzda.base import UserError
from fedzda.compression.diffusion.calls import first_argument, tensor_of, with_tensor
from fedzda.compression.diffusion.config import AutoFRConfig, FRDiffConfig
from fedzda.compression.diffusion.sampling import ddim_scheduler, ddim_step
from fedzda.compression.diffusion.targets import Mode, find_targets, refuse_foreign, remove_hooks

_HOOK = "fedzda-auto-fr"


@dataclass(frozen=True)
class KeyframeSchedule:
    """What was learned.

    Attributes:
        keyframes: Sampling steps that compute everything, rising from 0.
        num_inference_steps: The number of sampling steps they are for.
        gates: Sigmoid of every logit, step 1 onwards.
        errors: Mean squared error of the final images at every step of Adam.
    """

    keyframes: list[int]
    num_inference_steps: int
    gates: list[float]
    errors: list[float]

    def config(self, base: FRDiffConfig | None = None) -> FRDiffConfig:
        """FRDiff with these keyframes and, as they were learned, without mixing."""
        told = (base or FRDiffConfig()).model_dump()
        told |= {
            "interval": 2,
            "keyframes": self.keyframes,
            "num_inference_steps": self.num_inference_steps,
            "score_mixing": False,
        }
        return FRDiffConfig.model_validate(told)


class _Gate(ModelHook):  # type: ignore[misc]
    """Memory that is renewed as far as the gate is open."""

    def __init__(self, shared: _Gates, mode: Mode) -> None:
        super().__init__()
        self.shared, self.mode = shared, mode
        self.memory: torch.Tensor | None = None

    def new_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        """The module's forward function."""
        output = self.fn_ref.original_forward(*args, **kwargs)
        now = tensor_of(output)
        if self.mode == "residual":
            now = now - first_argument(args, kwargs)
        if self.shared.open is None or self.memory is None:
            self.memory = now
            return output
        gate = self.shared.open
        self.memory = gate * now + (1 - gate) * self.memory
        kept = self.memory
        if self.mode == "residual":
            kept = kept + first_argument(args, kwargs)
        return with_tensor(output, kept)


class _Gates:
    """The gate of the current step; None at the first one, which always computes."""

    open: torch.Tensor | None = None


def fit_keyframes(
    model: nn.Module,
    shape: tuple[int, int, int],
    config: AutoFRConfig,
    rng: torch.Generator,
    base: FRDiffConfig | None = None,
    **conditions: Any,
) -> KeyframeSchedule:
    """Learn which sampling steps must compute.

    Memory holds the activations of all sampling steps: for tiny networks and few steps.

    Args:
        model: A denoiser that predicts noise; it is left as it was.
        shape: ``(channels, height, width)`` of a sample.
        config: Sampler and training.
        rng: CPU generator of the noise.
        base: Says which places are reused.
        **conditions: Passed to the denoiser by name.

    Raises:
        UserError: The model is in training mode, or FRDiff finds nothing to reuse.
    """
    if model.training:
        raise UserError(
            "Auto-FR needs the model in eval mode (it is in training mode). Call eval()."
        )
    refuse_foreign(model)
    gates = _Gates()
    hooks = []
    targets = find_targets(model, base or FRDiffConfig())
    for target in targets:
        hooks.append(_Gate(gates, target.mode))
        registry = HookRegistry.check_if_exists_or_initialize(target.module)
        registry.register_hook(hooks[-1], _HOOK)
    try:
        return _fit(model, shape, config, rng, gates, hooks, conditions)
    finally:
        remove_hooks(model, _HOOK)


def _fit(
    model: nn.Module,
    shape: tuple[int, int, int],
    config: AutoFRConfig,
    rng: torch.Generator,
    gates: _Gates,
    hooks: list[_Gate],
    conditions: dict[str, Any],
) -> KeyframeSchedule:
    device = next(model.parameters()).device
    steps = config.num_inference_steps
    logits = torch.full((steps - 1,), config.first_logit, device=device, requires_grad=True)
    adam = torch.optim.Adam([logits], config.lr)
    errors = []
    for _ in range(config.steps):
        noise = torch.randn(config.batch_size, *shape, generator=rng).to(device)
        with torch.no_grad():
            wanted = _through(model, noise, steps, gates, hooks, None, conditions)
        found = _through(model, noise, steps, gates, hooks, logits, conditions)
        error = nn.functional.mse_loss(found, wanted)
        penalty = torch.relu(2 * torch.sigmoid(logits) - 1).sum()
        (logits.grad,) = torch.autograd.grad(error + config.penalty * penalty, logits)
        adam.step()
        errors.append(float(error.detach()))
    soft = torch.sigmoid(logits.detach())
    frames = [0, *(int(i) + 1 for i in torch.nonzero(soft.round()).flatten())]
    return KeyframeSchedule(frames, steps, soft.tolist(), errors)


def _through(
    model: nn.Module,
    noise: torch.Tensor,
    steps: int,
    gates: _Gates,
    hooks: list[_Gate],
    logits: torch.Tensor | None,
    conditions: dict[str, Any],
) -> torch.Tensor:
    """A whole trajectory; without logits every step computes."""
    for hook in hooks:
        hook.memory = None
    scheduler = ddim_scheduler(steps)
    x = noise
    for number, t in enumerate(scheduler.timesteps):
        gates.open = None
        if logits is not None and number:
            soft = torch.sigmoid(logits[number - 1])
            gates.open = soft.round().detach() + soft - soft.detach()
        x = ddim_step(scheduler, number, x, tensor_of(model(x, t, **conditions)))
    return x

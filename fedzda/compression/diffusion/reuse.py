"""FRDiff: features of earlier sampling steps are used again (So, Lee, Park 2024, arXiv 2312.03517).

Key steps compute everything and keep it. On the steps between, the kept features stand in for the
costly parts while time embeddings, norms, gates and shortcuts run afresh (so the network still sees
the right time step), and the output is mixed with that of the last key step. Early on that share is
1 and the network is not called at all. Only hooks: no forward code is copied, no weight changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from diffusers.hooks import HookRegistry, ModelHook
from torch import nn

from fedzda.base import UserError
from fedzda.compression.diffusion.calls import Caller, first_argument, tensor_of, with_tensor
from fedzda.compression.diffusion.config import FRDiffConfig
from fedzda.compression.diffusion.targets import Mode, find_targets, refuse_foreign, remove_hooks
from fedzda.compression.diffusion.trajectory import Trajectory

_HOOK = "fedzda-frdiff"
_STATE = "_fedzda_frdiff"


@dataclass(frozen=True)
class FRDiffStats:
    """What was saved since :func:`apply_frdiff`.

    Attributes:
        key: Calls that computed everything.
        reused: Calls that used kept features.
        skipped: Calls that did not run the network.
        last_share: Mixing weight of the last call.
    """

    key: int
    reused: int
    skipped: int
    last_share: float


class _Keep(ModelHook):  # type: ignore[misc]
    """Stands before one module: computes and keeps at key steps, answers from memory between."""

    def __init__(self, trajectory: Trajectory, mode: Mode) -> None:
        super().__init__()
        self.trajectory, self.mode = trajectory, mode
        self.memory: dict[int, torch.Tensor] = {}
        self.form: Any = None
        trajectory.memories.append(self.memory)

    def new_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        """The module's forward function."""
        path = self.trajectory
        if not path.running or path.is_key or path.branch not in self.memory:
            output = self.fn_ref.original_forward(*args, **kwargs)
            if path.running:
                kept = tensor_of(output)
                if self.mode == "residual":
                    kept = kept - first_argument(args, kwargs)
                self.memory[path.branch], self.form = kept, output
            return output
        kept = self.memory[path.branch]
        if self.mode == "residual":
            kept = kept + first_argument(args, kwargs)
        return with_tensor(self.form, kept)


class _Root(ModelHook):  # type: ignore[misc]
    """Stands before the denoiser: counts steps, mixes outputs, skips calls."""

    def __init__(self, trajectory: Trajectory, caller: Caller) -> None:
        super().__init__()
        self.trajectory, self.caller = trajectory, caller

    def new_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        """The denoiser's forward function."""
        path = self.trajectory
        path.advance(self.caller.timesteps(args, kwargs))
        jump = path.outputs.get(path.branch)
        if not path.is_key:
            _same_batch(jump, self.caller.input(args, kwargs))
            if path.share == 0.0:
                return jump
        path.running = True
        try:
            output = self.fn_ref.original_forward(*args, **kwargs)
        finally:
            path.running = False
        if path.is_key:
            path.outputs[path.branch] = output
            return output
        if path.share == 1.0:
            return output
        mixed = path.share * tensor_of(output) + (1 - path.share) * tensor_of(jump)
        return with_tensor(output, mixed)


def apply_frdiff(model: nn.Module, config: FRDiffConfig) -> None:
    """Let a denoiser reuse features from now on.

    Args:
        model: ``UNet2DModel``, ``UNet2DConditionModel``, ``DiTTransformer2DModel`` or a network of
            one's own (with ``config.targets``) that predicts noise; called with one time step for
            the whole batch, time steps falling, each once per guidance branch.
        config: What to reuse when.

    Raises:
        UserError: FRDiff or another cache is on already, or nothing can be reused.
    """
    if hasattr(model, _STATE):
        raise UserError("FRDiff is already applied to this model. Call remove_frdiff first.")
    refuse_foreign(model)
    targets = find_targets(model, config)
    trajectory = Trajectory(config)
    for target in targets:
        registry = HookRegistry.check_if_exists_or_initialize(target.module)
        registry.register_hook(_Keep(trajectory, target.mode), _HOOK)
    registry = HookRegistry.check_if_exists_or_initialize(model)
    registry.register_hook(_Root(trajectory, Caller(model)), _HOOK)
    registry.invalidate_child_registries_cache()
    model.__dict__[_STATE] = trajectory
    # pipelines call this at their end; copies would run the weights of the original
    model.__dict__["_reset_stateful_cache"] = trajectory.finish
    model.__dict__["__deepcopy__"] = _refuse_copy


def remove_frdiff(model: nn.Module) -> None:
    """Take the hooks away; the model then computes bit for bit what it did before.

    Raises:
        UserError: FRDiff is not applied.
    """
    _trajectory(model)
    remove_hooks(model, _HOOK)
    for name in (_STATE, "_reset_stateful_cache", "__deepcopy__"):
        del model.__dict__[name]


def reset_frdiff(model: nn.Module) -> None:
    """Forget a trajectory that was stopped, and everything kept of it.

    Needed after weights were changed on the way, and where a trajectory begins with the very time
    step at which the last one ended.
    """
    _trajectory(model).reset()


def frdiff_stats(model: nn.Module) -> FRDiffStats:
    """Calls of the denoiser by what they did."""
    found = _trajectory(model)
    counts = found.counts
    return FRDiffStats(counts["key"], counts["reuse"], counts["skip"], found.share)


@contextmanager
def frdiff(model: nn.Module, config: FRDiffConfig) -> Iterator[Trajectory]:
    """FRDiff for the length of a block.

    Raises:
        UserError: As :func:`apply_frdiff`; also if the last trajectory of the block had another
            number of steps than promised.
    """
    apply_frdiff(model, config)
    trajectory = _trajectory(model)
    try:
        yield trajectory
        trajectory.finish()
    finally:
        remove_frdiff(model)


def _trajectory(model: nn.Module) -> Trajectory:
    found: Trajectory | None = getattr(model, _STATE, None)
    if found is None:
        raise UserError("FRDiff is not applied to this model. Call apply_frdiff first.")
    return found


def _same_batch(jump: Any, x: torch.Tensor) -> None:
    kept = tensor_of(jump)
    if kept.shape[0] != x.shape[0] or kept.shape[2:] != x.shape[2:]:
        raise UserError(
            f"the denoiser got a batch of shape {tuple(x.shape)} within a trajectory that began "
            f"with outputs of shape {tuple(kept.shape)}. Keep the batch as it is (guidance on for "
            "all steps or none), or call reset_frdiff."
        )


def _refuse_copy(memo: dict[int, Any]) -> NoReturn:
    raise UserError(
        "a model with FRDiff cannot be copied: the copy would run the weights of the original. "
        "Call remove_frdiff, copy, and apply it to both."
    )

"""The places at which FRDiff keeps features.

ResnetBlock2D.conv1                             its output, before the time embedding is added
Transformer2DModel                              output minus input
Attention with a residual (U-Nets)              output minus input (our choice)
attention of a transformer block (DiT)          its output, before the gate
MLP of a transformer block (DiT)                as its attention; off by default (our choice)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from torch import nn

from fedzda.base import UserError
from fedzda.compression.diffusion.config import FRDiffConfig

Mode = Literal["output", "residual"]


class Target(NamedTuple):
    """One module whose result is kept."""

    name: str
    module: nn.Module
    mode: Mode


def find_targets(model: nn.Module, config: FRDiffConfig) -> list[Target]:
    """All places in ``model`` that the configuration asks for.

    Raises:
        UserError: There is none, a named module is missing, or one would be kept twice.
    """
    found = list(_walk(model, config, ""))
    modules = dict(model.named_modules())
    for wanted in config.targets:
        if wanted.module not in modules:
            raise UserError(
                f"targets names module '{wanted.module}', which the model does not have. Use a "
                "name that model.named_modules() lists."
            )
        found.append(Target(wanted.module, modules[wanted.module], wanted.mode))
    if not found:
        raise UserError(
            f"FRDiff finds nothing to reuse in {type(model).__name__}: no residual block, no "
            "attention of diffusers. Name modules of your own in targets."
        )
    _refuse_repeated(model, found)
    return found


def _refuse_repeated(model: nn.Module, found: list[Target]) -> None:
    names = {id(model): "the whole model"}
    for target in found:
        known = names.setdefault(id(target.module), f"'{target.name}'")
        if known != f"'{target.name}'" or sum(t.module is target.module for t in found) > 1:
            raise UserError(
                f"FRDiff cannot keep the result of module '{target.name}', which is {known}, for "
                "which there is a hook already. Name modules in targets once, and none that FRDiff "
                "finds itself."
            )


def _walk(module: nn.Module, config: FRDiffConfig, prefix: str) -> Iterator[Target]:
    from diffusers.models.attention import BasicTransformerBlock
    from diffusers.models.attention_processor import Attention
    from diffusers.models.resnet import ResnetBlock2D
    from diffusers.models.transformers.transformer_2d import Transformer2DModel

    for name, child in module.named_children():
        path = f"{prefix}{name}"
        if isinstance(child, ResnetBlock2D):
            if config.reuse_resnet:
                yield Target(f"{path}.conv1", child.conv1, "output")
        elif isinstance(child, Transformer2DModel) or (
            isinstance(child, Attention) and child.residual_connection
        ):
            if config.reuse_attention:
                yield Target(path, child, "residual")
        elif isinstance(child, BasicTransformerBlock):
            if config.reuse_attention:
                yield Target(f"{path}.attn1", child.attn1, "output")
            if config.reuse_feedforward:
                yield Target(f"{path}.ff", child.ff, "output")
        else:
            yield from _walk(child, config, f"{path}.")


def refuse_foreign(model: nn.Module) -> None:
    """Raise unless nothing else changes what the model's modules compute.

    Raises:
        UserError: A cache of diffusers or of another package is on.
    """
    for name, module in model.named_modules():
        registry = getattr(module, "_diffusers_hook", None)
        other = [hook for hook in getattr(registry, "hooks", {}) if not _harmless(hook)]
        replaced = (
            "forward" in vars(module) and registry is None and not hasattr(module, "_hf_hook")
        )
        if other or replaced:
            what = f"hook '{other[0]}'" if other else "a forward function"
            raise UserError(
                f"{what} of another package already acts on module '{name}'. Features can be "
                "reused by one method at a time: switch the other one off first."
            )


def remove_hooks(model: nn.Module, name: str) -> None:
    """Take our hooks away from a model and its parts, and leave no trace.

    A registry puts the original forward function back as an attribute of the module, where it
    would hide that of another class if the module is quantized later.
    """
    from diffusers.hooks import HookRegistry

    registry = HookRegistry.check_if_exists_or_initialize(model)
    registry.remove_hook(name, recurse=True)
    registry.invalidate_child_registries_cache()
    for module in model.modules():
        own = vars(module).get("forward")
        if getattr(own, "__func__", None) is type(module).forward:
            del module.__dict__["forward"]


def _harmless(hook: str) -> bool:
    """Hooks that move weights, and our own."""
    return hook.startswith(("fedzda", "layerwise_casting", "peft_autocast", "group_offloading"))

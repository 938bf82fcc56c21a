"""What a model takes: values, bytes, multiply-adds, and its largest activations."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fedzda.base import Cost, ImageSpec


def measured(model: nn.Module, image: ImageSpec) -> Cost:
    """Counted on one black image, in eval mode; the model is left as it was."""
    was_training = model.training
    largest = 0

    def look(_module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal largest
        tensors = [x for x in (*inputs, output) if isinstance(x, torch.Tensor)]
        largest = max(largest, sum(map(_bytes, tensors)))

    leaves = [module for module in model.modules() if not list(module.children())]
    handles = [module.register_forward_hook(look) for module in leaves]
    device = next(model.parameters()).device
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model.eval()(torch.zeros((1, *image.shape), device=device))
    finally:
        for handle in handles:
            handle.remove()
        model.train(was_training)
    weights = sum(map(_bytes, model.parameters()))
    size = weights + sum(map(_bytes, model.buffers()))
    return Cost(
        parameters=sum(weight.numel() for weight in model.parameters()),
        bytes=size,
        training_bytes=size + weights,
        macs=int(counter.get_total_flops()) // 2,
        activation_bytes=largest,
    )


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()

"""What a model takes: values, bytes, multiply-adds, and its largest activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from fedzda.base import Cost, ImageSpec

Call = Callable[[nn.Module, torch.Tensor], object]


def _once(model: nn.Module, image_1CHW: torch.Tensor) -> object:
    found: object = model(image_1CHW)
    return found


def measured(model: nn.Module, image: ImageSpec, call: Call = _once) -> Cost:
    """Counted on one black image, in eval mode; the model is left as it was.

    Args:
        model: On any device.
        image: What it takes; sides are rounded up to the multiples that the model names.
        call: One use of the model, with an image ``(1, C, H, W)`` on its device.
    """
    was_training = model.training
    largest = 0

    def look(_module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal largest
        tensors = [x for x in (*inputs, output) if isinstance(x, torch.Tensor)]
        largest = max(largest, sum(map(_bytes, tensors)))

    leaves = [module for module in model.modules() if not list(module.children())]
    handles = [module.register_forward_hook(look) for module in leaves]
    device = next(model.parameters()).device
    multiple = int(getattr(model, "multiple", 1))
    channels, *sides = image.shape
    sides = [-(-side // multiple) * multiple for side in sides]
    # the fused attention of CPUs is unknown to the counter; its plain form is two products
    plain = sdpa_kernel(SDPBackend.MATH)
    try:
        with torch.no_grad(), plain, FlopCounterMode(display=False) as counter:
            call(model.eval(), torch.zeros((1, channels, *sides), device=device))
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

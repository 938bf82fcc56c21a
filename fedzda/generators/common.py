"""What the synthesizers share: a frozen classifier, balanced labels, a file format."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from fedzda.base import StrictConfig, UserError


@contextmanager
def frozen(classifier: nn.Module) -> Iterator[nn.Module]:
    """``classifier`` in eval mode without gradients to its weights; restored at the end."""
    modes = [(module, module.training) for module in classifier.modules()]
    flags = [(parameter, parameter.requires_grad) for parameter in classifier.parameters()]
    classifier.eval()
    classifier.requires_grad_(False)
    try:
        yield classifier
    finally:
        for module, training in modes:
            module.training = training
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


def device_of(classifier: nn.Module) -> torch.device:
    """Where the weights are; the CPU for a model without any."""
    return next((p.device for p in classifier.parameters()), torch.device("cpu"))


def balanced_labels(classes: Sequence[int], count: int, rng: torch.Generator) -> torch.Tensor:
    """``count`` labels, every class equally often up to one, in random order, int64 on the CPU.

    Batches mix the classes because stored BatchNorm statistics describe all classes together.
    Which classes come once more, if ``count`` is no multiple of their number, is random too.

    Raises:
        UserError: ``classes`` is empty.
    """
    if not classes:
        raise UserError("synthesis needs at least one class (got none). Name the classes to make.")
    shuffled = torch.tensor(list(classes))[torch.randperm(len(classes), generator=rng)]
    labels = shuffled.repeat(-(-count // len(classes)))[:count]
    return labels[torch.randperm(count, generator=rng)]


def save_state(
    state: Mapping[str, torch.Tensor], path: Path, config: StrictConfig, fingerprint: str
) -> None:
    """Write tensors as safetensors, never half: a temporary file first, then a rename.

    The metadata holds ``classifier``, the fingerprint of the inverted model, and ``config``, the
    synthesizer's configuration as JSON.
    """
    partial = path.with_name(path.name + ".part")
    metadata = {"classifier": fingerprint, "config": config.model_dump_json()}
    save_file({k: v.contiguous() for k, v in state.items()}, partial, metadata)
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    partial.replace(path)

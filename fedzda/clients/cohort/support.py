"""Whether many clients can be trained at once with the same result as one by one."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from fedzda.clients.cohort.batchnorm import Rows
from fedzda.clients.cohort.network import StackedNetwork
from fedzda.clients.hooks.base import Batch, Hook
from fedzda.clients.models import layers
from fedzda.clients.tasks.base import Task
from fedzda.platform.config import LocalConfig

_TORCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_OWN_NORMS = (layers.BatchNorm1d, layers.BatchNorm2d)
_TOLERANCE = 1e-2
"""Of the largest output: far above the rounding of a GPU's short floats, far below a mistake."""


def can_vectorise(
    hooks: Sequence[Hook],
    model: nn.Module,
    task: Task,
    local: LocalConfig,
    sample: Batch | None = None,
) -> str:
    """Why :func:`train_cohort` cannot do this work, as a sentence; empty if it can.

    Args:
        hooks: Of the clients.
        model: The architecture.
        task: The task.
        local: Training on a client.
        sample: Three or more rows of data on the model's device. With them the model is also
            tried, because no look at its layers shows what its ``forward`` does: draw random
            numbers, branch on values, or let samples see each other, where padding would be seen.
    """
    reason = _hooks(hooks) or _local(local) or _task(task) or _layers(model, local)
    if reason or sample is None:
        return reason
    return _trial(model, task, sample)


def _hooks(hooks: Sequence[Hook]) -> str:
    if not hooks:
        return ""
    names = ", ".join(type(hook).__name__ for hook in hooks)
    return f"clients differ by more than their data ({names})."


def _local(local: LocalConfig) -> str:
    if local.poly is not None:
        return "the step size follows the length of the run (local.poly)."
    return ""


def _task(task: Task) -> str:
    """The per-sample loss must be no older than the loss it stands for."""
    lineage = [ancestor for ancestor in type(task).__mro__ if ancestor is not Task]
    age = {
        name: next((n for n, ancestor in enumerate(lineage) if name in vars(ancestor)), None)
        for name in ("sample_losses", "loss", "outputs")
    }
    offered = age["sample_losses"]
    if offered is None:
        return f"task {type(task).__name__} has no sample_losses."
    if task.augments:
        return f"task {type(task).__name__} augments its batches."
    if any(other is not None and other < offered for other in age.values()):
        return (
            f"task {type(task).__name__} changes its loss or outputs, but not the sample_losses "
            "that it inherits."
        )
    return ""


def _layers(model: nn.Module, local: LocalConfig) -> str:
    for name, layer in model.named_modules():
        kind = f"layer '{name}' ({type(layer).__name__})"
        if isinstance(layer, _BatchNorm):
            if type(layer) not in _TORCH_NORMS + _OWN_NORMS:
                return f"{kind} is a BatchNorm of an unknown kind."
            if layer.running_mean is None:
                return f"{kind} keeps no running statistics."
            if local.batch_size == 1 and type(layer) in _TORCH_NORMS:
                return f"{kind} may not take a batch of one sample."
        elif any(buffer is not None for buffer in layer.buffers(recurse=False)):
            return f"{kind} has buffers, which it may change in a way of its own."
        if isinstance(layer, nn.RReLU) or (isinstance(layer, _DropoutNd) and layer.p > 0):
            return f"{kind} draws random numbers."
        if isinstance(layer, nn.RNNBase):
            return f"{kind} has no form for many sets of weights."
    return ""


def _trial(model: nn.Module, task: Task, sample: Batch) -> str:
    """Two clients with the same rows, the last of which is padding, against the model itself."""
    size = len(next(iter(sample.values())))
    device = next(iter(sample.values())).device
    real = torch.arange(size, device=device) < size - 1
    rows = Rows(False, real.expand(2, -1), torch.ones(2, dtype=torch.bool, device=device))
    twice = {name: column.expand(2, *column.shape) for name, column in sample.items()}
    state = {name: value.cpu() for name, value in model.state_dict().items()}
    try:
        network = StackedNetwork(model, task, state)
        with torch.no_grad():
            found, _ = network.outputs(network.stack(2), twice, rows)
            rest = {name: column[:-1] for name, column in sample.items()}
            expected = task.outputs(copy.deepcopy(model).train(), rest)
    except Exception as error:
        # Whatever the user's model raises here is the answer, not a failure.
        return f"the model cannot be stacked: {type(error).__name__}: {error}"
    allowed = _TOLERANCE * expected.abs().max()
    if (found[:, :-1] - expected).abs().max() > allowed:
        return "the model's outputs for a sample depend on the other samples of the batch."
    return ""

"""Shallow models: the first stages with heads of their own.

DepthFL (Kim, Yu, Kim, Moon, ICLR 2023): the global model has a head after every stage; a device
trains the stages that it can afford and all their heads. Its loss is the sum of the heads' losses
and, by option, the mean divergence between them (self-distillation):

    L = sum_i loss_i + distillation * mean over i, j of KL(p_j || p_i)

A head is the mean over pixels and a linear layer; that of the last stage is the model's own. Tested
is the deepest head. Our deviations: the paper's ensemble of heads, its FedDyn term and the ramp of
the divergence are left out. Limit case: all stages of a model without further heads would be the
full model.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from fedzda.base import Cost, ImageSpec, Turn, UserError
from fedzda.clients.hooks.base import Batch, Hook, LocalRun
from fedzda.clients.variants.config import DepthConfig
from fedzda.clients.variants.costs import measured
from fedzda.clients.variants.full import Arrays, Form
from fedzda.clients.weights import snapshot

_EXITS = "exits"
_PREFIX = "net."


class Depth(Form):
    """The first stages of a model; see the module.

    Args:
        config: How many stages.
        model: The architecture, with its exits (:func:`with_exits`).
        image: The images of the run.

    Raises:
        UserError: The model names no stages, or fewer than are asked for.
    """

    Config = DepthConfig
    config: DepthConfig

    def __init__(self, config: DepthConfig, model: nn.Module, image: ImageSpec) -> None:
        super().__init__(config, model, image)
        names = stages_of(model)
        if config.stages > len(names):
            raise UserError(
                f"variant 'depth' has stages {config.stages}, and the model has {len(names)}. "
                "Lower it."
            )
        self._skeleton = self._made(names)
        self._cost = measured(self._skeleton, image)

    def _made(self, names: list[str]) -> Prefix:
        """The stages that are kept; layers that nothing calls are taken out."""
        made = Prefix(copy.deepcopy(self.template), names, self.config.stages)
        called: set[nn.Module] = set()
        leaves = [(name, m) for name, m in made.net.named_modules() if not list(m.children())]
        handles = [m.register_forward_pre_hook(lambda m, _: called.add(m)) for _, m in leaves]
        device = next(self.template.parameters()).device
        with torch.no_grad():
            made.eval()(torch.zeros((1, *self.image.shape), device=device))
        for handle in handles:
            handle.remove()
        for name, module in leaves:
            if module not in called:
                parent, _, leaf = name.rpartition(".")
                setattr(made.net.get_submodule(parent), leaf, nn.Identity())
        return made

    def build(self, model: nn.Module, turn: Turn) -> nn.Module:
        """See :class:`fedzda.base.Variant`."""
        made = copy.deepcopy(self._skeleton)
        arrays = model.state_dict()
        with torch.no_grad():
            for name, value in made.net.state_dict().items():
                value.copy_(arrays[name])
        return made

    def hooks(self) -> list[Hook]:
        """What else a device minimises: the losses of its other heads."""
        return [OtherHeads(self.config.distillation)]

    def to_global(self, device_model: nn.Module, turn: Turn) -> tuple[Arrays, Arrays]:
        """See :class:`fedzda.base.Variant`: arrays of deeper stages are left out."""
        found = snapshot(device_model)
        arrays = {name.removeprefix(_PREFIX): value for name, value in found.items()}
        coverage: dict[str, np.ndarray] = {}
        return arrays, coverage

    def cost(self) -> Cost:
        """See :class:`fedzda.base.Variant`."""
        return self._cost


class Prefix(nn.Module):
    """A model up to a stage: gives the logits of the head there and remembers those before.

    Args:
        net: The model with its exits.
        names: Its stages.
        stages: How many are kept; all: the model's own head is the last one.

    Attributes:
        logits: Of all heads in the last forward pass, the deepest last.
    """

    def __init__(self, net: nn.Module, names: list[str], stages: int) -> None:
        super().__init__()
        self.net, self.names, self.stages = net, names, stages
        self.logits: list[torch.Tensor] = []

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Logits ``(N, num_classes)``."""
        self.logits = []
        handles = [
            self.net.get_submodule(name).register_forward_hook(self._look(number))
            for number, name in enumerate(self.names[: self.stages])
            if number < len(self.names) - 1
        ]
        try:
            self.logits.append(self.net(x_NCHW))
        except _DeepEnoughError:
            pass
        finally:
            for handle in handles:
                handle.remove()
        return self.logits[-1]

    def _look(self, number: int) -> Any:
        def look(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
            pooled = output.flatten(2).mean(2) if output.dim() > 2 else output
            self.logits.append(self.net.get_submodule(f"{_EXITS}.{number}")(pooled))
            if number == self.stages - 1:
                raise _DeepEnoughError

        return look


class _DeepEnoughError(Exception):
    """The last stage of a device was reached."""


class _Given(nn.Module):
    """Gives logits that are there already."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        """The logits."""
        return self.logits


class OtherHeads(Hook):
    """Adds the losses of all heads but the deepest, and the divergence between heads.

    Args:
        weight: Of the divergence.
    """

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def loss(self, run: LocalRun, batch: Batch, loss: torch.Tensor) -> torch.Tensor:
        """The sum."""
        heads: list[torch.Tensor] = run.model.logits  # type: ignore[assignment]
        task = run.task or run.runtime.task
        for logits in heads[:-1]:
            loss = loss + task.loss(_Given(logits), batch)
        if self.weight and len(heads) > 1:
            loss = loss + self.weight * divergence(heads)
        return loss


def divergence(heads: list[torch.Tensor]) -> torch.Tensor:
    """Mean over ordered pairs of ``KL(p_j || p_i)`` in nats; gradients reach ``p_i`` alone."""
    logs = [functional.log_softmax(logits, dim=1) for logits in heads]
    pairs = [
        functional.kl_div(own, other.detach(), reduction="batchmean", log_target=True)
        for own in logs
        for other in logs
        if own is not other
    ]
    return torch.stack(pairs).mean()


def stages_of(model: nn.Module) -> list[str]:
    """Names of the last module of every stage.

    Raises:
        UserError: The model says none.
    """
    names: Any = getattr(model, "stages", None)
    if not names:
        raise UserError(
            f"variant 'depth' needs a model that names its stages, and {type(model).__name__} has "
            "no attribute 'stages'. Choose lenet-bn or a resnet, or variant 'width'."
        )
    return list(names)


def with_exits(model: nn.Module, image: ImageSpec, _forms: Sequence[Any] = ()) -> nn.Module:
    """Add a head after every stage but the last, as ``exits``, in place.

    Args:
        model: A classifier that names its stages.
        image: The images it takes.
        _forms: The devices' forms; heads do not depend on them.
    """
    names, widths = stages_of(model)[:-1], []
    handles = [
        model.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output: widths.append(output.shape[1])
        )
        for name in names
    ]
    was_training = model.training
    with torch.no_grad():
        model.eval()(torch.zeros((1, *image.shape)))
    model.train(was_training)
    for handle in handles:
        handle.remove()
    exits = nn.ModuleList(nn.Linear(width, image.num_classes) for width in widths)
    model.add_module(_EXITS, exits)
    return model

"""Learned rounding of weights after training, layer by layer: Nagel et al. 2020, "Up or Down?
Adaptive Rounding for Post-Training Quantization" (arXiv 2004.10568).

For the weights of one layer, with step S and integer zero point z, equations 22 to 25:

    W~ = S (clamp(floor(W / S) + z + h(V), qmin, qmax) - z)
    h(V) = clamp(1.2 sigmoid(V) - 0.1, 0, 1)
    min_V |f(W x) - f(W~ x~)|^2 + regulariser * sum(1 - |2 h(V) - 1|^beta)

x is the layer's input in the float model and x~ in the model quantized so far, f the ReLU that
follows, if any. The squared error is summed over channels and averaged over images and places;
beta falls. V starts where h(V) is the fraction that rounding would remove, so W~ starts at W.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import fx, nn

from fedzda.compression.config import RoundingConfig
from fedzda.compression.graph import Watch, module_of, only_user
from fedzda.compression.images import batches
from fedzda.compression.layers import QuantizedLayer
from fedzda.compression.quantizers import Grid

Calls = list[tuple[torch.Tensor, torch.Tensor]]
"""Inputs of a layer beside the outputs it should have; a pair for each size of its maps."""
_STRETCH_LO, _STRETCH_HI = -0.1, 1.1


class RoundedLayer(NamedTuple):
    """What learned rounding did to one layer."""

    name: str
    error_nearest: float
    """Mean squared error of the layer's output with rounding to nearest."""
    error_learned: float
    """The same with learned rounding."""


class _SoftRounding:
    """The weights of a layer between rounding down (h = 0) and up (h = 1)."""

    def __init__(self, weight: torch.Tensor, grid: Grid) -> None:
        shape = [-1] + [1] * (weight.dim() - 1)
        self.grid = grid
        self.scale = grid.scale.view(shape) if grid.per_channel else grid.scale
        zero_point = grid.zero_point.view(shape) if grid.per_channel else grid.zero_point
        self.zero_point = zero_point.to(weight)
        self.floor = torch.floor(weight / self.scale)
        fraction = weight / self.scale - self.floor
        open_share = (fraction - _STRETCH_LO) / (_STRETCH_HI - _STRETCH_LO)
        self.variable = torch.logit(open_share).requires_grad_()

    def upward(self) -> torch.Tensor:
        """h(V)."""
        stretched = torch.sigmoid(self.variable) * (_STRETCH_HI - _STRETCH_LO) + _STRETCH_LO
        return stretched.clamp(0, 1)

    def weight(self, upward: torch.Tensor) -> torch.Tensor:
        """W~ for a given h."""
        level = self.floor + self.zero_point + upward
        return self.scale * (level.clamp(self.grid.qmin, self.grid.qmax) - self.zero_point)


def learn_rounding(
    model: fx.GraphModule,
    reference: fx.GraphModule,
    images_NCHW: torch.Tensor,
    config: RoundingConfig,
    rng: torch.Generator,
) -> list[RoundedLayer]:
    """Round the weights of a calibrated model (kind jacob) in place, first layer first.

    Each layer's grid is frozen. Memory: the inputs and outputs of one layer for all images.

    Args:
        model: Prepared and calibrated.
        reference: The float graph it was prepared from, with the same layer names.
        images_NCHW: Normalised images.
        config: Steps, step size, regulariser.
        rng: CPU generator of the batches.
    """
    done = []
    for node in list(model.graph.nodes):
        layer = module_of(model, node)
        if not isinstance(layer, QuantizedLayer) or layer.quantizer.limits is not None:
            continue
        name = str(node.target)
        given = _record(model, name, images_NCHW, config.batch_size)
        wanted = _record(reference, name, images_NCHW, config.batch_size)
        calls = [(given[size][0], wanted[size][1]) for size in given]
        activation = _activation_after(model, node)
        with torch.no_grad():
            nearest = _error(layer, layer.quantizer(layer.layer.weight), activation, calls)
        weight = _learn(layer, activation, calls, config, rng)
        error = _error(layer, weight, activation, calls)
        done.append(RoundedLayer(name, nearest, error))
    return done


@torch.no_grad()
def _record(
    model: fx.GraphModule, name: str, images_NCHW: torch.Tensor, batch_size: int
) -> dict[torch.Size, tuple[torch.Tensor, torch.Tensor]]:
    """Inputs and outputs of one layer for all images, by the size of the inputs: a layer may serve
    several places."""
    kept: dict[torch.Size, tuple[list[torch.Tensor], list[torch.Tensor]]] = {}

    def keep(_name: str, x: torch.Tensor, y: torch.Tensor) -> None:
        inputs, outputs = kept.setdefault(x.shape[1:], ([], []))
        inputs.append(x)
        outputs.append(y)

    with Watch(model, [name], keep):
        for batch in batches(images_NCHW, batch_size, next(model.parameters()).device):
            model(batch)
    return {size: (torch.cat(x), torch.cat(y)) for size, (x, y) in kept.items()}


def _activation_after(model: fx.GraphModule, node: fx.Node) -> nn.Module:
    user = only_user(node)
    following = None if user is None else module_of(model, user)
    return following if isinstance(following, nn.ReLU | nn.ReLU6) else nn.Identity()


@torch.no_grad()
def _error(
    layer: QuantizedLayer,
    weight: torch.Tensor,
    activation: nn.Module,
    calls: Calls,
) -> float:
    total = torch.zeros(())
    for inputs, targets in calls:
        out = activation(layer.apply_weight(inputs, weight))
        total = total + (out - activation(targets)).square().mean() * targets.numel()
    return float(total) / sum(targets.numel() for _, targets in calls)


def _learn(
    layer: QuantizedLayer,
    activation: nn.Module,
    calls: Calls,
    config: RoundingConfig,
    rng: torch.Generator,
) -> torch.Tensor:
    """Learn the rounding of one layer, write it into the layer, return its weights."""
    soft = _SoftRounding(layer.layer.weight.detach(), layer.grid())
    optimizer = torch.optim.Adam([soft.variable], config.lr)
    warm = int(config.warmup * config.steps)
    share = torch.tensor([float(len(inputs)) for inputs, _ in calls])
    for step in range(config.steps):
        place = 0 if len(calls) == 1 else int(torch.multinomial(share, 1, generator=rng))
        inputs, targets = calls[place]
        rows = torch.randint(len(inputs), (config.batch_size,), generator=rng).to(inputs.device)
        upward = soft.upward()
        out = activation(layer.apply_weight(inputs[rows], soft.weight(upward)))
        loss = (out - activation(targets[rows])).square().sum(dim=1).mean()
        if step >= warm:
            beta = _beta(config, (step - warm) / (config.steps - warm))
            certain = (2 * upward - 1).abs().pow(beta)
            loss = loss + config.regulariser * (1 - certain).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        weight = soft.weight((soft.upward() >= 0.5).float())
        # a new parameter, since another layer may share the old one
        layer.layer.weight = nn.Parameter(weight, layer.layer.weight.requires_grad)
    layer.quantizer.freeze(soft.grid)
    return weight


def _beta(config: RoundingConfig, share: float) -> float:
    """Exponent of the regulariser after ``share`` of its steps."""
    fall = 0.5 * (1 + math.cos(math.pi * share))
    return config.beta_end + (config.beta_start - config.beta_end) * fall

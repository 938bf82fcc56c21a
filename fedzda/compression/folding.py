"""Fold BatchNorm into the convolution or linear layer before it: one layer less to run, and one
range less to quantize.

With ``f = gamma / sqrt(var + eps)`` per output channel, ``BN(W x + b) = (f W) x + f (b - mean) +
beta``. A BatchNorm whose input goes elsewhere too, or comes from another kind of layer
(pre-activation networks), stays.
"""

from __future__ import annotations

import torch
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from fedzda.base import ImageSpec
from fedzda.compression.graph import module_of, only_user, trace
from fedzda.compression.layers import QuantizedLayer
from fedzda.compression.quantizers import Grid


def fold_batch_norm(model: nn.Module, image: ImageSpec) -> fx.GraphModule:
    """A copy of ``model`` as a graph without the BatchNorm layers that follow a convolution or a
    linear layer; equal to it in eval mode up to rounding (about 1e-6 of the largest value).

    Raises:
        UserError: As :func:`fedzda.compression.graph.trace`.
    """
    graph = trace(model, image)
    fold_in_place(graph)
    return graph


@torch.no_grad()
def fold_in_place(graph: fx.GraphModule) -> None:
    """Fold in a graph from :func:`~fedzda.compression.graph.trace`; layers that already quantize
    their weights symmetrically keep their integers, and their scales take in the factor."""
    for node in list(graph.graph.nodes):
        norm = module_of(graph, node)
        if not isinstance(norm, _BatchNorm) or norm.running_mean is None:
            continue
        source = node.args[0]
        layer = module_of(graph, source)
        if only_user(source) is None or not _foldable(layer) or _called_often(graph, source):
            continue
        _fold(layer, norm)
        node.replace_all_uses_with(source)
        graph.graph.erase_node(node)
    graph.recompile()
    graph.delete_all_unused_submodules()


def _foldable(layer: nn.Module | None) -> bool:
    if isinstance(layer, QuantizedLayer):
        return bool(layer.quantizer.kind == "jacob" and layer.quantizer.config.symmetric)
    # output channels of transposed convolutions are not dimension 0
    return isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear)


def _called_often(graph: fx.GraphModule, node: fx.Node) -> bool:
    """The layer serves several places, so its weights cannot take in one BatchNorm."""
    return len([n for n in graph.graph.nodes if n.target == node.target]) > 1


def _fold(layer: nn.Module | None, norm: _BatchNorm) -> None:
    inner = layer.layer if isinstance(layer, QuantizedLayer) else layer
    assert isinstance(inner, _ConvNd | nn.Linear)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = torch.rsqrt(norm.running_var + norm.eps)
    factor = factor if norm.weight is None else factor * norm.weight
    if isinstance(layer, QuantizedLayer):
        _scale_grid(layer, factor)
    bias = -norm.running_mean if inner.bias is None else inner.bias - norm.running_mean
    bias = bias * factor if norm.bias is None else bias * factor + norm.bias
    # new parameters, since another layer may share the old ones
    trained = inner.weight.requires_grad
    weight = inner.weight * factor.view(-1, *[1] * (inner.weight.dim() - 1))
    inner.weight, inner.bias = nn.Parameter(weight, trained), nn.Parameter(bias, trained)


def _scale_grid(layer: QuantizedLayer, factor: torch.Tensor) -> None:
    """Freeze the grid so that scaled weights have the levels they had, up to the sign."""
    grid = layer.grid().as_channels(len(factor))
    rounded = grid.values(grid.levels(layer.layer.weight))
    layer.layer.weight = nn.Parameter(rounded, layer.layer.weight.requires_grad)
    scale = (grid.scale * factor.abs()).clamp(min=torch.finfo(torch.float32).tiny)
    layer.quantizer.freeze(Grid(scale, grid.zero_point.contiguous(), grid.qmin, grid.qmax))

"""From a float graph to its fake-quantized form, and the list of what is quantized.

``jacob``: the weights of all convolutions and linear layers; the network's input and the output of
every operation, so that each reads and writes integers, except where the next step can be merged
into the same integer operation (a layer followed by BatchNorm or ReLU, a sum followed by ReLU),
operations that only move values (max pooling, reshaping, slicing, padding with zeros), the ends of
modules that stay float, and the logits. ``zeroq-compat``: the same weights, and the outputs of ReLU
and ReLU6 only.
"""

from __future__ import annotations

import operator
from functools import partial
from typing import NamedTuple

from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fedzda.base import UserError
from fedzda.compression.config import QuantizeConfig
from fedzda.compression.graph import (
    ADDED,
    is_add,
    module_of,
    moves_only,
    only_user,
    replace_module,
    shape_of,
    stays_float,
    weighted,
)
from fedzda.compression.layers import ActivationQuantizer, QuantizedLayer, WeightQuantizer

_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_RELUS = (nn.ReLU, nn.ReLU6)


class TensorRow(NamedTuple):
    """One quantized tensor."""

    name: str
    """Layer whose weights, or operation whose output, is quantized."""
    role: str
    """``weight``, ``input`` or ``activation``."""
    bits: int
    shape: tuple[int, ...]
    """Shape; of one image for activations."""
    grid: str
    """Symmetric or asymmetric, per channel or per tensor, and where the range comes from."""


def prepare(graph: fx.GraphModule, config: QuantizeConfig) -> fx.GraphModule:
    """Replace layers and insert quantizers, in place; ranges still have to be calibrated.

    Args:
        graph: From :func:`~fedzda.compression.graph.trace`, folded or not.
        config: Kind and bit widths.

    Raises:
        UserError: The model has no convolution and no linear layer.
    """
    layers = dict(weighted(graph, *_LAYERS))
    if not layers:
        raise UserError("the model has no convolution and no linear layer to quantize.")
    ends = {next(iter(layers)), list(layers)[-1]}
    _quantize_activations(graph, config, list(layers)[-1])
    for name, layer in layers.items():
        assert isinstance(layer, _LAYERS)
        bits = config.weights.bits
        if config.first_last_bits is not None and name in ends:
            bits = config.first_last_bits
        quantizer = WeightQuantizer(config.weights, config.kind, bits, layer.weight)
        replace_module(graph, name, QuantizedLayer(layer, quantizer.to(layer.weight.device)))
    graph.graph.lint()
    graph.recompile()
    return graph.eval()


def describe(graph: fx.GraphModule) -> list[TensorRow]:
    """The quantized tensors of a prepared model, in the order in which they are used."""
    found = []
    for node in graph.graph.nodes:
        module = module_of(graph, node)
        if isinstance(module, QuantizedLayer):
            own = module.quantizer
            grid = _grid_words(own.config.symmetric, own.config.per_channel, own.config.range)
            shape = tuple(module.layer.weight.shape)
            found.append(TensorRow(str(node.target), "weight", own.bits, shape, grid))
        elif isinstance(module, ActivationQuantizer):
            source = node.args[0]
            role = "input" if source.op == "placeholder" else "activation"
            name = str(source.target if source.op == "call_module" else source.name)
            name = name.removesuffix(ADDED)
            cfg = module.config
            grid = _grid_words(cfg.symmetric, cfg.per_channel, cfg.range)
            found.append(TensorRow(name, role, module.bits, (shape_of(node) or ())[1:], grid))
    return found


def _grid_words(symmetric: bool, per_channel: bool, source: str) -> str:
    first = "symmetric" if symmetric else "asymmetric"
    return f"{first}, per {'channel' if per_channel else 'tensor'}, {source}"


def _quantize_activations(graph: fx.GraphModule, config: QuantizeConfig, last: str) -> None:
    wanted = _zeroq_point if config.kind == "zeroq-compat" else _jacob_point
    for node in _computed_from_images(graph):
        shape = shape_of(node)
        if shape is None or len(shape) < 2 or not wanted(graph, node):
            continue
        bits = _bits(graph, node, config, last)
        quantizer = ActivationQuantizer(config.activations, config.kind, bits, shape[1])
        name = f"{node.name}_quantizer"
        weight = next(graph.parameters())
        graph.add_submodule(name, quantizer.to(weight.device))
        with graph.graph.inserting_after(node):
            inserted = graph.graph.call_module(name, (node,))
        inserted.meta["shape"] = shape
        node.replace_all_uses_with(inserted, delete_user_cb=partial(operator.is_not, inserted))


def _computed_from_images(graph: fx.GraphModule) -> list[fx.Node]:
    """The input and all that depends on it: learned factors outside of layers stay float."""
    found: dict[fx.Node, None] = {}
    for node in graph.graph.nodes:
        if node.op == "placeholder" or any(other in found for other in node.all_input_nodes):
            found[node] = None
    return list(found)


def _zeroq_point(graph: fx.GraphModule, node: fx.Node) -> bool:
    return isinstance(module_of(graph, node), _RELUS)


def _jacob_point(graph: fx.GraphModule, node: fx.Node) -> bool:
    if moves_only(graph, node) or _is_logits(graph, node) or _beside_float(graph, node):
        return False
    user = only_user(node)
    if user is None or node.op == "placeholder":
        return True
    following = module_of(graph, user)
    if isinstance(following, _RELUS):
        return False
    return not (isinstance(following, _BatchNorm) and isinstance(module_of(graph, node), _LAYERS))


def _beside_float(graph: fx.GraphModule, node: fx.Node) -> bool:
    """The value is made by a module that stays float, or read by such modules alone."""
    readers = [module_of(graph, reader) for reader in _readers(graph, node)]
    return stays_float(module_of(graph, node)) or (bool(readers) and all(map(stays_float, readers)))


def _is_logits(graph: fx.GraphModule, node: fx.Node) -> bool:
    """The value reaches the output without being computed with, resizing aside, which has no
    integer form."""
    return any(
        user.op == "output" or (_moves_or_resizes(graph, user) and _is_logits(graph, user))
        for user in node.users
    )


def _moves_or_resizes(graph: fx.GraphModule, node: fx.Node) -> bool:
    return moves_only(graph, node) or isinstance(module_of(graph, node), nn.Upsample)


def _readers(graph: fx.GraphModule, node: fx.Node) -> list[fx.Node]:
    """Who computes with the value, beyond operations that only move it."""
    found = []
    for user in node.users:
        found += _readers(graph, user) if moves_only(graph, user) else [user]
    return found


def _bits(graph: fx.GraphModule, node: fx.Node, config: QuantizeConfig, last: str) -> int:
    usual = config.activations.bits
    if config.kind == "zeroq-compat":
        return usual
    readers = _readers(graph, node)
    if node.op == "placeholder":
        return config.input_bits or usual
    if all(is_add(reader) for reader in readers):
        return config.sum_bits or usual
    if config.first_last_bits is not None and all(r.target == last for r in readers):
        return config.first_last_bits
    return usual

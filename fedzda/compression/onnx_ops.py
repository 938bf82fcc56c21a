"""How each operation of a canonical graph is written in ONNX.

An operation that only moves values works on the integers themselves, so that no conversion stands
between two integer kernels.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from fedzda.base import UserError
from fedzda.compression.graph import (
    is_add,
    is_reshape,
    is_slice,
    is_zero_pad,
    shape_of,
    stays_float,
)
from fedzda.compression.layers import QuantizedLayer
from fedzda.compression.onnx_builder import Builder, Tensor
from fedzda.compression.quantizers import Grid

_LARGEST_LEVEL = {True: 255, False: 127}
_BIAS_LIMIT = 2.0**30
_END = 2**31 - 1  # Slice takes it as "to the end"


def cannot(node: fx.Node, what: str) -> UserError:
    """The sentence for an operation that has no ONNX form here."""
    return UserError(
        f"{what} at '{node.name}' cannot be exported. Exportable are: convolution, linear, batch "
        "and group norm, ReLU and common activations, softmax, max and average pooling, sums, "
        "differences, products, matrix products, concatenation, resizing, pixel shuffling, "
        "reshaping, slicing and padding with zeros. Replace it in the model, or put it into a "
        "module whose class says 'keep_float = True'."
    )


def emit_module(b: Builder, node: fx.Node, module: nn.Module, x: Tensor) -> Tensor:
    """The output of a module called on ``x``."""
    if stays_float(module):
        return Tensor(b.splice(module, b.as_float(x), shape_of(_node(node.args[0])) or ()))
    if isinstance(module, QuantizedLayer):
        return Tensor(_quantized_layer(b, node, module, x))
    if isinstance(module, nn.MaxPool2d):
        return x.moved(_max_pool(b, node, module, x.name))
    if isinstance(module, nn.Upsample):
        nearest = module.mode == "nearest"
        resized = _resize(b, node, x.name if nearest else b.as_float(x), nearest)
        return x.moved(resized) if nearest else Tensor(resized)
    if isinstance(module, nn.PixelShuffle):
        return _pixel_shuffle(b, module, x)
    for kind, emit in _MODULES.items():
        if isinstance(module, kind):
            return Tensor(emit(b, node, module, b.as_float(x)))
    raise cannot(node, f"layer {type(module).__name__}")


def emit_function(b: Builder, node: fx.Node, known: dict[fx.Node, Tensor]) -> Tensor:
    """The output of a function or method."""
    if is_add(node):
        return Tensor(b.op("Add", [b.as_float(known[_node(a)]) for a in node.args[:2]]))
    if node.target is operator.sub and all(a in known for a in node.args):
        return Tensor(b.op("Sub", [b.as_float(known[_node(a)]) for a in node.args]))
    if is_reshape(node):
        x, sizes = known[_node(node.args[0])], node.args[1]
        return x.moved(b.op("Reshape", [x.name, b.constant(np.array(sizes, np.int64))]))
    if is_slice(node):
        return _slice(b, node, known[_node(node.args[0])])
    if is_zero_pad(node):
        return _pad(b, node, known[_node(node.args[0])])
    if node.target is torch.cat and isinstance(node.args[0], list | tuple):
        axis = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
        parts = [b.as_float(known[_node(part)]) for part in node.args[0]]
        return Tensor(b.op("Concat", parts, axis=axis))
    for targets, kind in ((_PRODUCTS, "Mul"), (_MATRIX_PRODUCTS, "MatMul")):
        if node.target in targets and all(a in known for a in node.args):
            return Tensor(b.op(kind, [b.as_float(known[_node(a)]) for a in node.args]))
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "?")
    raise cannot(node, f"function {name}")


def _node(argument: Any) -> fx.Node:
    assert isinstance(argument, fx.Node)
    return argument


# ---------------------------------------------------------------------------------------------
# Layers with weights.


def _quantized_layer(b: Builder, node: fx.Node, layer: QuantizedLayer, x: Tensor) -> str:
    inner, grid = layer.layer, layer.grid()
    weight, bias = inner.weight.detach(), inner.bias
    inputs = [b.as_float(x)]
    if bias is not None and x.grid is not None:
        grid = _room_for_bias(grid, x.grid, bias.detach())
    factor = _LARGEST_LEVEL[grid.qmin >= 0] // grid.qmax
    levels, grid = grid.levels(weight) * factor, _finer(grid, factor)
    inputs.append(b.constant_on_grid(levels, grid))
    if bias is not None:
        inputs.append(_bias(b, bias.detach(), grid, x.grid))
    return _layer_op(b, node, inner, inputs)


def _room_for_bias(grid: Grid, source: Grid, bias: torch.Tensor) -> Grid:
    """The grid of the weights, coarser in channels whose bias would not fit into 32 bits in units
    of its step: their weights are next to nothing beside the bias."""
    grid = grid.as_channels(len(bias))
    least = bias.abs() / (source.scale * _BIAS_LIMIT)
    zero_point = grid.zero_point.contiguous()
    return Grid(torch.maximum(grid.scale, least), zero_point, grid.qmin, grid.qmax)


def _finer(grid: Grid, factor: int) -> Grid:
    """The grid that fills the 8-bit container: the values are the same, multiples of ``factor``,
    but the bias, which counts in steps, is rounded less."""
    zero_point = grid.zero_point * factor
    return Grid(grid.scale / factor, zero_point, grid.qmin * factor, grid.qmax * factor)


def _bias(b: Builder, bias: torch.Tensor, grid: Grid, source: Grid | None) -> str:
    """The bias as int32 in units of input step times weight step, as integer kernels add it."""
    if source is None:
        return b.constant(bias)
    scale = grid.scale * source.scale
    levels = torch.round(bias.double() / scale.double())
    zero_point = torch.zeros_like(scale, dtype=torch.int32)
    return b.constant_on_grid(levels, Grid(scale, zero_point, -_END - 1, _END))


def _layer_op(b: Builder, node: fx.Node, layer: _ConvNd | nn.Linear, inputs: list[str]) -> str:
    if isinstance(layer, nn.Linear):
        if len(shape_of(node) or ()) != 2:
            raise cannot(node, "a linear layer on more than one vector per image")
        return b.op("Gemm", inputs, transB=1)
    if layer.transposed or layer.padding_mode != "zeros":
        raise cannot(node, f"{type(layer).__name__} with padding {layer.padding_mode}")
    padding = layer._reversed_padding_repeated_twice
    return b.op(
        "Conv",
        inputs,
        kernel_shape=list(layer.kernel_size),
        strides=list(layer.stride),
        dilations=list(layer.dilation),
        group=layer.groups,
        pads=[*padding[0::2][::-1], *padding[1::2][::-1]],
    )


def _float_layer(b: Builder, node: fx.Node, layer: Any, x: str) -> str:
    inputs = [x, b.constant(layer.weight)]
    if layer.bias is not None:
        inputs.append(b.constant(layer.bias))
    return _layer_op(b, node, layer, inputs)


def _batch_norm(b: Builder, node: fx.Node, norm: Any, x: str) -> str:
    if norm.running_mean is None:
        raise cannot(node, "BatchNorm without running statistics")
    gamma = torch.ones_like(norm.running_mean) if norm.weight is None else norm.weight
    beta = torch.zeros_like(norm.running_mean) if norm.bias is None else norm.bias
    statistics = [gamma, beta, norm.running_mean, norm.running_var]
    return b.op("BatchNormalization", [x, *map(b.constant, statistics)], epsilon=norm.eps)


def _group_norm(b: Builder, node: fx.Node, norm: Any, x: str) -> str:
    """Instance normalisation of groups, then the scale and shift of each channel."""
    shape = (shape_of(node) or ())[1:]
    grouped = b.op("Reshape", [x, b.constant(np.array([0, norm.num_groups, -1], np.int64))])
    ones = torch.ones(norm.num_groups)
    units = [b.constant(ones), b.constant(torch.zeros_like(ones))]
    out = b.op("InstanceNormalization", [grouped, *units], epsilon=norm.eps)
    out = b.op("Reshape", [out, b.constant(np.array([-1, *shape], np.int64))])
    if norm.weight is None:
        return out
    per_channel = (-1, *[1] * (len(shape) - 1))
    out = b.op("Mul", [out, b.constant(norm.weight.view(per_channel))])
    return b.op("Add", [out, b.constant(norm.bias.view(per_channel))])


# ---------------------------------------------------------------------------------------------
# Pooling, activations, moves.


def _pair(value: Any) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


def _max_pool(b: Builder, node: fx.Node, pool: nn.MaxPool2d, x: str) -> str:
    if pool.return_indices:
        raise cannot(node, "max pooling with indices")
    return b.op(
        "MaxPool",
        [x],
        kernel_shape=_pair(pool.kernel_size),
        strides=_pair(pool.stride),
        pads=_pair(pool.padding) * 2,
        dilations=_pair(pool.dilation),
        ceil_mode=int(pool.ceil_mode),
    )


def _average_pool(b: Builder, node: fx.Node, pool: Any, x: str) -> str:
    if pool.divisor_override is not None:
        raise cannot(node, "average pooling with a divisor of its own")
    return b.op(
        "AveragePool",
        [x],
        kernel_shape=_pair(pool.kernel_size),
        strides=_pair(pool.stride),
        pads=_pair(pool.padding) * 2,
        ceil_mode=int(pool.ceil_mode),
        count_include_pad=int(pool.count_include_pad),
    )


def _adaptive_pool(b: Builder, node: fx.Node, pool: Any, x: str) -> str:
    before, after = shape_of(_node(node.args[0])) or (), (shape_of(node) or ())[2:]
    if math.prod(after) == 1:
        return b.op("GlobalAveragePool", [x])
    if any(size % count for size, count in zip(before[2:], after, strict=True)):
        raise cannot(node, "adaptive pooling to sizes that do not divide the input's")
    kernel = [size // count for size, count in zip(before[2:], after, strict=True)]
    return b.op("AveragePool", [x], kernel_shape=kernel, strides=kernel)


def _pixel_shuffle(b: Builder, module: nn.PixelShuffle, x: Tensor) -> Tensor:
    """Integers are floats for the shuffle, as not every runtime shuffles bytes, and then on the
    same grid again; ONNX Runtime leaves the two conversions out."""
    order = {"blocksize": module.upscale_factor, "mode": "CRD"}  # blocks as torch reads them
    shuffled = b.op("DepthToSpace", [b.as_float(x)], **order)
    return Tensor(shuffled) if x.grid is None else b.quantize(shuffled, x.grid)


def _slice(b: Builder, node: fx.Node, x: Tensor) -> Tensor:
    index = node.args[1] if isinstance(node.args[1], tuple) else (node.args[1],)
    if not all(isinstance(part, slice) for part in index):
        raise cannot(node, "an index other than slices")
    kept = [(axis, s) for axis, s in enumerate(index) if s != slice(None)]
    if not kept:
        return x
    columns = [
        [s.start or 0 for _, s in kept],
        [_END if s.stop is None else s.stop for _, s in kept],
        [axis for axis, _ in kept],
        [s.step or 1 for _, s in kept],
    ]
    constants = [b.constant(np.array(column, np.int64)) for column in columns]
    return x.moved(b.op("Slice", [x.name, *constants]))


def _pad(b: Builder, node: fx.Node, x: Tensor) -> Tensor:
    sizes = node.args[1] if len(node.args) > 1 else node.kwargs["pad"]
    assert isinstance(sizes, list | tuple)
    rank = len(shape_of(node) or ())
    begin, end = [0] * rank, [0] * rank
    for place in range(len(sizes) // 2):  # torch counts from the last dimension
        begin[rank - 1 - place], end[rank - 1 - place] = sizes[2 * place], sizes[2 * place + 1]
    zero = x.zero_point or b.constant(np.float32(0))
    pads = b.constant(np.array([*begin, *end], np.int64))
    return x.moved(b.op("Pad", [x.name, pads, zero]))


def _resize(b: Builder, node: fx.Node, x: str, nearest: bool) -> str:
    """Maps at another size, as torch resizes them; the batch is counted when the file runs."""
    size = np.array((shape_of(node) or ())[2:], np.int64)
    first = [b.constant(np.array([place], np.int64)) for place in (0, 2)]
    sizes = b.op("Concat", [b.op("Slice", [b.op("Shape", [x]), *first]), b.constant(size)], axis=0)
    if nearest:
        how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return b.op("Resize", [x, "", "", sizes], mode="nearest", **how)
    how = {"coordinate_transformation_mode": "half_pixel"}
    return b.op("Resize", [x, "", "", sizes], mode="linear", **how)


def _plain(kind: str) -> Callable[[Builder, fx.Node, Any, str], str]:
    def emit(b: Builder, _node: fx.Node, _module: Any, x: str) -> str:
        return b.op(kind, [x])

    return emit


def _clip6(b: Builder, _node: fx.Node, _module: Any, x: str) -> str:
    return b.op("Clip", [x, b.constant(np.float32(0)), b.constant(np.float32(6))])


def _silu(b: Builder, _node: fx.Node, _module: Any, x: str) -> str:
    return b.op("Mul", [x, b.op("Sigmoid", [x])])


def _leaky_relu(b: Builder, _node: fx.Node, module: Any, x: str) -> str:
    return b.op("LeakyRelu", [x], alpha=module.negative_slope)


def _hard_sigmoid(b: Builder, _node: fx.Node, _module: Any, x: str) -> str:
    return b.op("HardSigmoid", [x], alpha=1 / 6, beta=0.5)


def _softmax(b: Builder, node: fx.Node, module: Any, x: str) -> str:
    if module.dim is None:
        raise cannot(node, "softmax without a dimension")
    return b.op("Softmax", [x], axis=module.dim)


_PRODUCTS = (torch.mul, "mul", operator.mul)
_MATRIX_PRODUCTS = (torch.matmul, "matmul", operator.matmul)
_MODULES: dict[type[nn.Module], Callable[[Builder, fx.Node, Any, str], str]] = {
    nn.Linear: _float_layer,
    _ConvNd: _float_layer,
    _BatchNorm: _batch_norm,
    nn.GroupNorm: _group_norm,
    nn.ReLU6: _clip6,
    nn.ReLU: _plain("Relu"),
    nn.LeakyReLU: _leaky_relu,
    nn.Sigmoid: _plain("Sigmoid"),
    nn.Tanh: _plain("Tanh"),
    nn.Softmax: _softmax,
    nn.SiLU: _silu,
    nn.Hardswish: _plain("HardSwish"),
    nn.Hardsigmoid: _hard_sigmoid,
    nn.AvgPool2d: _average_pool,
    nn.AdaptiveAvgPool2d: _adaptive_pool,
}

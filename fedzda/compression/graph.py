"""A network as a graph that can be rewritten: traced with ``torch.fx``, with the shape of every
tensor, and with functional calls of common layers turned into modules, so that later steps need to
know each layer in one form only.
"""

from __future__ import annotations

import copy
import inspect
import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize

from fedzda.base import ImageSpec, UserError

_LEAVES = (_ConvNd, nn.Linear, _BatchNorm, nn.GroupNorm)
_TRACED_BATCH = 2
ADDED = "_module"
"""End of the name of a module that stands for a functional call."""
_ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")
_DIFFERENCES = (operator.sub, torch.sub, "sub")
_RESHAPES = (
    torch.flatten,
    torch.reshape,
    torch.unsqueeze,
    "flatten",
    "view",
    "reshape",
    "unsqueeze",
)
_MODULES: dict[Any, type[nn.Module]] = {
    torch.relu: nn.ReLU,
    torch.relu_: nn.ReLU,
    functional.relu: nn.ReLU,
    functional.relu_: nn.ReLU,
    "relu": nn.ReLU,
    "relu_": nn.ReLU,
    functional.relu6: nn.ReLU6,
    functional.leaky_relu: nn.LeakyReLU,
    torch.sigmoid: nn.Sigmoid,
    functional.sigmoid: nn.Sigmoid,
    "sigmoid": nn.Sigmoid,
    torch.tanh: nn.Tanh,
    "tanh": nn.Tanh,
    torch.softmax: nn.Softmax,
    functional.softmax: nn.Softmax,
    "softmax": nn.Softmax,
    functional.silu: nn.SiLU,
    functional.hardswish: nn.Hardswish,
    functional.hardsigmoid: nn.Hardsigmoid,
    functional.max_pool2d: nn.MaxPool2d,
    torch.max_pool2d: nn.MaxPool2d,
    functional.avg_pool2d: nn.AvgPool2d,
    functional.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
    functional.dropout: nn.Dropout,
    functional.pixel_shuffle: nn.PixelShuffle,
    torch.pixel_shuffle: nn.PixelShuffle,
}
_INTERPOLATE = tuple(inspect.signature(functional.interpolate).parameters)
_INTERPOLATE_ODD = ("align_corners", "antialias")
_NOTHING_IN_EVAL = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout)


class _Tracer(fx.Tracer):
    """Keeps subclasses of torch's layers whole, as their forward may ask for ``training``, and
    modules that ask for it."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        kept = isinstance(m, _LEAVES) or stays_float(m)
        return kept or super().is_leaf_module(m, module_qualified_name)


class _Shapes(fx.Interpreter):
    """Writes ``meta["shape"]`` of every node that is a float tensor, ``meta["number"]`` of every
    integer."""

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.op != "output" and isinstance(result, torch.Tensor) and result.is_floating_point():
            n.meta["shape"] = tuple(result.shape)
        elif isinstance(result, int):
            n.meta["number"] = result
        return result


def trace(model: nn.Module, image: ImageSpec) -> fx.GraphModule:
    """A copy of ``model`` as a graph in canonical form; equal to it in eval mode.

    Args:
        model: In eval mode: a classifier of images or of pixels, or a network from images to
            images, which may have fewer channels (a noise map goes in only) and a whole number of
            times the height and width.
        image: Images it takes, normalised.

    Raises:
        UserError: The model is in training mode, cannot be traced, or does not take such images.
    """
    name = type(model).__name__
    if model.training:
        raise UserError(
            f"model {name} is in training mode, where its BatchNorm and dropout depend on the "
            "batch. Call model.eval() before quantizing."
        )
    _check_weights(model)
    model = _without_parametrizations(copy.deepcopy(model))
    try:
        graph = _Tracer().trace(model)
    except Exception as error:
        raise UserError(
            f"model {name} cannot be traced by torch.fx ({type(error).__name__}: {error}). Write "
            "its forward without branches or loops on tensor values, with one image tensor as its "
            "only input."
        ) from error
    traced = fx.GraphModule(model, graph).eval().requires_grad_(False)
    if sum(node.op == "placeholder" for node in traced.graph.nodes) != 1:
        raise UserError(f"model {name} must take one image tensor and nothing else.")
    expected = _record_shapes(traced, image, name)
    _check_layers(traced, image, name)
    _canonical(traced)
    if not torch.allclose(expected, _record_shapes(traced, image, name), 1e-4, 1e-5, True):
        raise UserError(
            f"the traced graph of model {name} does not compute what the model computes. Avoid "
            "operations that change a tensor in place which is read again later."
        )
    return traced


def _check_weights(model: nn.Module) -> None:
    """Raise UserError for a layer whose weight is made before every call, which no later step could
    change: that of ``torch.nn.utils.weight_norm`` and ``spectral_norm``."""
    for name, module in model.named_modules():
        made = "weight" not in module._parameters and not parametrize.is_parametrized(module)
        if isinstance(module, _ConvNd | nn.Linear) and made:
            raise UserError(
                f"the weight of layer '{name}' is computed anew in every call (old-style weight or "
                "spectral norm). Call torch.nn.utils.remove_weight_norm or remove_spectral_norm "
                "on it first."
            )


def _without_parametrizations(model: nn.Module) -> nn.Module:
    """The model with weights in the place of what they are computed from (weight norm and the
    like), so that they can be changed."""
    for module in list(model.modules()):
        if parametrize.is_parametrized(module):
            names = list(module.parametrizations)  # type: ignore[arg-type]
            values = {name: getattr(module, name).detach().clone() for name in names}
            del module.parametrizations
            # torch's own removal changes the class, which a copy shares with the caller's module
            module.__class__ = type(module).__bases__[0]
            for name, value in values.items():
                setattr(module, name, nn.Parameter(value))
    return model


def _record_shapes(graph: fx.GraphModule, image: ImageSpec, name: str) -> torch.Tensor:
    """Run the graph on two fixed images and write the shapes down; returns the output."""
    weight = next(graph.parameters(), torch.empty(0))
    numbers = torch.arange(_TRACED_BATCH * math.prod(image.shape), device=weight.device)
    images = torch.cos(numbers.float()).view(_TRACED_BATCH, *image.shape)
    try:
        with torch.no_grad():
            output = _Shapes(graph).run(images)
    except Exception as error:
        raise UserError(
            f"model {name} does not take images of shape {image.shape} ({error}). Give the shape "
            "(channels, height, width) that it was trained on."
        ) from error
    found = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    if not isinstance(output, torch.Tensor) or not _answers(tuple(output.shape), image):
        classes, (channels, height, width) = image.num_classes, image.shape
        raise UserError(
            f"model {name} must return logits (images, {classes}) for {classes} classes, one such "
            f"row per pixel, or images of at most the {channels} channels that it takes and of "
            f"{height}x{width} pixels or a multiple (got {found} for {_TRACED_BATCH} images)."
        )
    return output


def _check_layers(graph: fx.GraphModule, image: ImageSpec, name: str) -> None:
    """Refuse layers that compute something else than torch's own with their weights, which is what
    they are taken for from here on; ours differ in training alone."""
    layers = weighted(graph, *_LEAVES)
    own = [layer for layer, m in layers if type(m).forward is not _torch_class(m).forward]
    odd: dict[str, str] = {}

    def look(layer: str, x: torch.Tensor, y: torch.Tensor) -> None:
        module = graph.get_submodule(layer)
        plain = _torch_class(module).forward(module, x)
        if plain.shape != y.shape or not torch.allclose(plain, y, 1e-4, 1e-5, True):
            odd[layer] = f"'{layer}' ({type(module).__name__})"

    with Watch(graph, own, look):
        if own:
            _record_shapes(graph, image, name)
    if odd:
        raise UserError(
            f"model {name} has layers that compute something else than torch's layers with their "
            f"weights: {', '.join(odd.values())}. Only torch's own can be quantized or exported. "
            "Use these; what such a layer makes of its weights can be written into one of them."
        )


def _torch_class(module: nn.Module) -> type[nn.Module]:
    """The layer of torch that a module is, or derives from."""
    return next(kind for kind in type(module).__mro__ if kind.__module__.startswith("torch."))


def _answers(found: tuple[int, ...], image: ImageSpec) -> bool:
    """Whether a shape is that of logits of images or of pixels, or of images."""
    classes, (channels, height, width) = image.num_classes, image.shape
    if found in [(_TRACED_BATCH, classes), (_TRACED_BATCH, classes, height, width)]:
        return True
    if len(found) != 4 or found[0] != _TRACED_BATCH or not 1 <= found[1] <= channels:
        return False
    scale = max(found[2] // height, 1)
    return found[2:] == (scale * height, scale * width)


def stays_float(module: nn.Module | None) -> bool:
    """The class of the module has an attribute ``keep_float`` that is true.

    Such a module is one step of the graph, from one tensor to one tensor, each with the batch
    first: its forward may branch on values, nothing inside or at its ends is quantized, and
    PyTorch's own exporter writes it.
    """
    return bool(getattr(module, "keep_float", False))


# ---------------------------------------------------------------------------------------------
# Questions about nodes, valid for canonical graphs.


def module_of(graph: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """The module that the node calls, if it calls one."""
    return graph.get_submodule(str(node.target)) if node.op == "call_module" else None


def shape_of(node: fx.Node) -> tuple[int, ...] | None:
    """Shape of a float tensor, traced with a batch of 2; None for anything else."""
    shape: tuple[int, ...] | None = node.meta.get("shape")
    return shape


def tensor_inputs(node: fx.Node) -> list[fx.Node]:
    """The float tensors that the node reads."""
    return [other for other in node.all_input_nodes if shape_of(other) is not None]


def is_add(node: fx.Node) -> bool:
    """The node adds two tensors."""
    return node.target is operator.add and len(tensor_inputs(node)) == 2


def is_reshape(node: fx.Node) -> bool:
    """The node keeps all values in their order and changes the shape."""
    return node.target is torch.reshape


def is_slice(node: fx.Node) -> bool:
    """The node takes part of a tensor by index."""
    return node.target is operator.getitem and shape_of(node) is not None


def is_zero_pad(node: fx.Node) -> bool:
    """The node surrounds a tensor with zeros."""
    if node.target is not functional.pad:
        return False
    mode = node.args[2] if len(node.args) > 2 else node.kwargs.get("mode", "constant")
    value = node.args[3] if len(node.args) > 3 else node.kwargs.get("value")
    return mode == "constant" and not value


def moves_only(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Every value of the output is a value of the input or zero: needs no quantizer of its own."""
    module = module_of(graph, node)
    if isinstance(module, nn.MaxPool2d | nn.PixelShuffle):
        return True
    if isinstance(module, nn.Upsample):
        return module.mode == "nearest"
    return is_reshape(node) or is_slice(node) or is_zero_pad(node)


def only_user(node: fx.Node) -> fx.Node | None:
    """The node that alone reads this one."""
    return next(iter(node.users)) if len(node.users) == 1 else None


def weighted(graph: fx.GraphModule, *types: type[nn.Module]) -> Iterator[tuple[str, nn.Module]]:
    """Names and modules of the given types, in the order of their first call."""
    seen = set()
    for node in graph.graph.nodes:
        module = module_of(graph, node)
        if isinstance(module, types) and node.target not in seen:
            seen.add(node.target)
            yield str(node.target), module


# ---------------------------------------------------------------------------------------------
# Canonical form.


def _canonical(graph: fx.GraphModule) -> None:
    for module in graph.modules():
        if getattr(module, "inplace", False):  # values are looked at after their next use
            module.inplace = False  # type: ignore[assignment]
    for node in list(graph.graph.nodes):
        called = node.op in ("call_function", "call_method")
        if called and node.target in _MODULES:
            _call_module(graph, node, _as_module(_MODULES[node.target], node))
        elif called and node.target in (torch.mean, "mean"):
            _mean_as_pooling(graph, node)
        elif called and node.target in _ADDITIONS and not node.kwargs and len(node.args) == 2:
            node.op, node.target = "call_function", operator.add
        elif called and node.target in _DIFFERENCES and not node.kwargs and len(node.args) == 2:
            node.op, node.target = "call_function", operator.sub
        elif called and node.target in (functional.interpolate, "expand"):
            _as_upsampling(graph, node)
        elif called and node.target in _RESHAPES:
            _as_reshape(node)
        elif is_slice(node):
            _with_numbers(node)
        if isinstance(module_of(graph, node), nn.Flatten):
            _as_reshape(node)
        elif isinstance(module_of(graph, node), _NOTHING_IN_EVAL):
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()
    graph.graph.lint()
    graph.recompile()
    graph.delete_all_unused_submodules()


def _as_module(kind: type[nn.Module], node: fx.Node) -> nn.Module:
    """The module with the settings of a functional call."""
    names = list(inspect.signature(kind).parameters)
    if kind is nn.MaxPool2d:  # the function has its last two arguments the other way round
        names = ["kernel_size", "stride", "padding", "dilation", "ceil_mode"]
    settings = dict(zip(names, node.args[1:], strict=False)) | dict(node.kwargs)
    return kind(**{k: v for k, v in settings.items() if k in names and k != "inplace"}).eval()


def _call_module(graph: fx.GraphModule, node: fx.Node, module: nn.Module) -> None:
    """Let the node call ``module`` on its first input instead."""
    name = node.name + ADDED
    graph.add_submodule(name, module)
    node.op, node.target, node.args, node.kwargs = "call_module", name, (node.args[0],), {}


def _mean_as_pooling(graph: fx.GraphModule, node: fx.Node) -> None:
    """The mean over height and width, as pooling and a reshape."""
    (source,), shape = tensor_inputs(node), shape_of(node)
    arguments = dict(zip(("dim", "keepdim"), node.args[1:], strict=False)) | dict(node.kwargs)
    dims, before = arguments.get("dim"), shape_of(source)
    if before is None or shape is None or len(before) != 4 or not isinstance(dims, list | tuple):
        return
    if sorted(int(dim) % 4 for dim in dims) != [2, 3]:
        return
    with graph.graph.inserting_after(node):
        reshape = graph.graph.call_function(torch.reshape, (node, (-1, *shape[1:])))
    node.replace_all_uses_with(reshape, delete_user_cb=lambda user: user is not reshape)
    _call_module(graph, node, nn.AdaptiveAvgPool2d(1))


def _as_upsampling(graph: fx.GraphModule, node: fx.Node) -> None:
    """Resizing of maps, and a single pixel shown everywhere, with the size written out."""
    (source, *_), shape = tensor_inputs(node), shape_of(node)
    before, mode = shape_of(source), "nearest"
    if before is None or shape is None or len(before) != 4 or before[:2] != shape[:2]:
        return
    if node.target == "expand" and before[2:] != (1, 1):
        return
    if node.target is functional.interpolate:
        arguments = dict(zip(_INTERPOLATE, node.args, strict=False)) | dict(node.kwargs)
        mode = str(arguments.get("mode", "nearest"))
        if mode not in ("nearest", "bilinear") or any(map(arguments.get, _INTERPOLATE_ODD)):
            return
    _call_module(graph, node, nn.Upsample(size=shape[2:], mode=mode))


def _as_reshape(node: fx.Node) -> None:
    """Any reshape that keeps the batch, with its sizes written out."""
    shape, (source,) = shape_of(node), tensor_inputs(node)
    if shape is not None and shape[0] == _TRACED_BATCH:
        node.op, node.target = "call_function", torch.reshape
        node.args, node.kwargs = (source, (-1, *shape[1:])), {}


def _with_numbers(node: fx.Node) -> None:
    """A slice of channels or pixels, with bounds that come from a shape written out."""
    index = node.args[1]
    if isinstance(index, tuple) and index[0] == slice(None):
        numbers = fx.node.map_arg(index, lambda bound: bound.meta.get("number", bound))
        node.args = (node.args[0], numbers)


def replace_module(graph: fx.GraphModule, name: str, module: nn.Module) -> None:
    """Put ``module`` where ``name`` was."""
    parent, _, leaf = name.rpartition(".")
    setattr(graph.get_submodule(parent), leaf, module)


Visit = Callable[[str, torch.Tensor, torch.Tensor], None]


class Watch:
    """Calls ``visit(name, input, output)`` whenever one of the named modules ran; a context."""

    def __init__(self, model: nn.Module, names: list[str], visit: Visit) -> None:
        self._handles = [
            model.get_submodule(name).register_forward_hook(self._hook(name, visit))
            for name in names
        ]

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    @staticmethod
    def _hook(name: str, visit: Visit) -> Callable[[nn.Module, Any, torch.Tensor], None]:
        def hook(_module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            visit(name, inputs[0], output)

        return hook

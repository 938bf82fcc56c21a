"""Which layers of a model must keep the same channels, found on its graph.

Channels that are added, normalised one by one or convolved one by one belong together: they are a
*space*. Whoever picks channels of every space has a narrower model in which all shapes fit.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from fedzda.base import ImageSpec, UserError
from fedzda.clients.models.resnet import PadShortcut

_WEIGHTED = (nn.Conv2d, nn.Linear)
_NORMS = (_BatchNorm, nn.GroupNorm)
_BY_CHANNEL = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.SiLU,
    nn.GELU,
    nn.Hardswish,
    nn.Sigmoid,
    nn.Tanh,
    nn.Identity,
    nn.Dropout,
    nn.Dropout2d,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
)
_BY_CHANNEL_CALLS: tuple[Any, ...] = (
    torch.relu,
    functional.relu,
    functional.relu6,
    functional.silu,
    functional.dropout,
    functional.max_pool2d,
    functional.avg_pool2d,
    functional.adaptive_avg_pool2d,
    "relu",
    "contiguous",
)
_SUMS: tuple[Any, ...] = (operator.add, operator.iadd, torch.add, "add")
_FLATTEN: tuple[Any, ...] = (torch.flatten, "flatten")
_MEANS: tuple[Any, ...] = (torch.mean, "mean")


class Axis(NamedTuple):
    """The features of a tensor: every channel of a space, ``repeat`` values each."""

    space: int
    repeat: int


@dataclass
class Plan:
    """The spaces of a model.

    Attributes:
        layers: Name of a layer to the features that it reads and gives.
        sizes: Channels of every space, by the number that stands for it.
        fixed: Spaces that no channel may be taken from: images and logits.
    """

    layers: dict[str, tuple[Axis, Axis]] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    fixed: set[int] = field(default_factory=set)


class _Tracer(fx.Tracer):
    """Keeps layers whole whose forward asks for ``training`` or counts channels."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        kept = (*_WEIGHTED, *_NORMS, *_BY_CHANNEL, PadShortcut)
        return isinstance(m, kept) or super().is_leaf_module(m, module_qualified_name)


def plan_of(model: nn.Module, image: ImageSpec) -> Plan:
    """The spaces of a classifier.

    Args:
        model: Any classifier of images; not changed.
        image: The images it takes.

    Raises:
        UserError: A step is not known to keep channels apart; the sentence names it.
    """
    try:
        graph = fx.GraphModule(model, _Tracer().trace(model))
        was_training = model.training
        device = next(model.parameters()).device
        with torch.no_grad():
            ShapeProp(graph.eval()).propagate(torch.zeros((2, *image.shape), device=device))
        model.train(was_training)
    except Exception as error:
        # whatever the user's model raises while it is traced is the answer
        raise UserError(
            f"the model cannot be made narrower: its steps cannot be followed "
            f"({type(error).__name__}: {error}). Choose variant 'full', or another model."
        ) from None
    return _Finder(graph, image).plan


class _Finder:
    """Walks through a graph and joins spaces."""

    def __init__(self, graph: fx.GraphModule, image: ImageSpec) -> None:
        self.graph = graph
        self.parent: list[int] = []
        self.sizes: list[int] = []
        self.fixed: set[int] = set()
        self.axes: dict[fx.Node, Axis] = {}
        self.layers: dict[str, tuple[Axis, Axis]] = {}
        for node in graph.graph.nodes:
            self._visit(node, image)
        roots = {self._root(space) for space in range(len(self.parent))}
        self.plan = Plan(
            {
                name: (
                    Axis(self._root(read.space), read.repeat),
                    Axis(self._root(given.space), given.repeat),
                )
                for name, (read, given) in self.layers.items()
            },
            {root: self.sizes[root] for root in roots},
            {self._root(space) for space in self.fixed},
        )

    def _visit(self, node: fx.Node, image: ImageSpec) -> None:
        if node.op == "placeholder":
            self.axes[node] = Axis(self._new(image.shape[0]), 1)
            self.fixed.add(self.axes[node].space)
        elif node.op == "output":
            self.fixed.add(self._read(node).space)
        elif node.op == "call_module":
            self._module(node)
        elif node.op in ("call_function", "call_method"):
            self._call(node)
        else:
            raise _cannot(f"parameter '{node.target}'")

    def _module(self, node: fx.Node) -> None:
        name = str(node.target)
        module = self.graph.get_submodule(name)
        read = self._read(node)
        if isinstance(module, nn.Conv2d) and module.groups == 1:
            given = Axis(self._given(name, module.out_channels), 1)
        elif isinstance(module, nn.Linear):
            given = Axis(self._given(name, module.out_features), 1)
        elif isinstance(module, PadShortcut):
            size = self.sizes[self._root(read.space)] + module.new_channels
            given = Axis(self._given(name, size), 1)
        elif isinstance(module, nn.Flatten):
            given = self._flattened(node, read)
        elif _depthwise(module) or isinstance(module, (*_NORMS, *_BY_CHANNEL)):
            given = read
        else:
            raise _cannot(f"module '{name}' ({type(module).__name__})")
        if isinstance(module, _WEIGHTED) and type(module) not in _WEIGHTED:
            raise _cannot(f"module '{name}' ({type(module).__name__})")
        if name in self.layers:
            self._join(self.layers[name][0], read)
        self.layers[name] = (read, given)
        self.axes[node] = given

    def _call(self, node: fx.Node) -> None:
        if node.target in _SUMS:
            terms = [self.axes[a] for a in node.all_input_nodes if a in self.axes]
            for other in terms[1:]:
                self._join(terms[0], other)
            self.axes[node] = terms[0]
        elif node.target in _FLATTEN:
            self.axes[node] = self._flattened(node, self._read(node))
        elif node.target in _BY_CHANNEL_CALLS or (node.target in _MEANS and _over_pixels(node)):
            self.axes[node] = self._read(node)
        else:
            name = getattr(node.target, "__name__", node.target)
            raise _cannot(f"step '{name}' at '{node.name}'")

    def _flattened(self, node: fx.Node, read: Axis) -> Axis:
        shape = node.args[0].meta["tensor_meta"].shape  # type: ignore[union-attr]
        if len(node.meta["tensor_meta"].shape) != 2:
            raise _cannot(f"step '{node.name}', which does not flatten all but the batch")
        if self._root(read.space) in {self._root(space) for space in self.fixed}:
            space = self._new(prod(shape[1:]))
            self.fixed.add(space)
            return Axis(space, 1)
        return Axis(read.space, read.repeat * prod(shape[2:]))

    def _read(self, node: fx.Node) -> Axis:
        source = node.all_input_nodes[0] if node.all_input_nodes else None
        if source is None or source not in self.axes:
            raise _cannot(f"step '{node.name}'")
        return self.axes[source]

    def _given(self, name: str, size: int) -> int:
        return self.layers[name][1].space if name in self.layers else self._new(size)

    def _new(self, size: int) -> int:
        self.parent.append(len(self.parent))
        self.sizes.append(size)
        return len(self.parent) - 1

    def _root(self, space: int) -> int:
        while self.parent[space] != space:
            space = self.parent[space]
        return space

    def _join(self, first: Axis, second: Axis) -> None:
        if first.repeat != second.repeat:
            raise _cannot("a sum of a flattened tensor and another one")
        one, other = self._root(first.space), self._root(second.space)
        if self.sizes[one] != self.sizes[other]:
            raise _cannot("a sum of tensors with different numbers of channels")
        self.parent[max(one, other)] = min(one, other)


def _depthwise(module: nn.Module) -> bool:
    """Whether a convolution works on every channel by itself."""
    if not isinstance(module, nn.Conv2d):
        return False
    return module.groups == module.in_channels == module.out_channels


def _over_pixels(node: fx.Node) -> bool:
    """Whether a mean is over height and width alone."""
    dims = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
    return isinstance(dims, list | tuple) and sorted(int(d) % 4 for d in dims) == [2, 3]


def _cannot(what: str) -> UserError:
    return UserError(
        f"the model cannot be made narrower: {what} is not known to keep channels apart. Choose "
        "variant 'full', or a model of convolutions, linear layers, norms, pooling and sums."
    )

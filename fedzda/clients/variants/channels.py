"""Which layers of a model must keep the same channels, found on its graph.

Channels that are added, multiplied, normalised one by one or convolved one by one belong together:
they are a *space*. A concatenation has the channels of several. Whoever picks channels of every
space has a narrower model in which all shapes fit.
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
    nn.Upsample,
)
_BY_CHANNEL_CALLS: tuple[Any, ...] = (
    torch.relu,
    torch.sigmoid,
    torch.tanh,
    functional.relu,
    functional.relu6,
    functional.silu,
    functional.dropout,
    functional.max_pool2d,
    functional.avg_pool2d,
    functional.adaptive_avg_pool2d,
    functional.interpolate,
    "relu",
    "sigmoid",
    "tanh",
    "contiguous",
)
_JOINING: tuple[Any, ...] = (
    operator.add,
    operator.iadd,
    torch.add,
    "add",
    operator.sub,
    torch.sub,
    "sub",
    operator.mul,
    torch.mul,
    "mul",
)
"""Sums, differences, products: channel by channel."""
_MAYBE_BY_CHANNEL: tuple[Any, ...] = (operator.getitem, "expand")
"""By channel where they keep all of them: parts of a map, a pixel shown everywhere."""
_CONCATENATIONS: tuple[Any, ...] = (torch.cat, torch.concat)
_FLATTEN: tuple[Any, ...] = (torch.flatten, "flatten")
_MEANS: tuple[Any, ...] = (torch.mean, "mean")


class Axis(NamedTuple):
    """Some features of a tensor: every channel of a space, ``repeat`` values each."""

    space: int
    repeat: int


Features = tuple[Axis, ...]
"""The features of a tensor, side by side: one entry, or those of a concatenation."""


@dataclass
class Plan:
    """The spaces of a model.

    Attributes:
        layers: Name of a layer to the features that it reads and gives.
        sizes: Channels of every space, by the number that stands for it.
        fixed: Spaces that no channel may be taken from: images and logits.
    """

    layers: dict[str, tuple[Features, Features]] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    fixed: set[int] = field(default_factory=set)


class _Tracer(fx.Tracer):
    """Keeps layers whole whose forward asks for ``training`` or counts channels."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        kept = (*_WEIGHTED, *_NORMS, *_BY_CHANNEL, PadShortcut)
        return isinstance(m, kept) or super().is_leaf_module(m, module_qualified_name)


def plan_of(model: nn.Module, image: ImageSpec) -> Plan:
    """The spaces of a network.

    Args:
        model: Any network of images; not changed.
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
        self.axes: dict[fx.Node, Features] = {}
        self.layers: dict[str, tuple[Features, Features]] = {}
        for node in graph.graph.nodes:
            self._visit(node, image)
        roots = {self._root(space) for space in range(len(self.parent))}
        self.plan = Plan(
            {
                name: (self._rooted(read), self._rooted(given))
                for name, (read, given) in self.layers.items()
            },
            {root: self.sizes[root] for root in roots},
            {self._root(space) for space in self.fixed},
        )

    def _visit(self, node: fx.Node, image: ImageSpec) -> None:
        if node.op == "placeholder":
            self.axes[node] = self._made(image.shape[0])
            self._fix(self.axes[node])
        elif node.op == "output":
            self._fix(self._read(node))
        elif node.op == "call_module":
            self._module(node)
        elif "tensor_meta" not in node.meta and node.op != "get_attr":
            return  # a number, such as the height of a map
        elif node.op in ("call_function", "call_method"):
            self._call(node)
        else:
            raise _cannot(f"parameter '{node.target}'")

    def _module(self, node: fx.Node) -> None:
        name = str(node.target)
        module = self.graph.get_submodule(name)
        read = self._read(node)
        if isinstance(module, nn.Conv2d) and module.groups == 1:
            given = self._given(name, module.out_channels)
        elif isinstance(module, nn.Linear):
            given = self._given(name, module.out_features)
        elif isinstance(module, PadShortcut):
            given = self._given(name, self._count(read) + module.new_channels)
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
        if node.target in _JOINING:
            terms = [self.axes[a] for a in node.all_input_nodes if a in self.axes]
            for other in terms[1:]:
                self._join(terms[0], other)
            self.axes[node] = terms[0]
        elif node.target in _CONCATENATIONS and _along_channels(node):
            self.axes[node] = sum((self.axes[part] for part in node.all_input_nodes), ())
        elif node.target in _FLATTEN:
            self.axes[node] = self._flattened(node, self._read(node))
        elif (
            node.target in _BY_CHANNEL_CALLS
            or (node.target in _MEANS and _over_pixels(node))
            or (node.target in _MAYBE_BY_CHANNEL and _keeps_channels(node))
        ):
            self.axes[node] = self._read(node)
        else:
            name = getattr(node.target, "__name__", node.target)
            raise _cannot(f"step '{name}' at '{node.name}'")

    def _flattened(self, node: fx.Node, read: Features) -> Features:
        shape = node.args[0].meta["tensor_meta"].shape  # type: ignore[union-attr]
        if len(node.meta["tensor_meta"].shape) != 2:
            raise _cannot(f"step '{node.name}', which does not flatten all but the batch")
        fixed = {self._root(space) for space in self.fixed}
        if any(self._root(axis.space) in fixed for axis in read):
            made = self._made(prod(shape[1:]))
            self._fix(read)
            self._fix(made)
            return made
        return tuple(Axis(axis.space, axis.repeat * prod(shape[2:])) for axis in read)

    def _read(self, node: fx.Node) -> Features:
        source = node.all_input_nodes[0] if node.all_input_nodes else None
        if source is None or source not in self.axes:
            raise _cannot(f"step '{node.name}'")
        return self.axes[source]

    def _given(self, name: str, size: int) -> Features:
        return self.layers[name][1] if name in self.layers else self._made(size)

    def _made(self, size: int) -> Features:
        self.parent.append(len(self.parent))
        self.sizes.append(size)
        return (Axis(len(self.parent) - 1, 1),)

    def _fix(self, features: Features) -> None:
        self.fixed |= {axis.space for axis in features}

    def _count(self, features: Features) -> int:
        return sum(self.sizes[self._root(axis.space)] * axis.repeat for axis in features)

    def _rooted(self, features: Features) -> Features:
        return tuple(Axis(self._root(axis.space), axis.repeat) for axis in features)

    def _root(self, space: int) -> int:
        while self.parent[space] != space:
            space = self.parent[space]
        return space

    def _join(self, first: Features, second: Features) -> None:
        if len(first) != len(second):
            raise _cannot("a sum or product of a concatenation and another tensor")
        for own, peer in zip(first, second, strict=True):
            if own.repeat != peer.repeat:
                raise _cannot("a sum or product of a flattened tensor and another one")
            one, other = self._root(own.space), self._root(peer.space)
            if self.sizes[one] != self.sizes[other]:
                raise _cannot("a sum or product of tensors with different numbers of channels")
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


def _along_channels(node: fx.Node) -> bool:
    """Whether a concatenation is along dimension 1 of maps or vectors."""
    dim = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
    rank = len(node.meta["tensor_meta"].shape)
    return isinstance(dim, int) and dim % rank == 1


def _keeps_channels(node: fx.Node) -> bool:
    """Whether a map has the images and channels of the first map that it is made of."""
    source = node.all_input_nodes[0].meta.get("tensor_meta")
    found = node.meta["tensor_meta"].shape
    return source is not None and len(source.shape) == len(found) and source.shape[:2] == found[:2]


def _cannot(what: str) -> UserError:
    return UserError(
        f"the model cannot be made narrower: {what} is not known to keep channels apart. Choose "
        "variant 'full', or a model of convolutions, linear layers, norms, pooling, resizing, "
        "sums, products and concatenations."
    )

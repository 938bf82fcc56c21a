"""The pieces of an ONNX graph: tensors, constants and the integer form of a tensor."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fedzda.base import UserError
from fedzda.compression.quantizers import Grid

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as missing:
    raise UserError(
        "export needs the package onnx, which is not installed. Run: pip install 'fedzda[export]'"
    ) from missing

_OPSET = 17
_IR_VERSION = 8
_CONTAINER_BITS = 8


@dataclass(frozen=True)
class Tensor:
    """A tensor of the graph.

    Attributes:
        name: Its name; with ``grid``, the name of its levels.
        grid: If it is kept as integers: what they mean.
        scale: Name of the grid's scale.
        zero_point: Name of the grid's zero point.
    """

    name: str
    grid: Grid | None = None
    scale: str = ""
    zero_point: str = ""

    def moved(self, name: str) -> Tensor:
        """The result of moving the values of this tensor, integers or not."""
        return replace(self, name=name)


class Builder:
    """Collects nodes and constants of one graph."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._floats: dict[str, str] = {}

    def op(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        """Add an operation with one output; returns the output's name."""
        name = f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, values: Any) -> str:
        """Add a constant, or find an equal one; returns its name."""
        array = np.ascontiguousarray(
            values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values
        )
        # ascontiguousarray makes a scalar a vector of one
        array = array.reshape(np.shape(values))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = f"c{len(self._constants)}"
            self._constants.append(numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def as_float(self, tensor: Tensor) -> str:
        """The name of the tensor's values."""
        if tensor.grid is None:
            return tensor.name
        if tensor.name not in self._floats:
            inputs = [tensor.name, tensor.scale, tensor.zero_point]
            self._floats[tensor.name] = self.op("DequantizeLinear", inputs)
        return self._floats[tensor.name]

    def quantize(self, values: str, grid: Grid) -> Tensor:
        """Integers of a float tensor, in uint8 (levels from 0) or int8.

        Fewer than 8 bits live in the same containers; a clip cuts them to their levels.
        """
        container = container_type(grid)
        scale = self.constant(grid.scale.float())
        zero_point = self.constant(grid.zero_point.cpu().numpy().astype(container))
        name = self.op("QuantizeLinear", [values, scale, zero_point])
        if grid.qmax - grid.qmin + 1 < 2**_CONTAINER_BITS:
            limits = [self.constant(container(limit)) for limit in (grid.qmin, grid.qmax)]
            name = self.op("Clip", [name, *limits])
        return Tensor(name, grid, scale, zero_point)

    def constant_on_grid(self, levels: torch.Tensor, grid: Grid) -> str:
        """A constant kept as integers: the name of its float values.

        Args:
            levels: int8 range after the grid's shift, or int32 for a bias.
            grid: Scale and zero point, per channel along dimension 0 or per tensor.
        """
        container = np.int32 if grid.qmax > np.iinfo(np.int16).max else container_type(grid)
        inputs = [
            self.constant(levels.cpu().numpy().astype(container)),
            self.constant(grid.scale.float()),
        ]
        if container is not np.int32:
            inputs.append(self.constant(grid.zero_point.cpu().numpy().astype(container)))
        axis = {"axis": 0} if grid.per_channel else {}
        return self.op("DequantizeLinear", inputs, **axis)

    def splice(self, module: torch.nn.Module, source: str, shape: tuple[int, ...]) -> str:
        """Add all operations of a module, as PyTorch's exporter writes them.

        Args:
            module: From one tensor to one tensor, in eval mode.
            source: Name of the float tensor that it reads.
            shape: Shape of that tensor with some batch.

        Returns:
            The name of its output.

        Raises:
            UserError: PyTorch cannot export it.
        """
        graph = _exported(module, shape).graph
        own = {
            value.name: self.constant(numpy_helper.to_array(value)) for value in graph.initializer
        }
        own |= {"": "", graph.input[0].name: source}
        for node in graph.node:
            for name in node.output:
                own[name] = f"s{len(own)}_{len(self._nodes)}"
            node.input[:] = [own[name] for name in node.input]
            node.output[:] = [own[name] for name in node.output]
            node.ClearField("name")  # a second module would bring the same one
            self._nodes.append(node)
        return own[graph.output[0].name]

    def model(
        self, inputs: tuple[str, tuple[int, ...]], outputs: tuple[str, tuple[int, ...]]
    ) -> Any:
        """The finished model.

        Args:
            inputs: Name of the input and shape of one image.
            outputs: Name of the tensor that is the output, and its shape for one image.
        """
        source, shape = inputs
        found, answer = outputs
        self._nodes.append(helper.make_node("Identity", [found], ["logits"]))
        graph = helper.make_graph(
            self._nodes,
            "network",
            [helper.make_tensor_value_info(source, TensorProto.FLOAT, ["N", *shape])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", *answer])],
            self._constants,
        )
        model = helper.make_model(
            graph,
            producer_name="fedzda",
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def _exported(module: torch.nn.Module, shape: tuple[int, ...]) -> Any:
    """The ONNX model of a module whose batch is free."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns that it is the older one
        path = Path(folder) / "module.onnx"
        try:
            torch.onnx.export(
                module,
                (torch.zeros(shape),),
                str(path),
                dynamo=False,
                opset_version=_OPSET,
                input_names=["before"],
                output_names=["after"],
                dynamic_axes={"before": {0: "N"}, "after": {0: "N"}},
            )
        except Exception as error:
            # whatever the user's module raises in the exporter is the answer
            raise UserError(
                f"module {type(module).__name__} says 'keep_float = True', and PyTorch's exporter "
                f"cannot write it ({type(error).__name__}: {error}). Use operations that ONNX has."
            ) from error
        return onnx.load(path)


def container_type(grid: Grid) -> Any:
    """uint8 for levels from 0, int8 for signed levels."""
    return np.uint8 if grid.qmin >= 0 else np.int8

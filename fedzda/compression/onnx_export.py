"""Export to ONNX: integers in QDQ form (pairs of QuantizeLinear and DequantizeLinear around each
operation, which runtimes merge into integer kernels), or float32.

Weights are int8 constants with a DequantizeLinear, biases int32 in units of input step times weight
step, activations uint8 (int8 if symmetric). Fewer than 8 bits are stored in the same 8-bit
containers: the file of a 4-bit model is as large as that of an 8-bit one. A ReLU whose quantizer
cuts at the same places is left out.
"""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import fx, nn

from fedzda.base import ImageSpec, UserError
from fedzda.compression.folding import fold_batch_norm, fold_in_place
from fedzda.compression.graph import module_of, only_user, shape_of, tensor_inputs
from fedzda.compression.layers import ActivationQuantizer, QuantizedLayer
from fedzda.compression.onnx_builder import Builder, Tensor
from fedzda.compression.onnx_ops import cannot, emit_function, emit_module

INPUT = "images"


def export_int8(model: fx.GraphModule, image: ImageSpec, path: Path) -> int:
    """Write a calibrated model (kind jacob) in QDQ form.

    The file takes ``images``, float32 ``(N, C, H, W)`` normalised, and gives ``logits``, float32
    ``(N, classes)``, or what else the model returns; N is free. BatchNorm that was not folded
    before is folded into the scales of the weights. Weights and activations have the levels of the
    simulated model; only the bias, float there, is rounded to a fraction of a level.

    Args:
        model: From :func:`fedzda.compression.quantize`.
        image: The images it takes.
        path: The file.

    Returns:
        Bytes written.

    Raises:
        UserError: The quantizers have no integer form, or an operation cannot be exported.
    """
    for module in model.modules():
        _check_integers(module)
    model = copy.deepcopy(model).cpu()
    fold_in_place(model)
    return _write(model, image, path)


def export_float(model: nn.Module, image: ImageSpec, path: Path) -> int:
    """Write a float network with BatchNorm folded, as :func:`export_int8` otherwise."""
    return _write(fold_batch_norm(copy.deepcopy(model).cpu(), image), image, path)


def _check_integers(module: nn.Module) -> None:
    if isinstance(module, ActivationQuantizer) and not module.enabled:
        raise UserError("the model's activations are not calibrated. Calibrate it before export.")
    if isinstance(module, ActivationQuantizer) and module.config.per_channel:
        raise UserError(
            "activations.per_channel is true, which integer kernels cannot run. Quantize with a "
            "range per tensor to export."
        )
    quantizer = module.quantizer if isinstance(module, QuantizedLayer) else module
    if getattr(quantizer, "kind", "jacob") != "jacob":
        raise UserError(
            "kind zeroq-compat has no integer form: zero need not be one of its levels. Quantize "
            "with kind jacob to export."
        )


@torch.no_grad()
def _write(model: fx.GraphModule, image: ImageSpec, path: Path) -> int:
    builder = Builder()
    known: dict[fx.Node, Tensor] = {}
    for node in model.graph.nodes:
        if node.op == "output":
            (answer,) = tensor_inputs(node)
            output = builder.as_float(known[answer]), (shape_of(answer) or ())[1:]
        elif node.op == "placeholder":
            known[node] = Tensor(INPUT)
        elif node.op == "call_module":
            known[node] = _module(builder, model, node, known[node.args[0]])
        elif node.op in ("call_function", "call_method"):
            known[node] = emit_function(builder, node, known)
        else:
            raise cannot(node, f"a reference to {node.target}")
    data = builder.model((INPUT, image.shape), output).SerializeToString()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(data)
    partial.replace(path)
    return len(data)


def _module(builder: Builder, model: fx.GraphModule, node: fx.Node, x: Tensor) -> Tensor:
    module = module_of(model, node)
    assert module is not None
    if isinstance(module, ActivationQuantizer):
        return builder.quantize(builder.as_float(x), module.grid())
    if isinstance(module, nn.ReLU | nn.ReLU6) and _quantizer_cuts(model, node, module):
        return x
    return emit_module(builder, node, module, x)


def _quantizer_cuts(model: fx.GraphModule, node: fx.Node, relu: nn.Module) -> bool:
    """The quantizer that follows maps all that ReLU would change to its end levels anyway."""
    user = only_user(node)
    quantizer = None if user is None else module_of(model, user)
    if not isinstance(quantizer, ActivationQuantizer):
        return False
    grid = quantizer.grid()
    if int(grid.zero_point) > grid.qmin:
        return False
    return not isinstance(relu, nn.ReLU6) or int(grid.levels(torch.tensor(6.0))) == grid.qmax

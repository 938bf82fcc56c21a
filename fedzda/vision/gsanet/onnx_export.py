"""Export of a segmentation network to ONNX.

PyTorch's exporter that traces is used: its successor needs a further package, and the networks here
have no branches on values.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import nn

from fedzda.base import ImageSpec

_OPSET = 17


def export_onnx(model: nn.Module, image: ImageSpec, path: Path) -> int:
    """Write a network in float32; the model is left as it was.

    The file takes ``images``, float32 ``(N, C, H, W)`` normalised, and gives ``logits``, float32
    ``(N, K, H, W)``. N is free, the size of the images is fixed.

    Returns:
        Bytes written.
    """
    was_training = model.training
    model.eval()
    images = torch.zeros(1, *image.shape, device=next(model.parameters()).device)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns that it is the older one
        torch.onnx.export(
            model,
            (images,),
            str(path),
            dynamo=False,
            opset_version=_OPSET,
            input_names=["images"],
            output_names=["logits"],
            dynamic_axes={"images": {0: "N"}, "logits": {0: "N"}},
        )
    model.train(was_training)
    return path.stat().st_size

"""A finished model from an ONNX file, the same for all devices of a class.

The file is what a device would receive, such as the integer model of ``fedzda quantize``: accuracy
is that of ONNX Runtime on one thread, and the global model of the run plays no part.
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from fedzda.base import Cost, ImageSpec, Turn, UserError
from fedzda.clients.variants.config import OnnxConfig
from fedzda.clients.variants.full import Form
from fedzda.clients.variants.int8 import OnnxModel


class Onnx(Form):
    """The model in a file.

    Raises:
        UserError: ONNX Runtime is not installed, or the file is missing, damaged, or for other
            images or classes.
    """

    Config = OnnxConfig
    config: OnnxConfig

    def __init__(self, config: OnnxConfig, model: nn.Module, image: ImageSpec) -> None:
        super().__init__(config, model, image)
        if importlib.util.find_spec("onnxruntime") is None:
            raise UserError(
                "variant 'onnx' needs the package onnxruntime, which is not installed. Install "
                "fedzda with its extra: pip install 'fedzda[export]'."
            )
        self.path = Path(config.file).expanduser()
        if not self.path.is_file():
            raise UserError(
                f"variant 'onnx': there is no file '{self.path}'. Make one with 'fedzda quantize'."
            )
        self._try()

    def _try(self) -> None:
        """Run the file on a black image."""
        black = torch.zeros(1, *self.image.shape)
        try:
            found = tuple(OnnxModel(self.path)(black).shape)
        except Exception as error:  # ONNX Runtime's errors share no class
            said = " ".join(str(error).split())[:200]
            raise UserError(
                f"variant 'onnx': '{self.path}' cannot be run on images of shape "
                f"{self.image.shape}: {said}. Export it for the images of this run."
            ) from error
        if found != (1, self.image.num_classes):
            raise UserError(
                f"variant 'onnx': '{self.path}' gives {found[-1]} numbers for an image, and the "
                f"run has {self.image.num_classes} classes. Export a model of these classes."
            )

    def deploy(
        self, device_model: nn.Module, images_NCHW: torch.Tensor | None, turn: Turn
    ) -> nn.Module:
        """See :class:`fedzda.base.Variant`."""
        return OnnxModel(self.path)

    def cost(self) -> Cost:
        """See :class:`fedzda.base.Variant`: bytes are those of the file."""
        return replace(super().cost(), bytes=self.path.stat().st_size)

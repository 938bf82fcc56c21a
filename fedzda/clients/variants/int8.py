"""Integers for real: the model is exported and tested in ONNX Runtime.

Training is that of the full model. Before a test the global model is quantized to 8 bits after
training (:func:`fedzda.compression.quantize`), with ranges from the client's own training samples,
and written in QDQ form; what is measured is the answer of ONNX Runtime's integer kernels on one
thread: logits of images or of pixels, or images. Operations without an integer form (resizing,
group norm, softmax, gates other than sigmoid) run in float between them.
"""

from __future__ import annotations

import copy
import importlib.util
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fedzda.base import Cost, ImageSpec, Turn, UserError, torch_rng
from fedzda.clients.variants.config import Int8Config
from fedzda.clients.variants.full import Form
from fedzda.compression.config import CalibrationConfig, QuantizeConfig
from fedzda.compression.quantized import quantize

_NEEDED = ("onnx", "onnxruntime")


class Int8(Form):
    """The global model, tested with integers.

    Raises:
        UserError: ONNX or ONNX Runtime is not installed.
    """

    Config = Int8Config
    config: Int8Config
    personal = True

    def __init__(self, config: Int8Config, model: nn.Module, image: ImageSpec) -> None:
        super().__init__(config, model, image)
        for package in _NEEDED:
            if importlib.util.find_spec(package) is None:
                raise UserError(
                    f"variant 'int8' needs the package {package}, which is not installed. Install "
                    "fedzda with its extra: pip install 'fedzda[export]'."
                )

    def deploy(
        self, device_model: nn.Module, images_NCHW: torch.Tensor | None, turn: Turn
    ) -> nn.Module:
        """See :class:`fedzda.base.Variant`."""
        assert images_NCHW is not None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "int8.onnx"
            self.export(device_model, images_NCHW, turn, path)
            return OnnxModel(path)

    def export(
        self, device_model: nn.Module, images_NCHW: torch.Tensor, turn: Turn, path: Path
    ) -> int:
        """Write the integer model of a client; returns its bytes."""
        pixels = self._pixels(images_NCHW[: self.config.images].cpu())
        config = QuantizeConfig(calibration=CalibrationConfig(images=self.config.images))
        rng = torch_rng(turn.seed, "int8", turn.round, turn.client)
        quantized = quantize(device_model.cpu().eval(), self.image, config, pixels, rng)
        return quantized.export(path)

    def _pixels(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """Normalised images as pixels in [0, 1]."""
        mean = torch.tensor(self.image.mean).view(1, -1, 1, 1)
        std = torch.tensor(self.image.std).view(1, -1, 1, 1)
        return (images_NCHW.contiguous() * std + mean).clamp(0.0, 1.0)

    def cost(self) -> Cost:
        """See :class:`fedzda.base.Variant`: a byte per weight; all else is counted as float.

        Raises:
            UserError: The model cannot be exported.
        """
        self._rehearse()
        found = super().cost()
        layers = [m for m in self.template.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        return replace(found, bytes=found.bytes - 3 * sum(m.weight.numel() for m in layers))

    def _rehearse(self) -> None:
        """Export once, so that a model that cannot be is refused before the first round."""
        pixels = torch.rand((2, *self.image.shape), generator=torch.Generator().manual_seed(0))
        copied = copy.deepcopy(self.template).cpu().eval()
        with tempfile.TemporaryDirectory() as folder:
            try:
                self.export(
                    copied, self.image.normalize(pixels), Turn(0, 0, 0, False), Path(folder) / "it"
                )
            except UserError as error:
                raise UserError(
                    f"variant 'int8' cannot be made: {error} Choose variant 'quantized' or 'full', "
                    "or another model."
                ) from error


class OnnxModel(nn.Module):
    """An ONNX file as a network: images as the float model takes them to what it answers.

    Args:
        path: The file; it is read at once.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """The answer to images ``(N, C, H, W)``."""
        images = np.ascontiguousarray(x_NCHW.cpu().numpy())
        (answer,) = self._session.run(None, {"images": images})
        return torch.from_numpy(answer).to(x_NCHW.device)

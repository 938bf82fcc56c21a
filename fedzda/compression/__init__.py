"""Quantization and on-device variants (plain PyTorch).

>>> done = quantize(model, image, QuantizeConfig(stage="qat"), images, rng)  # doctest: +SKIP
>>> done.describe(), done.report(pixels), done.export(path)                  # doctest: +SKIP

Names are imported when they are first used, so that reading a configuration does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fedzda.compression.config import QuantizeConfig as QuantizeConfig
    from fedzda.compression.folding import fold_batch_norm as fold_batch_norm
    from fedzda.compression.images import Images as Images
    from fedzda.compression.onnx_export import export_float as export_float
    from fedzda.compression.onnx_export import export_int8 as export_int8
    from fedzda.compression.prepare import describe as describe
    from fedzda.compression.quantized import QuantizedModel as QuantizedModel
    from fedzda.compression.quantized import quantize as quantize

_HOMES = {
    "QuantizeConfig": "config",
    "fold_batch_norm": "folding",
    "Images": "images",
    "export_float": "onnx_export",
    "export_int8": "onnx_export",
    "describe": "prepare",
    "QuantizedModel": "quantized",
    "quantize": "quantized",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)

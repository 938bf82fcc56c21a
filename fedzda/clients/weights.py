"""Between a model's tensors and named arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from fedzda.platform.averaging import as_tensor


def load_arrays(model: nn.Module, arrays: Mapping[str, Any]) -> None:
    """Copy named arrays into a model in place."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.copy_(as_tensor(np.asarray(arrays[name])))


def snapshot(model: nn.Module) -> dict[str, np.ndarray]:
    """A copy of all arrays of a model."""
    return {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format).numpy()
        for name, value in model.state_dict().items()
    }

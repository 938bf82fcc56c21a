"""RAFT of torchvision as a flow method (Teed & Deng 2020, arXiv 2003.12039)."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional

from fedzda.base import UserError
from fedzda.vision.hypercon.arrays import Flow, Pixels

_SMALLEST = 128
"""The network sees an eighth of the frame and pools that three times."""


class Raft:
    """``raft_small`` with given weights.

    Args:
        weights: A safetensors file with its state dict.

    Raises:
        UserError: torchvision is missing or broken, or there are no such weights.
    """

    def __init__(self, weights: str | None) -> None:
        networks: Any
        try:
            networks = importlib.import_module("torchvision.models.optical_flow")
        except Exception as error:  # a torchvision of another build fails in its own ways
            raise UserError(
                "flow 'raft' needs torchvision, which cannot be imported "
                f"({type(error).__name__}: {error}). Install the one that fits torch "
                f"{torch.__version__}, or choose flow=dis-medium."
            ) from error
        if weights is None or not Path(weights).is_file():
            raise UserError(
                f"flow 'raft' needs weights, and flow_weights is '{weights}'. Name a safetensors "
                "file with the state dict of torchvision's raft_small, or choose flow=dis-medium."
            )
        self.network = networks.raft_small().eval()
        self.network.load_state_dict(load_file(weights))

    @torch.no_grad()
    def __call__(self, first: Pixels, second: Pixels) -> Flow:
        """Flow of two frames ``(H, W, 3)``; the network sees them padded to a multiple of 8."""
        height, width = first.shape[:2]
        pad = [max(-size % 8, _SMALLEST - size) for size in (width, height)]
        pair = torch.from_numpy(np.stack((first, second))).permute(0, 3, 1, 2).float() / 127.5 - 1
        pair = functional.pad(pair, (0, pad[0], 0, pad[1]), mode="replicate")
        found = self.network(pair[:1], pair[1:])[-1][0, :, :height, :width]
        return np.ascontiguousarray(found.permute(1, 2, 0).numpy(), dtype=np.float32)

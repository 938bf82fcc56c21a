"""Backward warping: ``out(x) = image(x + flow(x))``, bilinear; outside, the border repeats.

H height, W width, N batch, C channels.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from fedzda.vision.hypercon.arrays import Flow, Frame, Weight


def _targets(flow_HW2: Flow) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Columns and rows ``(H, W)`` that a flow points at."""
    height, width = flow_HW2.shape[:2]
    x = flow_HW2[:, :, 0] + np.arange(width, dtype=np.float32)
    y = flow_HW2[:, :, 1] + np.arange(height, dtype=np.float32)[:, None]
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def warp(image: npt.NDArray[Any], flow_HW2: Flow) -> Frame:
    """A frame ``(H, W, C)`` or a map ``(H, W)`` as the other end of the flow shows it."""
    x, y = _targets(flow_HW2)
    source = image.astype(np.float32, copy=False)
    moved = cv2.remap(source, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.float32)


def in_view(flow_HW2: Flow) -> Weight:
    """1 where the flow points into the image, 0 elsewhere, ``(H, W)``."""
    height, width = flow_HW2.shape[:2]
    x, y = _targets(flow_HW2)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return np.asarray(inside, dtype=np.float32)


def resized_flow(flow_HW2: Flow, height: int, width: int) -> Flow:
    """The same motion for images of another size."""
    old_height, old_width = flow_HW2.shape[:2]
    if (old_height, old_width) == (height, width):
        return flow_HW2
    larger = cv2.resize(flow_HW2, (width, height), interpolation=cv2.INTER_LINEAR)
    factors = np.array([width / old_width, height / old_height], np.float32)
    return np.asarray(np.asarray(larger, np.float32) * factors, np.float32)


def warp_batch(images_NCHW: torch.Tensor, flow_N2HW: torch.Tensor) -> torch.Tensor:
    """:func:`warp` for tensors; gradients reach both arguments."""
    height, width = images_NCHW.shape[2:]
    x = torch.arange(width, device=flow_N2HW.device, dtype=flow_N2HW.dtype)
    y = torch.arange(height, device=flow_N2HW.device, dtype=flow_N2HW.dtype)[:, None]
    # Pixel centres are at (2x + 1) / W - 1 in the coordinates of grid_sample.
    across = (2 * (flow_N2HW[:, 0] + x) + 1) / width - 1
    down = (2 * (flow_N2HW[:, 1] + y) + 1) / height - 1
    grid = torch.stack((across, down), dim=-1)
    return functional.grid_sample(
        images_NCHW, grid, mode="bilinear", padding_mode="border", align_corners=False
    )

"""Networks of any origin as image models.

N batch, C channels, K classes, H height, W width.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from fedzda.vision.hypercon.arrays import Frame, Hole
from fedzda.vision.hypercon.training import array_of, tensor_of
from fedzda.vision.hypercon.translate import ImageModel


def from_network(network: nn.Module) -> ImageModel:
    """A network that takes pixels ``(1, 3, H, W)`` in [0, 1] and gives such.

    On masked clips it is called with the frame and the hole ``(1, 1, H, W)``, 1 in the hole.
    Results are clipped to [0, 1]; NaN stays, so that it is found.
    """
    network = network.eval()

    @torch.inference_mode()
    def model(frame: Frame, hole: Hole | None = None) -> Frame:
        inputs = [tensor_of(frame)]
        if hole is not None:
            inputs.append(torch.from_numpy(hole).to(torch.float32)[None, None])
        return array_of(network(*inputs).clamp(0, 1))

    return model


def colour_map(network: nn.Module, palette_K3: npt.NDArray[np.uint8]) -> ImageModel:
    """A segmentation network that shows each pixel's class in its colour; pool by ``medoid``.

    Args:
        network: Takes pixels ``(1, 3, H, W)`` in [0, 1], gives logits ``(1, K, H, W)``.
        palette_K3: A colour for each class.
    """
    network = network.eval()

    @torch.inference_mode()
    def model(frame: Frame) -> Frame:
        classes = network(tensor_of(frame))[0].argmax(dim=0).numpy()
        return np.asarray(palette_K3[classes] / np.float32(255), np.float32)

    return model

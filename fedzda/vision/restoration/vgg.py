"""The features of VGG-19 (Simonyan & Zisserman 2015) for those who have its weights.

Weights are the user's: a file with the names of torchvision (``features.0.weight`` …), as
safetensors or as a ``.pth`` of tensors.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from fedzda.base import UserError

_WIDTHS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)

LAST_CONVOLUTION = "features.34"
"""Name of conv5_4, whose output before the ReLU ESRGAN compares."""


class VGG19(nn.Module):
    """Convolutions of VGG-19 on pixels in [0, 1]; the classifier is left out."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width, depth in _WIDTHS:
            for _ in range(depth):
                layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
                before = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)

    def forward(self, x_N3HW: torch.Tensor) -> torch.Tensor:
        """Features ``(N, 512, H / 32, W / 32)``."""
        mean, std = (x_N3HW.new_tensor(v).view(1, 3, 1, 1) for v in (_MEAN, _STD))
        features: torch.Tensor = self.features((x_N3HW - mean) / std)
        return features


def load_vgg19(path: Path) -> VGG19:
    """VGG-19 with the weights of a file.

    Raises:
        UserError: No such file, or weights of another network.
    """
    if not path.is_file():
        raise UserError(f"vgg: there is no file {path}. Leave the feature loss out, or give one.")
    if path.suffix == ".safetensors":
        weights = load_file(path)
    else:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    network = VGG19()
    wanted = network.state_dict()
    found = {key: value for key, value in weights.items() if key in wanted}
    wrong = [key for key in wanted if key not in found or found[key].shape != wanted[key].shape]
    if wrong:
        raise UserError(
            f"vgg: {path.name} has no fitting '{wrong[0]}'. It needs VGG-19 weights under the "
            "names of torchvision."
        )
    network.load_state_dict(found)
    return network

"""LeNet (LeCun et al. 1998) in its usual modern form, with normalisation after both convolutions
and the first linear layer; 46,954 parameters on MNIST with the default width.

As published there is no padding; images below 28 pixels, where the map would shrink to less than
4x4, are padded by 2 so that 8x8 digits can be used too.
"""

from __future__ import annotations

import torch
from torch import nn

from fedzda.base import ImageSpec, StrictConfig, UserError
from fedzda.clients.models.config import LeNetBNConfig, Norm
from fedzda.clients.models.layers import norm_1d, norm_2d

_KERNEL = 5
_SMALLEST_UNPADDED = 28


class LeNetBN(nn.Module):
    """Two 5x5 convolutions with 2x2 max pooling, two linear layers.

    ``stages`` names the last module after each convolution and after the first linear layer.

    Args:
        in_channels: Channels of the images.
        num_classes: Number of logits.
        image_size: ``(height, width)``, each at least 4.
        norm: ``batch``, ``group`` or ``none``.
        width: Channels of the first convolution; the layers have width, 2 width and 4 width.

    Raises:
        UserError: The images are smaller than 4x4.
    """

    Config = LeNetBNConfig

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        image_size: tuple[int, int],
        norm: Norm = "batch",
        width: int = 16,
    ) -> None:
        super().__init__()
        if min(image_size) < 4:
            raise UserError(
                "model lenet-bn needs images of at least 4x4 pixels "
                f"(got {image_size[0]}x{image_size[1]}). Choose model mlp."
            )
        padding = 0 if min(image_size) >= _SMALLEST_UNPADDED else _KERNEL // 2
        height_out, width_out = (_pooled(_pooled(size, padding), padding) for size in image_size)
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, width, _KERNEL, padding=padding),
            norm_2d(norm, width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, _KERNEL, padding=padding),
            norm_2d(norm, 2 * width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * width * height_out * width_out, 4 * width),
            norm_1d(norm, 4 * width),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(4 * width, num_classes)
        self.stages = ["features.3", "features.7", "features.11"]

    @classmethod
    def build(cls, config: StrictConfig, image: ImageSpec) -> LeNetBN:
        """The model of a configuration block for the images of a data set."""
        assert isinstance(config, LeNetBNConfig)
        channels, height, width = image.shape
        return cls(channels, image.num_classes, (height, width), config.norm, config.width)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Logits ``(N, num_classes)`` of normalised images."""
        logits: torch.Tensor = self.classifier(self.features(x_NCHW))
        return logits


def _pooled(size: int, padding: int) -> int:
    """Side of the map after one convolution and one pooling."""
    return (size + 2 * padding - _KERNEL + 1) // 2

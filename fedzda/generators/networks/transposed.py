"""Our own small generator, the default: transposed convolutions and a sigmoid.

Noise and label embedding, a linear layer to a map of a quarter of the image's size, two transposed
convolutions that double it. Emits pixels in [0, 1].
"""

from __future__ import annotations

import torch
from torch import nn

from fedzda.base import ImageSpec
from fedzda.generators.networks.base import Generator, doublings, start_map

_CHANNELS = 64
_DOUBLINGS = 2


class TransposedGenerator(Generator):
    """See the module.

    Args:
        image: Shape of the images and number of classes.
        z_size: Dimensions of the noise.
        embedding_size: Dimensions of the label embedding.
        channels: Channels of the start map (None: 64); the last map has half of them.
        conditional: Whether ``forward`` takes labels.
    """

    def __init__(
        self,
        image: ImageSpec,
        z_size: int,
        embedding_size: int,
        channels: int | None = None,
        *,
        conditional: bool = True,
    ) -> None:
        super().__init__(image, z_size, conditional, "pixels")
        wide = channels or _CHANNELS
        narrow = wide // 2
        times = doublings(image, _DOUBLINGS)
        self.start_shape = start_map(image, wide, times)
        start_size = wide * self.start_shape[1] * self.start_shape[2]
        self.embedding: nn.Embedding | None = None
        if conditional:
            self.embedding = nn.Embedding(image.num_classes, embedding_size)
        self.start = nn.Linear(z_size + conditional * embedding_size, start_size)
        layers: list[nn.Module] = [nn.BatchNorm2d(wide), nn.LeakyReLU(0.2)]
        for after in [wide] * (times - _DOUBLINGS) + [narrow]:
            layers.append(nn.ConvTranspose2d(wide, after, 4, stride=2, padding=1))
            layers += [nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        layers += [nn.ConvTranspose2d(narrow, image.shape[0], 4, stride=2, padding=1), nn.Sigmoid()]
        self.body = nn.Sequential(*layers)

    def draw(self, z_ND: torch.Tensor, labels_N: torch.Tensor | None) -> torch.Tensor:
        """See :meth:`Generator.draw`."""
        if self.embedding is not None:
            z_ND = torch.cat([z_ND, self.embedding(labels_N)], dim=1)
        pixels: torch.Tensor = self.body(self.start(z_ND).view(-1, *self.start_shape))
        return pixels

"""Feed-forward style transfer (Johnson, Alahi & Fei-Fei 2016, arXiv 1603.08155), small.

Gram matrices as in Gatys et al. 2016; sliced Wasserstein distance as in Heitz et al. 2021
(arXiv 2006.07229). The features are those of any classifier of ours, not of VGG, so styles are
mostly colour and fine texture.

N batch, C channels, H height, W width, P positions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from fedzda.vision.hypercon.arrays import Pixels
from fedzda.vision.hypercon.config import StyleConfig
from fedzda.vision.hypercon.image_models.features import Features
from fedzda.vision.hypercon.layers import Padded, Residual, Up, convolution
from fedzda.vision.hypercon.training import Note, crops, fit, silent


def style_network(config: StyleConfig) -> nn.Module:
    """Two halvings, three residual blocks, two doublings; pixels in [0, 1] to the same."""
    w = config.width
    return Padded(
        nn.Sequential(
            convolution(3, w, kernel=7, norm=True),
            convolution(w, 2 * w, stride=2, norm=True),
            convolution(2 * w, 4 * w, stride=2, norm=True),
            *(Residual(4 * w, norm=True) for _ in range(3)),
            Up(4 * w, 2 * w, norm=True),
            Up(2 * w, w, norm=True),
            nn.Conv2d(w, 3, 7, padding=3, padding_mode="reflect"),
            nn.Sigmoid(),
        ),
        multiple=4,
    )


def train_style(
    style: Pixels,
    pictures: Sequence[Pixels],
    features: Features,
    config: StyleConfig,
    rng: np.random.Generator,
    note: Note = silent,
) -> nn.Module:
    """A network that gives pictures the colours and textures of ``style``.

    Args:
        style: The style picture.
        pictures: To train on.
        features: What judges.
        config: Settings.
        rng: Chooses crops; weights and projections come from torch's global stream.
        note: Is told every step.
    """
    network = style_network(config)

    def loss() -> torch.Tensor:
        content = crops(pictures, config.batch_size, config.crop, rng)
        wanted = features(crops([style], config.batch_size, config.crop, rng))
        made = network(content)
        found = features(made)
        deep = functional.mse_loss(found[-1], features(content)[-1])
        total = config.content_weight * deep + config.smooth_weight * _variation(made)
        for mine, theirs in zip(found, wanted, strict=True):
            total = total + config.gram_weight * functional.mse_loss(gram(mine), gram(theirs))
            sliced = sliced_wasserstein(mine, theirs, config.projections)
            total = total + config.sliced_weight * sliced
        return total

    fit(network, config, loss, note)
    return network


def gram(map_NCHW: torch.Tensor) -> torch.Tensor:
    """Second moments of features over positions of the whole batch ``(C, C)``."""
    rows = map_NCHW.transpose(0, 1).flatten(1)
    return rows @ rows.T / rows.shape[1]


def sliced_wasserstein(
    first_NCHW: torch.Tensor, second_NCHW: torch.Tensor, projections: int
) -> torch.Tensor:
    """Mean squared 2-Wasserstein distance of features along random directions.

    Both maps need the same number of positions.
    """
    first, second = (part.transpose(0, 1).flatten(1) for part in (first_NCHW, second_NCHW))
    directions = functional.normalize(torch.randn(projections, len(first)), dim=1).to(first)
    one, other = ((directions @ part).sort(dim=1).values for part in (first, second))
    return functional.mse_loss(one, other)


def _variation(images_NCHW: torch.Tensor) -> torch.Tensor:
    across = (images_NCHW[..., 1:] - images_NCHW[..., :-1]).abs().mean()
    return across + (images_NCHW[..., 1:, :] - images_NCHW[..., :-1, :]).abs().mean()

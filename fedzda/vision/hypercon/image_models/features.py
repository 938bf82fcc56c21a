"""Feature maps of a classifier, which judge content and style in place of a network with weights
that do not ship.

N batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from fedzda.base import UserError
from fedzda.vision.hypercon.arrays import Pixels
from fedzda.vision.hypercon.config import TextureConfig
from fedzda.vision.hypercon.training import Note, crops, fit, silent

_LAYERS = 4


class TextureNet(nn.Module):
    """Six convolutions and two poolings, a global average, a linear classifier.

    Args:
        num_classes: Photographs to tell apart.
        width: Channels of the first two convolutions; the later ones have two and four times as
            many.
    """

    def __init__(self, num_classes: int, width: int = 16) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        before = 3
        for factor in (1, 2, 4):
            after = factor * width
            if factor > 1:
                blocks.append(nn.AvgPool2d(2))
            blocks += [_block(before, after), _block(after, after)]
            before = after
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(before, num_classes)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Pixels in [0, 1] to logits ``(N, classes)``."""
        logits: torch.Tensor = self.head(self.blocks(2 * x_NCHW - 1).mean(dim=(2, 3)))
        return logits


def _block(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels), nn.ReLU()
    )


def train_texture(
    pictures: Sequence[Pixels], config: TextureConfig, rng: np.random.Generator, note: Note = silent
) -> TextureNet:
    """A classifier of patches by the picture that they are cut from.

    Args:
        pictures: At least two.
        config: Settings.
        rng: Chooses patches; its weights come from torch's global stream.
        note: Is told every step.

    Raises:
        UserError: Fewer than two pictures.
    """
    if len(pictures) < 2:
        raise UserError(
            f"a texture classifier needs at least 2 pictures (got {len(pictures)}). Give more."
        )
    network = TextureNet(len(pictures), config.width)

    def loss() -> torch.Tensor:
        labels = rng.integers(len(pictures), size=config.batch_size)
        cut = [crops([pictures[label]], 1, config.crop, rng) for label in labels]
        return functional.cross_entropy(network(torch.cat(cut)), torch.from_numpy(labels))

    fit(network, config, loss, note)
    return network


class Features:
    """Outputs of some layers of a frozen classifier.

    Args:
        classifier: Takes images with pixels in [0, 1].
        layers: Names of modules; left out: four of the convolutions, evenly spread.

    Raises:
        UserError: No such layer, or no convolution at all.
    """

    def __init__(self, classifier: nn.Module, layers: Sequence[str] | None = None) -> None:
        modules = dict(classifier.named_modules())
        found = [name for name, module in modules.items() if isinstance(module, nn.Conv2d)]
        if not found:
            raise UserError(f"{type(classifier).__name__} has no convolutions to judge style with.")
        if layers is None:
            places = np.linspace(1, len(found), _LAYERS).round().astype(int) - 1
            layers = [found[place] for place in dict.fromkeys(places.tolist())]
        for name in layers:
            if name not in modules:
                raise UserError(
                    f"{type(classifier).__name__} has no layer '{name}'. Known convolutions: "
                    f"{', '.join(found)}."
                )
        self.classifier = classifier.eval().requires_grad_(False)
        self._layers = [modules[name] for name in layers]

    def __call__(self, images_NCHW: torch.Tensor) -> list[torch.Tensor]:
        """One map ``(N, C, H', W')`` for each layer, in the order in which they run."""
        seen: list[torch.Tensor] = []
        handles = [
            layer.register_forward_hook(lambda _layer, _inputs, out: seen.append(out))
            for layer in self._layers
        ]
        try:
            self.classifier(images_NCHW)
        finally:
            for handle in handles:
                handle.remove()
        return seen

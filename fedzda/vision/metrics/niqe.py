"""NIQE-refit: natural image quality without reference, fitted to photographs of one's own.

Mittal, Soundararajan, Bovik, *Making a "Completely Blind" Image Quality Analyzer*, 2013. The
published figures use a fit to the authors' photographs; a fit to others gives other figures, which
is why this one is never called NIQE.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch.nn import functional

from fedzda.base import UserError
from fedzda.vision.metrics.colour import grey
from fedzda.vision.metrics.mscn import mscn
from fedzda.vision.metrics.pairs import check_pixels
from fedzda.vision.restoration.imresize import imresize

FEATURES = 36
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
_SHAPES = torch.arange(0.2, 10.001, 0.001, dtype=torch.float64)


class NiqeRefit:
    """A Gaussian of the features of sharp blocks of good photographs.

    Args:
        block: Side of the blocks in pixels; 96 is the paper's. Images smaller than it are refused.
        sharpness: Share of an image's sharpest block that a block needs to count in the fit.
    """

    def __init__(self, block: int = 96, sharpness: float = 0.75) -> None:
        if block < 16 or block % 2:
            raise UserError(
                f"block: blocks need an even side of 16 or more (got {block}). The paper uses 96."
            )
        self.block, self.sharpness = block, sharpness
        self.mean = torch.zeros(FEATURES, dtype=torch.float64)
        self.covariance = torch.zeros(FEATURES, FEATURES, dtype=torch.float64)

    def fit(self, photographs: Iterable[torch.Tensor]) -> int:
        """Learn from images ``(C, H, W)`` in [0, 1]; returns the number of blocks used.

        Raises:
            UserError: Less sharp blocks than features (36), an image below one block, or pixels
                that are integers or far outside of [0, 1].
        """
        kept = []
        for image in photographs:
            features, sharp = self._features(image)
            kept.append(features[sharp > self.sharpness * sharp.max()])
        blocks = torch.cat(kept) if kept else torch.zeros(0, FEATURES)
        if len(blocks) <= FEATURES:
            raise UserError(
                f"photographs: a fit needs more than {FEATURES} sharp blocks (got {len(blocks)}). "
                "Give more photographs, or lower sharpness or block."
            )
        self.mean, self.covariance = blocks.mean(0), torch.cov(blocks.T)
        return len(blocks)

    def score(self, image_CHW: torch.Tensor) -> float:
        """Distance of an image in [0, 1] from the photographs of the fit: smaller is better.

        Raises:
            UserError: No fit yet, an image below one block, or pixels that are integers or far
                outside of [0, 1].
        """
        if not self.covariance.any():
            raise UserError("niqe-refit: score needs a fit. Call fit with photographs first.")
        features = self._features(image_CHW)[0]
        spread = torch.cov(features.T) if len(features) > 1 else self.covariance
        gap = self.mean - features.mean(0)
        inverse = torch.linalg.pinv((self.covariance + spread) / 2)
        return float((gap @ inverse @ gap).clamp(min=0).sqrt())

    def state(self) -> dict[str, torch.Tensor]:
        """What ``score`` needs."""
        return {"mean": self.mean, "covariance": self.covariance}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take over a :meth:`state`."""
        self.mean, self.covariance = state["mean"].double(), state["covariance"].double()

    def _features(self, image_CHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features ``(blocks, 36)`` and sharpness ``(blocks,)``, whole blocks only."""
        check_pixels(image_CHW)
        height, width = (side // self.block * self.block for side in image_CHW.shape[1:])
        if not height or not width:
            raise UserError(
                f"images: NIQE-refit needs {self.block} pixels on each side (got "
                f"{image_CHW.shape[1]}x{image_CHW.shape[2]}). Use larger images, or a fit with a "
                "smaller block."
            )
        cut = image_CHW[:, :height, :width].unsqueeze(0).double()
        shades = (grey(cut).clamp(0, 1) * 255).round()
        normal, deviation = mscn(shades)
        sharp = _blocks(deviation, self.block).mean(dim=(1, 2))
        first = _block_features(_blocks(normal, self.block))
        half = mscn(imresize(shades / 255, 0.5) * 255)[0]
        return torch.cat([first, _block_features(_blocks(half, self.block // 2))], dim=1), sharp


def _blocks(shades_11HW: torch.Tensor, side: int) -> torch.Tensor:
    """``(blocks, side, side)``."""
    return functional.unfold(shades_11HW, side, stride=side)[0].T.reshape(-1, side, side)


def _block_features(blocks_BHW: torch.Tensor) -> torch.Tensor:
    """18 of every block: two of its values, four of each of the products with four neighbours."""
    shape, left, right = _asymmetric_gaussian(blocks_BHW)
    columns = [shape, (left + right) / 2]
    for shift in _SHIFTS:
        shape, left, right = _asymmetric_gaussian(blocks_BHW * blocks_BHW.roll(shift, (1, 2)))
        mean = (right - left) * torch.exp(torch.lgamma(2 / shape) - torch.lgamma(1 / shape))
        columns += [shape, mean, left, right]
    return torch.stack(columns, dim=1)


def _asymmetric_gaussian(blocks_BHW: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Shape, left and right scale of a generalised Gaussian by moments (Lasmar et al. 2009)."""
    values = blocks_BHW.flatten(1)
    left, right = (_root_mean_square(values, side) for side in (values < 0, values > 0))
    balance = left / right
    ratio = values.abs().mean(1).square() / values.square().mean(1)
    ratio = ratio * (balance**3 + 1) * (balance + 1) / (balance**2 + 1).square()
    table = torch.exp(
        2 * torch.lgamma(2 / _SHAPES) - torch.lgamma(1 / _SHAPES) - torch.lgamma(3 / _SHAPES)
    )
    place = torch.searchsorted(table, ratio.nan_to_num(0.0)).clamp(1, len(table) - 1)
    nearer = (ratio - table[place - 1]) < (table[place] - ratio)
    shape = _SHAPES[place - nearer.long()]
    width = torch.exp((torch.lgamma(1 / shape) - torch.lgamma(3 / shape)) / 2)
    return shape, left * width, right * width


def _root_mean_square(values_BP: torch.Tensor, chosen_BP: torch.Tensor) -> torch.Tensor:
    """Over the chosen values of each row; a row without any has a tiny one, so ratios exist."""
    count = chosen_BP.sum(1).clamp(min=1)
    square = torch.where(chosen_BP, values_BP, 0.0).square().sum(1) / count
    return square.sqrt().clamp(min=1e-6)

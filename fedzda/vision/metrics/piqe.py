"""Perception-based image quality evaluator, without reference (Venkatanath, Praneeth, Bh,
Channappayya, Medasani, NCC 2015), in the form of MATLAB's ``piqe``."""

from __future__ import annotations

import torch
from torch.nn import functional

from fedzda.vision.metrics.colour import grey
from fedzda.vision.metrics.mscn import mscn
from fedzda.vision.metrics.pairs import check_pixels

_BLOCK, _SEGMENT = 16, 6
_ACTIVE, _IMPAIRED = 0.1, 0.1
_CENTRE = [7, 8]
_SURROUND = [column for column in range(_BLOCK) if column not in (7, 9)]
"""MATLAB takes the second centre column out after the first is gone, which removes column 9. We
do as it does, because figures are compared with its figures."""


def piqe(images_NCHW: torch.Tensor) -> torch.Tensor:
    """Distortion of every image, float64 ``(N,)`` from 0 (good) to 100 (bad; also a flat image).

    Pixels in [0, 1]. Blocks of 16x16 with structure count by flat pieces along their edges
    (artefacts of compression) and by a centre as noisy as its surround (noise).

    Raises:
        UserError: Neither 1 nor 3 channels, or pixels that are integers or far outside of [0, 1].
    """
    check_pixels(images_NCHW)
    return torch.stack([_piqe(image.unsqueeze(0)) for image in images_NCHW.double()])


def _piqe(image_1CHW: torch.Tensor) -> torch.Tensor:
    shades = (grey(image_1CHW).clamp(0, 1) * 255).round()
    shades = _mirrored(shades)
    shades = (255 * shades / shades.max().clamp(min=1)).round()
    blocks = _blocks(mscn(shades)[0])
    variance = blocks.flatten(1).var(dim=1)
    active = variance > _ACTIVE
    if not active.any():
        return variance.new_tensor(100.0)
    blocks, variance = blocks[active], variance[active]
    distortion = _impaired(blocks) * (1 - variance) + _noisy(blocks, variance) * variance
    return 100 * (distortion.sum() + 1) / (1 + len(blocks))


def _mirrored(shades_11HW: torch.Tensor) -> torch.Tensor:
    """Mirrored beyond the last row and column, up to full blocks."""
    for dim in (2, 3):
        missing = -shades_11HW.shape[dim] % _BLOCK
        while missing:  # a very small image is mirrored more than once
            part = shades_11HW.flip(dim).narrow(dim, 0, min(missing, shades_11HW.shape[dim]))
            shades_11HW = torch.cat([shades_11HW, part], dim=dim)
            missing -= part.shape[dim]
    return shades_11HW


def _blocks(shades_11HW: torch.Tensor) -> torch.Tensor:
    """``(blocks, 16, 16)``."""
    columns = functional.unfold(shades_11HW, _BLOCK, stride=_BLOCK)
    return columns[0].T.reshape(-1, _BLOCK, _BLOCK)


def _impaired(blocks_BHW: torch.Tensor) -> torch.Tensor:
    """1 where a segment of six pixels on any of the four edges is flat, else 0."""
    edges = [blocks_BHW[:, 0], blocks_BHW[:, -1], blocks_BHW[:, :, 0], blocks_BHW[:, :, -1]]
    deviations = torch.stack(edges, dim=1).unfold(2, _SEGMENT, 1).std(dim=3)
    return (deviations < _IMPAIRED).flatten(1).any(dim=1).double()


def _noisy(blocks_BHW: torch.Tensor, variance_B: torch.Tensor) -> torch.Tensor:
    """1 where the block deviates more than its centre differs from its surround, else 0."""
    sigma = variance_B.sqrt()
    centre = blocks_BHW[:, :, _CENTRE].flatten(1).std(dim=1)
    ratio = (centre / blocks_BHW[:, :, _SURROUND].flatten(1).std(dim=1)).nan_to_num(0.0)
    beta = (sigma - ratio).abs() / torch.maximum(sigma, ratio)
    return (sigma > 2 * beta).double()

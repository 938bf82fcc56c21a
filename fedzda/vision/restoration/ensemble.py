"""Self-ensemble: the mean over the eight flips and transpositions of an image.

For a Bayer mosaic every turned image is brought to the pattern the network was trained with, by
reflecting a row or column, and the result is cropped and turned back.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch

from fedzda.vision.restoration.bayer import turn, turn_back, turned, unify
from fedzda.vision.restoration.layers import padded

Network = Callable[[torch.Tensor], torch.Tensor]


@torch.no_grad()
def restore(network: Network, images_NCHW: torch.Tensor, multiple: int = 1) -> torch.Tensor:
    """What a network (in eval mode) makes of images of any size.

    Args:
        network: Takes sides that are multiples of ``multiple``.
        images_NCHW: Images, with their noise map if the network takes one.
        multiple: ``RestorationModel.multiple``.

    Returns:
        Images, a whole number of times as large; what is none of these comes back as it is.
    """
    height, width = images_NCHW.shape[2:]
    fitted = padded(images_NCHW, multiple)
    result = network(fitted)
    scale = _enlarged(result, fitted)
    return result[:, :, : scale * height, : scale * width] if scale else result


def _enlarged(result: object, given_NCHW: torch.Tensor) -> int:
    """How many times larger the sides of images became; 0 if it is not so many times, or if no
    images came back."""
    if not isinstance(result, torch.Tensor) or result.ndim != given_NCHW.ndim:
        return 0
    scale = result.shape[2] // given_NCHW.shape[2]
    sides = [scale * side for side in given_NCHW.shape[2:]]
    return scale if [*result.shape[2:]] == sides else 0


@torch.no_grad()
def self_ensemble(
    network: Network, images_NCHW: torch.Tensor, multiple: int = 1, pattern: str = ""
) -> torch.Tensor:
    """Mean of the results on all eight turned images, turned back.

    Args:
        network: As in :func:`restore`.
        images_NCHW: Images, or mosaics ``(N, 1, H, W)`` with even sides.
        multiple: As in :func:`restore`.
        pattern: Bayer pattern of mosaics, which is also the one the network knows; empty: images.

    Raises:
        UserError: A pattern is given and unknown, or the images are no mosaics.
    """
    total: torch.Tensor | None = None
    for flips in itertools.product((False, True), repeat=3):
        image = turn(images_NCHW, flips)
        if pattern:
            unified = unify(image, turned(pattern, *flips), pattern, pad=True)
            result = unified.undo(restore(network, unified.mosaics, multiple))
        else:
            result = restore(network, image, multiple)
        result = turn_back(result, flips)
        total = result if total is None else total + result
    assert total is not None
    return total / 8

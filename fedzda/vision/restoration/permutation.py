"""Noise permutation: new noisy images from one pair, against overfitting (Bao et al., CVPRW 2020).

Confirmed: that noise is permuted. How is our choice: pixels of one colour are sorted by their clean
value and their noise is shuffled among neighbours in that order, so that noise keeps its dependence
on brightness. For raw mosaics only; noise of developed images is correlated between neighbours,
which a permutation would destroy.
"""

from __future__ import annotations

import torch

from fedzda.base import UserError
from fedzda.vision.restoration.bayer import pack, unpack


def permute_noise(
    noisy_N1HW: torch.Tensor, clean_N1HW: torch.Tensor, bin_size: int, rng: torch.Generator
) -> torch.Tensor:
    """New noisy mosaics ``(N, 1, H, W)`` of the same clean ones.

    Args:
        noisy_N1HW: Mosaics.
        clean_N1HW: Their truth.
        bin_size: Pixels among which noise is shuffled; 64 to 256 are sensible. The last bin of a
            colour may be smaller.
        rng: A CPU generator.

    Raises:
        UserError: ``bin_size`` below 2, or no mosaics with even sides.
    """
    if bin_size < 2:
        raise UserError(f"bin_size: a permutation needs 2 pixels or more (got {bin_size}).")
    clean = pack(clean_N1HW)
    values, noise = clean.flatten(2), pack(noisy_N1HW - clean_N1HW).flatten(2)
    order = _sorted_with_random_ties(values, rng)
    shuffled = torch.gather(order, 2, _shuffled_in_bins(values.shape, bin_size, rng).to(order))
    moved = torch.empty_like(noise).scatter_(2, order, torch.gather(noise, 2, shuffled))
    return clean_N1HW + unpack(moved.view_as(clean))


def permute_by_channel(
    noisy_NCHW: torch.Tensor, clean_NCHW: torch.Tensor, bin_size: int, rng: torch.Generator
) -> torch.Tensor:
    """:func:`permute_noise` of every channel by itself, for noise that is independent everywhere.

    An odd last row or column keeps its noise.

    Args:
        noisy_NCHW: Mosaics, or images whose noise no development has spread.
        clean_NCHW: Their truth.
        bin_size: See :func:`permute_noise`.
        rng: A CPU generator.

    Raises:
        UserError: ``bin_size`` below 2.
    """
    height, width = (extent // 2 * 2 for extent in noisy_NCHW.shape[2:])
    even = [image[:, :, :height, :width] for image in (noisy_NCHW, clean_NCHW)]
    noisy, clean = (image.reshape(-1, 1, height, width) for image in even)
    found = noisy_NCHW.clone()
    found[:, :, :height, :width] = permute_noise(noisy, clean, bin_size, rng).view_as(even[0])
    return found


def _sorted_with_random_ties(values_NCP: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Places of the values in ascending order; equal values in random order."""
    start = torch.rand(values_NCP.shape, generator=rng).argsort(dim=2).to(values_NCP.device)
    order = torch.gather(values_NCP, 2, start).argsort(dim=2, stable=True)
    return torch.gather(start, 2, order)


def _shuffled_in_bins(shape: torch.Size, bin_size: int, rng: torch.Generator) -> torch.Tensor:
    """Random permutations of the last dimension that leave every place in its bin."""
    bins = torch.arange(shape[-1]) // bin_size
    return (bins + torch.rand(shape, generator=rng).double()).argsort(dim=-1)

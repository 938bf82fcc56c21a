"""How unlike the clients are: in labels, in the amount of data, in the look of their images.

Letters in names: N clients, K classes, C channels, H height, W width, S images of a client.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fedzda.base import numpy_rng
from fedzda.platform.data.apportion import Ints
from fedzda.platform.fairness import gini

Floats = npt.NDArray[np.float64]

_DEALS = 5
"""Even deals that the floor of the label distance is averaged over."""


def label_distances(counts_NK: Ints, stock_K: Ints | None = None) -> Floats:
    """``(N,)`` total variation distance of each client's labels to those of all clients together.

    These are ``stock_K``, or the clients given where it is left out.

    Half the sum of the absolute differences of the shares: 0 if the client is like the pool, close
    to 1 if it holds one rare class only; NaN for a client without samples.
    """
    sizes = counts_NK.sum(axis=1)
    stock = counts_NK.sum(axis=0) if stock_K is None else stock_K
    pool = stock / max(stock.sum(), 1)
    share = counts_NK / np.where(sizes > 0, sizes, np.nan)[:, None]
    found: Floats = 0.5 * np.abs(share - pool).sum(axis=1)
    return found


def effective_classes(counts_NK: Ints) -> Floats:
    """``(N,)`` exponential of the entropy of each client's labels: 2.0 for two classes in equal
    parts, less if one of them prevails; NaN for a client without samples."""
    sizes = counts_NK.sum(axis=1)
    share = counts_NK / np.where(sizes > 0, sizes, np.nan)[:, None]
    logs = np.log(np.where(share > 0, share, 1.0))
    found: Floats = np.exp(-(share * logs).sum(axis=1))
    return found


def label_skew(counts_NK: Ints, seed: int = 0) -> dict[str, Any]:
    """Label and quantity skew of a federation.

    Args:
        counts_NK: Training samples of each client and class.
        seed: Seed of the even deals.

    Returns:
        ``label_distance``, the mean of :func:`label_distances`; ``label_distance_even``, what it
        would be if clients of these sizes drew from the pool (small clients differ by chance
        alone); ``effective_classes`` (mean), ``classes`` (those that anybody holds) and
        ``size_gini`` (0: all clients equally large).
    """
    sizes, stock = counts_NK.sum(axis=1), counts_NK.sum(axis=0)
    rng = numpy_rng(seed, "heterogeneity-even")
    pool = stock / max(stock.sum(), 1)
    even = [label_distances(rng.multinomial(sizes, pool)) for _ in range(_DEALS)]
    return {
        "label_distance": _mean(label_distances(counts_NK)),
        "label_distance_even": _mean(np.concatenate(even)),
        "effective_classes": _mean(effective_classes(counts_NK)),
        "classes": int((stock > 0).sum()),
        "size_gini": gini(sizes),
    }


def pixel_skew(images_NSCHW: Floats, seed: int = 0) -> dict[str, Any]:
    """How far apart the clients' images are, pixel by pixel.

    Every pixel of a client is summed up by its mean and standard deviation over the client's
    images; two such summaries are as far apart as the Gaussians they describe (Wasserstein-2:
    ``(m - m')² + (s - s')²``, averaged over pixels, then the root).

    Args:
        images_NSCHW: Equally many images of each client in [0, 1], as the client sees them.
        seed: Seed of the even deal.

    Returns:
        ``pixel_distance``, the mean distance of a client to the mean of all (in grey levels of 0 to
        1), and ``pixel_distance_even``, the same after dealing these images to the clients at
        random: what is left is chance.
    """
    mixed = numpy_rng(seed, "heterogeneity-pixels").permutation(
        images_NSCHW.reshape(-1, *images_NSCHW.shape[2:])
    )
    return {
        "pixel_distance": _mean(_pixel_distances(images_NSCHW)),
        "pixel_distance_even": _mean(_pixel_distances(mixed.reshape(images_NSCHW.shape))),
    }


def _pixel_distances(images_NSCHW: Floats) -> Floats:
    mean, std = images_NSCHW.mean(axis=1), images_NSCHW.std(axis=1)
    gap = (mean - mean.mean(axis=0)) ** 2 + (std - std.mean(axis=0)) ** 2
    found: Floats = np.sqrt(gap.reshape(len(gap), -1).mean(axis=1))
    return found


def _mean(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None


def sentence(found: dict[str, Any]) -> str:
    """The figures of :func:`label_skew` (and :func:`pixel_skew`) in one line."""
    if found.get("label_distance") is None:
        return "no training samples"
    parts = [
        f"label distance {found['label_distance']:.2f} ({found['label_distance_even']:.2f} if "
        f"dealt evenly), {found['effective_classes']:.1f} of {found['classes']} classes effective "
        f"per client, size Gini {found['size_gini']:.2f}"
    ]
    if found.get("pixel_distance") is not None:
        parts.append(
            f"pixel distance {found['pixel_distance']:.3f} "
            f"({found['pixel_distance_even']:.3f} if dealt evenly)"
        )
    return ", ".join(parts)

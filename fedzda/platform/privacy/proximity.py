"""How close made images come to the clients' own: do they repeat what the clients hold?

Two questions, both answered against real images that nobody trained on. *Floor*: is a made image
nearer to a client's image than a fresh real one is? *Side*: is its nearest real image one that was
trained on, more often than chance says? That is the holdout test of Platzer and Reutterer 2021
(*Holdout-based empirical assessment of mixed-type synthetic data*), for sets of unequal size. It
also holds for images that are merely typical, which are near to everything real, so it decides.

A small distance is a sign of a leak; a large one is no proof of its absence.

Letters in names: M made images, N images of the clients, H held-out images, D features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

Floats = npt.NDArray[np.float64]

FLOOR = 0.01
"""Share of fresh real images that are ``too_close``, by definition."""
DOUBT = 0.001
"""Largest probability, by chance alone, of what is flagged."""
_CHUNK = 64


@dataclass(frozen=True)
class Nearest:
    """The nearest image of a set to each of ``M`` others: ``distance`` and ``index``, ``(M,)``."""

    distance: Floats
    index: npt.NDArray[np.int64]


def nearest(queries_MD: torch.Tensor, base_ND: torch.Tensor) -> Nearest:
    """Euclidean nearest neighbours, exact; memory does not grow with ``M``."""
    found = [
        torch.cdist(
            part, base_ND, compute_mode="donot_use_mm_for_euclid_dist"  # exact at distance 0
        ).min(dim=1)
        for part in torch.split(queries_MD.float(), _CHUNK)
    ]  # fmt: skip
    distance = torch.cat([part.values for part in found]).double().numpy()
    index = cast(npt.NDArray[np.int64], torch.cat([part.indices for part in found]).numpy())
    return Nearest(distance, index)


def probe(
    sets: Mapping[str, torch.Tensor],
    own_ND: torch.Tensor,
    held_out_HD: torch.Tensor,
    fresh: torch.Tensor,
) -> list[dict[str, Any]]:
    """One row of figures for each set of images, and one for the fresh real ones.

    All images are given by their features in the eyes of one classifier that has seen none of them.

    Args:
        sets: Made images by name, ``(M, D)`` each.
        own_ND: The clients' training images.
        held_out_HD: Real images of the same clients that nobody trained on.
        fresh: Further ones, disjoint from these: the floor.

    Returns:
        Per set ``set``, ``images``, ``distance`` (median, to the nearest image of a client),
        ``relative`` (that over the one of the fresh images: 1 is as near as real ones, below is
        nearer), ``too_close`` (share nearer than all but :data:`FLOOR` of the fresh ones),
        ``chance`` (how often the nearest real image is a client's if images of clients and held-out
        ones are the same to the maker), ``advantage`` (how often it is, rescaled to 0 at chance and
        1 at always), ``close`` (images that near to any real image), ``advantage_close`` (of these;
        None if there are none), ``flagged`` (by chance one of the two advantages would be so large
        in less than :data:`DOUBT` of the cases: the images repeat what clients hold) and
        ``percentiles`` (1, 2, … 100) of the distance.
    """
    floor = nearest(fresh, own_ND)
    rows = []
    for name, made in {**sets, "fresh real images": fresh}.items():
        to_own = floor if made is fresh else nearest(made, own_ND)
        rows.append({"set": name, **_figures(to_own, nearest(made, held_out_HD), floor,
                                             len(own_ND), len(held_out_HD))})  # fmt: skip
    return rows


def _figures(
    to_own: Nearest, to_held_out: Nearest, floor: Nearest, num_own: int, num_held_out: int
) -> dict[str, Any]:
    chance = num_own / (num_own + num_held_out)
    sizes = num_own, num_held_out
    limit = np.quantile(floor.distance, FLOOR)
    # Which images are close is asked of both sides alike, so that chance keeps its meaning.
    close = np.minimum(to_own.distance, to_held_out.distance) < limit
    everywhere, nearby = (
        _advantage(to_own, to_held_out, chosen, sizes) for chosen in (slice(None), close)
    )
    median, usual = float(np.median(to_own.distance)), float(np.median(floor.distance))
    return {
        "images": int(to_own.distance.size),
        "distance": median,
        "relative": median / usual if usual > 0 else None,
        "too_close": float((to_own.distance < limit).mean()),
        "chance": chance,
        "advantage": everywhere[0],
        "close": int(close.sum()),
        "advantage_close": nearby[0],
        "flagged": min(everywhere[1], nearby[1]) < DOUBT,
        "percentiles": np.percentile(to_own.distance, np.arange(1, 101)).tolist(),
    }


def _advantage(
    to_own: Nearest, to_held_out: Nearest, chosen: Any, sizes: tuple[int, int]
) -> tuple[float | None, float]:
    """The advantage of some images, and how likely so much of it is by chance.

    To a maker that knows neither set, which of the real images are a client's is drawn from a hat.
    So the number of clients' images among the nearest neighbours is hypergeometric. Each neighbour
    counts once, however many made images have it; a tie counts for the held-out side.
    """
    from scipy.stats import hypergeom  # type: ignore[import-untyped]  # 0.5 s, needed only here

    own, held_out = to_own.distance[chosen], to_held_out.distance[chosen]
    if not own.size:
        return None, 1.0
    is_own = own < held_out
    chance = sizes[0] / sum(sizes)
    neighbours = np.unique(to_own.index[chosen][is_own]).size
    others = np.unique(to_held_out.index[chosen][~is_own]).size
    by_chance = hypergeom.sf(neighbours - 1, sum(sizes), sizes[0], neighbours + others)
    return (float(is_own.mean()) - chance) / (1 - chance), float(by_chance)

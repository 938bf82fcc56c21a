"""A federation described before anything is trained: how unlike its clients are, with pictures.

``artifacts/heterogeneity.json`` holds the figures, ``artifacts/view-<n>.png`` what clients see.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fedzda.base import numpy_rng
from fedzda.platform.config import DataConfig
from fedzda.platform.data.apportion import Ints
from fedzda.platform.data.federation import Federation
from fedzda.platform.data.partitioners.clusters import cluster_of
from fedzda.platform.files import replacing, write_json
from fedzda.platform.heterogeneity import Floats, label_skew, pixel_skew

if TYPE_CHECKING:
    from fedzda.platform.data.shifts.base import ClientViews

FILE = "heterogeneity.json"
CLIENTS = 10_000
"""Most clients whose labels are looked at."""
_PIXEL_CLIENTS, _PIXEL_IMAGES, _PIXEL_BYTES = 60, 24, 2**24
"""Most clients, images of each, and bytes of pixels that the pixel distance is measured on."""
_STRIPS, _STRIP_IMAGES, _LEGIBLE = 6, 10, 48


def measure(federation: Federation, config: DataConfig, seed: int) -> dict[str, Any]:
    """Figures of :mod:`fedzda.platform.heterogeneity` over the training samples.

    Args:
        federation: The prepared data.
        config: The ``data`` block it was prepared from.
        seed: Seed of the run; ``config.seed`` wins where it is set.
    """
    seed = config.seed if config.seed is not None else seed
    found = label_skew(federation.label_counts("train")[:CLIENTS], seed)
    images = _some_images(federation, _views(federation, config, seed), seed)
    return found if images is None else found | pixel_skew(images, seed)


def write(folder: Path, federation: Federation, config: DataConfig, seed: int) -> None:
    """Write the figures, the clusters, and strips of images as clients see them.

    Args:
        folder: ``artifacts/`` of a run.
        federation: The prepared data.
        config: The ``data`` block it was prepared from.
        seed: Seed of the run; ``config.seed`` wins where it is set.
    """
    seed = config.seed if config.seed is not None else seed
    found = measure(federation, config, seed)
    clusters = getattr(config.partition, "clusters", None)
    if isinstance(clusters, int):
        found["clusters"] = cluster_of(federation.num_clients, clusters)[:CLIENTS].tolist()
    views = _views(federation, config, seed)
    if views is not None:
        found["views"] = _write_strips(folder, federation, views)
    write_json(folder / FILE, found)


def _views(federation: Federation, config: DataConfig, seed: int) -> ClientViews | None:
    if config.shift is None:
        return None
    from fedzda.platform.data.shifts.base import ClientViews

    return ClientViews(config, federation, seed)


def _some_images(federation: Federation, views: ClientViews | None, seed: int) -> Floats | None:
    """Equally many images in [0, 1] of some clients ``(N, S, C, H, W)``; None if there are too few.

    Clients are evenly spaced; one with fewer than the median number of samples may be left out.
    """
    if federation.image is None:
        return None
    sizes = federation.sizes("train")
    held = sizes[sizes > 0]
    each = min(_PIXEL_IMAGES, int(np.median(held))) if held.size else 0
    able = np.flatnonzero(sizes >= each)
    budget = _PIXEL_BYTES // max(1, each * int(np.prod(federation.image.shape)))
    if each < 2 or min(len(able), budget) < 2:
        return None
    spaced = np.linspace(0, len(able) - 1, min(len(able), budget, _PIXEL_CLIENTS)).astype(int)
    rng = numpy_rng(seed, "heterogeneity-rows")
    rows = [rng.permutation(federation.indices(int(c), "train"))[:each] for c in able[spaced]]
    images = pixels_of(federation, views, np.concatenate(rows))
    return images.reshape(len(rows), each, *federation.image.shape)


def pixels_of(federation: Federation, views: ClientViews | None, rows: Ints) -> Floats:
    """Rows of the training pool in [0, 1] as their clients see them, ``(N, C, H, W)`` float32."""
    pixels = federation.train["image"][rows].astype(np.float32) / 255.0
    if views is None:
        return np.asarray(pixels)
    import torch

    return np.asarray(views.apply(torch.from_numpy(pixels), rows).numpy())


def _write_strips(folder: Path, federation: Federation, views: ClientViews) -> list[dict[str, Any]]:
    """One strip for each of some units, and what they show."""
    units, first = np.unique(views.unit, return_index=True)
    clients = np.bincount(views.unit)
    unlike: dict[str, int] = {}
    for unit in units[:CLIENTS]:
        unlike.setdefault(views.shift.describe(int(unit)), int(unit))
    chosen = list(unlike.values())
    spaced = np.linspace(0, len(chosen) - 1, min(len(chosen), _STRIPS)).round().astype(int)
    found = []
    for number, unit in enumerate(chosen[int(i)] for i in spaced):
        client = int(first[unit])
        name = f"view-{number}.png"
        rows = one_per_class(federation, client)
        _save_strip(pixels_of(federation, views, rows), folder / name)
        found.append(
            {
                "file": name,
                "client": client,
                "unit": unit,
                "clients": int(clients[unit]),
                "says": views.shift.describe(unit),
            }
        )
    return found


def one_per_class(federation: Federation, client: int) -> Ints:
    """Some training rows of a client: one of each of its classes, then a second one of each, …"""
    rows = federation.indices(client, "train")
    labels = federation.train["label"][rows]
    order = np.argsort(labels, kind="stable")
    _, first, counts = np.unique(labels[order], return_index=True, return_counts=True)
    rank = np.arange(len(rows)) - np.repeat(first, counts)
    found: Ints = rows[order[np.lexsort((labels[order], rank))]][:_STRIP_IMAGES]
    return found


def _save_strip(images_NCHW: Floats, path: Path) -> None:
    """Images side by side, small ones enlarged."""
    from PIL import Image

    pixels = np.rint(images_NCHW * 255).astype(np.uint8)
    pixels = pixels[:, :1] if pixels.shape[1] not in (1, 3) else pixels
    framed = np.pad(pixels, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=255)
    strip = np.concatenate(list(framed.transpose(0, 2, 3, 1)), axis=1)
    picture = Image.fromarray(strip[:, :, 0] if strip.shape[2] == 1 else strip)
    scale = max(1, _LEGIBLE // images_NCHW.shape[2])
    size = (picture.width * scale, picture.height * scale)
    with replacing(path) as temporary:
        picture.resize(size, Image.Resampling.NEAREST).save(temporary, format="PNG")

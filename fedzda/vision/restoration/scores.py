"""Figures of restored images in files, by the protocols of NTIRE 2020's real-world
super-resolution (arXiv 2005.01996): track 1 knows the truth, track 2 does not.

C channels, H height, W width; pixels in [0, 1].
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from fedzda.base import UserError
from fedzda.vision.metrics.colour import luma
from fedzda.vision.metrics.gmsd import gmsd
from fedzda.vision.metrics.haarpsi import haarpsi
from fedzda.vision.metrics.niqe import NiqeRefit
from fedzda.vision.metrics.piqe import piqe
from fedzda.vision.metrics.psnr import psnr
from fedzda.vision.metrics.ssim import ssim
from fedzda.vision.restoration.files import images_in, read_image

HIGHER_IS_BETTER = {
    "psnr": True,
    "ssim": True,
    "gmsd": False,
    "haarpsi": True,
    "piqe": False,
    "niqe_refit": False,
}
"""Names of figures, in the order in which they are shown."""


def score_folder(
    results: Path,
    truth: Path | None = None,
    photographs: Path | None = None,
    *,
    border: int = 0,
    on_y: bool = False,
    block: int = 96,
) -> list[dict[str, Any]]:
    """Figures of every image of a folder, by name; see :func:`score_image`.

    Args:
        results: Restored images.
        truth: Images of the same names without their endings; None: nobody knows it.
        photographs: What NIQE is refitted on; None: no ``niqe_refit``.
        border: As in :func:`score_image`.
        on_y: As in :func:`score_image`.
        block: Side of the blocks of NIQE-refit in pixels.

    Raises:
        UserError: A folder without images, a result without its truth, a file that is no image,
            images of unequal size, or too few photographs.
    """
    restored = images_in(results)
    known = {} if truth is None else {path.stem: path for path in images_in(truth)}
    missing = [path.name for path in restored if truth is not None and path.stem not in known]
    if missing:
        raise UserError(
            f"{truth} holds no image called '{Path(missing[0]).stem}', for which there is a result "
            f"({len(missing)} of {len(restored)} have no truth). Give both the same names."
        )
    niqe = None
    if photographs is not None:
        niqe = NiqeRefit(block)
        niqe.fit(_read_all(photographs))
    rows = []
    for path in restored:
        image = read_image(path)
        wanted = read_image(known[path.stem]) if known else None
        if wanted is not None and wanted.shape != image.shape:
            raise UserError(
                f"{path} has shape {tuple(image.shape)} (channels, height, width), and its truth "
                f"{tuple(wanted.shape)}. They must be equal."
            )
        figures = score_image(image, wanted, niqe, border=border, on_y=on_y)
        rows.append({"image": path.stem, **figures})
    return rows


def score_image(
    image_CHW: torch.Tensor,
    truth_CHW: torch.Tensor | None = None,
    niqe: NiqeRefit | None = None,
    *,
    border: int = 0,
    on_y: bool = False,
) -> dict[str, float]:
    """Figures of one image: those that need the truth where it is known, ``piqe`` in [0, 100], and
    ``niqe_refit`` with a fit.

    Args:
        image_CHW: Restored; 1 or 3 channels.
        truth_CHW: Of the same shape.
        niqe: Fitted.
        border: Pixels on every side that ``psnr`` (dB) and ``ssim`` leave out.
        on_y: Take these two on Y of BT.601 (16 to 235).
    """
    image = image_CHW.unsqueeze(0)
    found: dict[str, float] = {}
    if truth_CHW is not None:
        truth = truth_CHW.unsqueeze(0)
        one, two = (luma(image), luma(truth)) if on_y else (image, truth)
        found["psnr"] = float(psnr(one, two, border)[0])
        found["ssim"] = float(ssim(one, two, border)[0])
        found["gmsd"] = float(gmsd(image, truth)[0])
        found["haarpsi"] = float(haarpsi(image, truth)[0])
    found["piqe"] = float(piqe(image)[0])
    if niqe is not None:
        found["niqe_refit"] = niqe.score(image_CHW)
    return found


def _read_all(folder: Path) -> Iterator[torch.Tensor]:
    return (read_image(path) for path in images_in(folder))

"""Photographs that ship inside scikit-image and scikit-learn: enough to train tiny networks.

They are loaded from the installed packages; nothing is downloaded.
"""

from __future__ import annotations

import numpy as np

from fedzda.vision.hypercon.arrays import Pixels

_SCIKIT_IMAGE = ("astronaut", "chelsea", "coffee", "hubble_deep_field", "rocket")
_SCIKIT_LEARN = ("china.jpg", "flower.jpg")


def photographs() -> dict[str, Pixels]:
    """Name to 8-bit ``(H, W, 3)``; the shortest side is 300 pixels."""
    from skimage import data
    from sklearn.datasets import load_sample_image

    found = {name: np.asarray(getattr(data, name)(), np.uint8) for name in _SCIKIT_IMAGE}
    for name in _SCIKIT_LEARN:
        found[name.partition(".")[0]] = np.asarray(load_sample_image(name), np.uint8)
    return found


def style_picture() -> Pixels:
    """The default style: stained tissue, 512x512, violet and brown."""
    from skimage import data

    return np.asarray(data.immunohistochemistry(), np.uint8)  # type: ignore[no-untyped-call]


def stereo_pair() -> tuple[Pixels, Pixels, np.ndarray[tuple[int, int], np.dtype[np.float32]]]:
    """Left and right view of the Middlebury pair *motorcycle*, and the disparity of the left.

    ``left(x, y)`` is seen at ``right(x - d, y)``; d is 0 where it is unknown. 741x500 pixels.
    """
    from skimage import data

    left, right, disparity = data.stereo_motorcycle()  # type: ignore[no-untyped-call]
    known = np.where(np.isfinite(disparity), disparity, 0)
    return np.asarray(left), np.asarray(right), np.asarray(known, np.float32)

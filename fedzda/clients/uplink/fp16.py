"""Half precision: the update as IEEE 16-bit floats, 3 decimal digits of each change."""

from __future__ import annotations

import numpy as np

from fedzda.clients.uplink.base import Encoded, Update
from fedzda.clients.uplink.config import FP16Config

_LARGEST = np.float32(np.finfo(np.float16).max)


class FP16:
    """Sends two bytes per weight; changes beyond 65,504 are cut off."""

    feedback = False

    def __init__(self, config: FP16Config) -> None:
        self.config = config

    def lossless(self, num: int) -> bool:
        """See :class:`Compressor`: never."""
        return False

    def encode(self, update: Update, rng: np.random.Generator) -> Encoded:
        """See :class:`Compressor`."""
        return {"values": np.clip(update, -_LARGEST, _LARGEST).astype(np.float16)}

    def decode(self, encoded: Encoded, num: int) -> Update:
        """See :class:`Compressor`."""
        return encoded["values"].astype(np.float32)

"""QSGD (Alistarh, Grubic, Li, Tomioka, Vojnovic, NeurIPS 2017, arXiv 1610.02132), equation 2.

Entry ``v`` of a bucket with Euclidean norm ``|b|`` becomes ``|b| * sign(v) * l / s``. Here ``s`` is
the highest level and ``l`` is ``s * |v| / |b|`` rounded up or down at random, so that its mean is
right. Our deviation: levels take a fixed number of bits instead of Elias codes, so that the size
is known before the update is.
"""

from __future__ import annotations

import numpy as np

from fedzda.clients.uplink.base import Encoded, Update
from fedzda.clients.uplink.config import QSGDConfig


class QSGD:
    """Sends packed signs and levels, and the norms of the buckets."""

    feedback = False  # it has no bias

    def __init__(self, config: QSGDConfig) -> None:
        self.config = config

    def lossless(self, num: int) -> bool:
        """See :class:`Compressor`: never."""
        return False

    def encode(self, update: Update, rng: np.random.Generator) -> Encoded:
        """See :class:`Compressor`."""
        bits, levels = self.config.bits, self.config.levels
        norms = np.sqrt(np.add.reduceat(update.astype(np.float64) ** 2, self._starts(len(update))))
        norms = norms.astype(np.float32)
        scale = np.repeat(np.where(norms > 0, norms, 1), self.config.bucket)[: len(update)]
        height = np.abs(update) / scale.astype(np.float64) * levels
        level = np.floor(height + rng.random(len(update)))
        # a norm rounded down may put its only entry a hair above the highest level
        code = np.minimum(level, levels).astype(np.uint32) | (
            (update < 0).astype(np.uint32) << (bits - 1)
        )
        each = (code[:, None] >> np.arange(bits - 1, -1, -1, dtype=np.uint32)) & 1
        return {"codes": np.packbits(each.astype(np.uint8)), "norms": norms}

    def decode(self, encoded: Encoded, num: int) -> Update:
        """See :class:`Compressor`."""
        bits, levels = self.config.bits, self.config.levels
        each = np.unpackbits(encoded["codes"], count=num * bits).reshape(num, bits)
        code = each.astype(np.int64) @ (1 << np.arange(bits - 1, -1, -1, dtype=np.int64))
        sign = np.where(code >> (bits - 1), -1.0, 1.0)
        scale = np.repeat(encoded["norms"].astype(np.float64), self.config.bucket)[:num]
        return np.asarray(scale * sign * (code & levels) / levels, dtype=np.float32)

    def _starts(self, num: int) -> np.ndarray:
        """Where buckets begin."""
        return np.arange(0, num, self.config.bucket)

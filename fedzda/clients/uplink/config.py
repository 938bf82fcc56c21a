"""Configuration of the compression of updates (imports no torch)."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from fedzda.platform.config import UplinkConfig

_FLOAT_BYTES = 4
_INDEX_BYTES = 4


class TopKConfig(UplinkConfig):
    """Only the largest changes are sent."""

    name: Literal["top-k"] = "top-k"
    fraction: float = Field(default=0.01, gt=0, le=1)
    """Share of the trained weights whose change is sent, over the whole model (our choice; Stich et
    al. 2018 keep 0.1 % and less); 1: no compression."""
    error_feedback: bool = True
    """Add what was not sent to the client's next update."""

    def kept(self, num: int) -> int:
        """How many of ``num`` weights are sent."""
        return max(1, math.ceil(self.fraction * num - 1e-9))

    def encoded_bytes(self, num: int) -> int:
        """A value and an index for each weight sent, or all values where that is less."""
        return min(self.kept(num) * (_FLOAT_BYTES + _INDEX_BYTES), num * _FLOAT_BYTES)


class QSGDConfig(UplinkConfig):
    """Stochastic rounding to a few levels, without bias."""

    name: Literal["qsgd"] = "qsgd"
    bits: int = Field(default=4, ge=2, le=16)
    """Bits per weight: a sign, and a level from 0 to ``2 ** (bits - 1) - 1`` (the paper trains with
    2, 4 and 8)."""
    bucket: int = Field(default=512, ge=1)
    """Weights that share a norm, which is sent as well (the paper with 4 bits: 512)."""

    @property
    def levels(self) -> int:
        """The highest level."""
        return (1 << (self.bits - 1)) - 1

    def encoded_bytes(self, num: int) -> int:
        """Packed signs and levels, and a norm for each bucket."""
        return -(-num * self.bits // 8) + -(-num // self.bucket) * _FLOAT_BYTES


class FP16Config(UplinkConfig):
    """Half precision."""

    name: Literal["fp16"] = "fp16"

    def encoded_bytes(self, num: int) -> int:
        """Two bytes a weight."""
        return 2 * num

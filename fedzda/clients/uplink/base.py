"""What a compression is: an encoder at the client and a decoder at the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

Update = npt.NDArray[np.float32]
"""``(n,)`` changes of all trained weights that are sent, one after the other."""
Encoded = Mapping[str, np.ndarray]
"""What crosses the network, array by array."""


class Compressor(Protocol):
    """Encodes updates. Made with its configuration."""

    feedback: bool
    """Whether the client keeps what was not sent and adds it to its next update."""

    def lossless(self, num: int) -> bool:
        """Whether an update of ``num`` weights would arrive as it is."""
        ...

    def encode(self, update: Update, rng: np.random.Generator) -> Encoded:
        """What is sent; ``rng`` is the client's own stream of the round."""
        ...

    def decode(self, encoded: Encoded, num: int) -> Update:
        """The update of ``num`` weights as the server sees it."""
        ...

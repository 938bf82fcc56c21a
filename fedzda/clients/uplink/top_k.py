"""Top-k sparsification with error feedback (Stich, Cordonnier, Jaggi, 2018, arXiv 1809.07599).

With the memory ``m`` of a client and its update ``u``, sent are the k entries of ``u + m`` that are
largest in magnitude, and the next memory is the rest (their Algorithm 1, equation 4; an update here
is a round of local training, not one step). Limit case: ``fraction: 1`` sends the model as it is.
"""

from __future__ import annotations

import numpy as np

from fedzda.clients.uplink.base import Encoded, Update
from fedzda.clients.uplink.config import TopKConfig


class TopK:
    """Sends values and 32-bit positions of the largest entries.

    Where that would take more bytes than all values, all positions are sent, zeros included.
    """

    def __init__(self, config: TopKConfig) -> None:
        self.config = config
        self.feedback = config.error_feedback

    def lossless(self, num: int) -> bool:
        """See :class:`Compressor`."""
        return self.config.kept(num) == num

    def encode(self, update: Update, rng: np.random.Generator) -> Encoded:
        """See :class:`Compressor`; of equal magnitudes the first come first."""
        kept = self.config.kept(len(update))
        # a stable sort of the magnitudes would do; this is a tenth of its time
        border = -np.partition(-np.abs(update), kept - 1)[kept - 1]
        above = np.flatnonzero(np.abs(update) > border)
        ties = np.flatnonzero(np.abs(update) == border)[: kept - len(above)]
        index = np.sort(np.concatenate([above, ties])).astype(np.uint32)
        if index.nbytes + 4 * kept > update.nbytes:
            dense = np.zeros_like(update)
            dense[index] = update[index]
            return {"values": dense}
        return {"index": index, "values": update[index]}

    def decode(self, encoded: Encoded, num: int) -> Update:
        """See :class:`Compressor`."""
        if "index" not in encoded:
            return np.asarray(encoded["values"], dtype=np.float32)
        update = np.zeros(num, dtype=np.float32)
        update[encoded["index"]] = encoded["values"]
        return update

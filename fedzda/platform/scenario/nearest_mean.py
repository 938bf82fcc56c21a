"""Nearest-mean-of-exemplars classification, iCaRL's rule (Rebuffi et al., CVPR 2017, section 2.1).

A sample belongs to the class whose exemplars' mean feature is nearest, where every feature and
every mean has length 1; so only the direction of a class's sum of features counts, and sums of
several clients add up.
"""

from __future__ import annotations

import numpy as np

QUERY = "query.exemplars"
"""Message type that asks a client for the sums of its exemplars' features."""
SUMS = "exemplar-sums"
"""Record of the reply: ``sums`` ``(seen, D)``, zeros for classes that it keeps nothing of."""
MEANS = "class-means"
"""Record of an evaluation request: ``means`` ``(seen, D)``, by which clients are to classify."""


def class_means(sums_KD: np.ndarray) -> np.ndarray:
    """Means of length 1, ``(K, D)`` float32, from sums of unit features over exemplars.

    A class that nobody keeps an exemplar of has a row of zeros.
    """
    lengths = np.linalg.norm(sums_KD, axis=1, keepdims=True)
    means: np.ndarray = (sums_KD / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
    return means

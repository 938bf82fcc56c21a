"""Many clients of one architecture trained at once: equal to ``training.train`` one by one.

The equality is one of real numbers, not of bits: a sum over one client's samples is taken in
another order.
"""

from fedzda.clients.cohort.support import can_vectorise
from fedzda.clients.cohort.train import train_cohort

__all__ = ["can_vectorise", "train_cohort"]

"""Placebo for Fed-ZDAC: synthetic labels on noise images.

A control arm: every client gets as many extra images with the same labels as Fed-ZDAC would give
it, from the same round on, but they are independent Gaussian pixels. What Fed-ZDAC gains over this
arm is what its images show; what this arm gains over FedAvg comes from labels and steps alone.
Limit case: ``start_round`` beyond the last round is FedAvg, bit for bit.
"""

from __future__ import annotations

from fedzda.strategies.config.controls import PlaceboConfig
from fedzda.strategies.fills import FillStrategy


class Placebo(FillStrategy):
    """Clients fill up the classes they lack with noise.

    Leaves the client: its model and its sample count, as in FedAvg.
    """

    Config = PlaceboConfig
    key = "noise-images"

"""Oracle for Fed-ZDAC: real images of the classes a client lacks.

A control arm and a ceiling, impossible on real devices: every client gets as many extra images with
the same labels as Fed-ZDAC would give it, from the same round on, drawn from the training samples
of all clients. Limit case: ``start_round`` beyond the last round is FedAvg, bit for bit.
"""

from __future__ import annotations

from fedzda.strategies.config.controls import OracleConfig
from fedzda.strategies.fills import FillStrategy


class Oracle(FillStrategy):
    """Clients fill up the classes they lack with other clients' images.

    Leaves the client: its model and its sample count, and, against all rules, its images.
    """

    Config = OracleConfig
    key = "real-images"

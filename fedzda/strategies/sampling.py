"""Which clients take part in a round.

    uniform          every client with the same chance
    size-weighted    with a chance that grows with the client's training samples
    power-of-choice  of candidates drawn size-weighted, those with the highest loss of the current
                     model (Cho, Wang, Joshi, 2020, arXiv 2010.01243, Algorithm 1)

All draw without replacement. Candidates of power-of-choice receive the model and report their loss
on all their training samples (the paper's pow-d; not its cheaper forms): one more download for
each candidate, counted in the run's bytes.
"""

from __future__ import annotations

from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from fedzda.base import numpy_rng
from fedzda.platform.engines.grid import FIRST_NODE
from fedzda.platform.setting import Setting

LOSS_QUERY = "query.loss"
"""Message type that asks a client for the loss of a model on its training samples."""


def drawn(setting: Setting, size: int, by_size: bool, server_round: int) -> list[int]:
    """``size`` of the reachable clients, ascending; fewer where fewer have samples."""
    rng = numpy_rng(setting.seed, "cohort", server_round)
    there = setting.reachable()
    if not by_size:
        chosen = rng.choice(len(there), size, replace=False)
    else:
        sizes = setting.sizes if isinstance(there, range) else setting.sizes[there]
        chance = sizes / sizes.sum()
        size = min(size, int((chance > 0).sum()))
        chosen = rng.choice(len(there), size, replace=False, p=chance)
    return sorted(int(there[i]) for i in chosen)


def highest_losses(
    candidates: list[int], size: int, server_round: int, arrays: ArrayRecord, grid: Grid
) -> list[int]:
    """The ``size`` candidates with the highest loss of ``arrays``, in ascending order."""
    config = ConfigRecord({"server-round": server_round, "split": "train"})
    record = RecordDict({"arrays": arrays, "config": config})
    asked = [Message(record, FIRST_NODE + client, LOSS_QUERY) for client in candidates]
    losses: dict[int, float] = {}
    for reply in grid.send_and_receive(asked):
        if not reply.has_error():
            told: Any = reply.content["metrics"]
            losses[reply.metadata.src_node_id - FIRST_NODE] = float(told["loss"])
    ranked = sorted(losses, key=lambda client: (-losses[client], client))
    return sorted(ranked[:size])

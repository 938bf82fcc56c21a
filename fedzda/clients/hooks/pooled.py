"""Centralised training: a client that holds the data of others as well."""

from __future__ import annotations

import json

import numpy as np

from fedzda.clients.hooks.base import Hook, LocalRun


class PooledData(Hook):
    """Replaces the client's data by that of the clients in the request, or of all."""

    def start(self, run: LocalRun) -> None:
        """Collect the training samples; ``num-examples`` counts all of them."""
        clients: list[int] | None = json.loads(run.config["pooled-data"])
        federation = run.runtime.federation
        if clients is None:
            rows = federation.pool("train")
        else:
            rows = np.concatenate([federation.indices(client, "train") for client in clients])
        run.data = run.runtime.batch(rows)
        run.metrics["num-examples"] = len(rows)

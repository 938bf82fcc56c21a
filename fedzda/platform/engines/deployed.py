"""SuperNodes behind our Engine interface: real devices, of which each is one client.

The clients work at the same time, each in its own process on its own machine; how many there are
and where is decided by those who start SuperNodes.
"""

from __future__ import annotations

import time
from collections import Counter

from flwr.serverapp import Grid

from fedzda.base import RunError
from fedzda.platform.config import EngineConfig
from fedzda.platform.engines.calls import HandlerSpec
from fedzda.platform.engines.messages import UNNUMBERED, MessageEngine

_POLL_SEC = 1.0
_SHOWN = 10
"""Clients that a sentence lists."""


class DeployedEngine(MessageEngine):
    """Sends every call as a Flower message to the SuperNode that is its client.

    Args:
        config: The ``engine:`` block; only what concerns one client counts.
        spec: How this process builds a handler, for work of the server.
        seed: Seed of the run.
        num_clients: SuperNodes to wait for.
        grid: Flower's grid to them.
        wait_sec: How long to wait for all of them.
    """

    def __init__(
        self,
        config: EngineConfig,
        spec: HandlerSpec,
        seed: int,
        num_clients: int,
        *,
        grid: Grid,
        wait_sec: float,
    ) -> None:
        super().__init__(config, spec, seed, num_clients)
        self.grid = grid
        self.wait_sec = wait_sec

    def start(self) -> None:
        """Wait until every client has one SuperNode; says what is missing whenever that changes.

        Raises:
            RunError: What is still missing after ``wait_sec``.
        """
        known: dict[int, int] = {}
        deadline = time.monotonic() + self.wait_sec
        said = ""
        while problem := self._missing(known):
            if time.monotonic() > deadline:
                raise RunError(f"waited {self.wait_sec:g} s for the clients: {problem}")
            if problem != said:
                print(f"waiting: {problem}", flush=True)  # Flower's log shows what is printed
                said = problem
            time.sleep(_POLL_SEC)

    def _missing(self, known: dict[int, int]) -> str:
        """Why the clients are not complete; empty: they are, and ``nodes`` is set.

        Args:
            known: Client numbers of nodes that were asked before; those of others are added.
        """
        there = list(self.grid.get_node_ids())
        if new := [node for node in there if node not in known]:
            known |= self.ask_who(new)
        client_of = {node: known[node] for node in there if node in known}
        problem = unfit(client_of, self.num_clients)
        if not problem:
            node_of = {client: node for node, client in client_of.items()}
            self.nodes = [node_of[client] for client in range(self.num_clients)]
        return problem

    @property
    def num_workers(self) -> int:
        """One per client."""
        return self.num_clients

    def stop(self) -> None:
        """Nothing to give back: the SuperNodes are somebody else's."""


def unfit(client_of: dict[int, int], num_clients: int) -> str:
    """Why SuperNodes, by node id, are not one per client; empty: they are."""
    for node, client in client_of.items():
        if client == UNNUMBERED:
            return (
                f"SuperNode {node} was started without a partition-id. Start it with "
                "--node-config 'partition-id=0', or the number of another client."
            )
        if not 0 <= client < num_clients:
            return (
                f"SuperNode {node} has partition-id {client}, and the simulation has clients 0 to "
                f"{num_clients - 1}. Stop it, or raise data.clients."
            )
    for client, count in Counter(client_of.values()).items():
        if count > 1:
            return f"{count} SuperNodes have partition-id {client}. Stop all of them but one."
    missing = sorted(set(range(num_clients)) - set(client_of.values()))
    if not missing:
        return ""
    shown = ", ".join(map(str, missing[:_SHOWN])) + (", …" if len(missing) > _SHOWN else "")
    return (
        f"{len(missing)} of {num_clients} clients have no SuperNode, partition-id {shown}. "
        "Start them."
    )

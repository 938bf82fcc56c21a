"""Flower's stock simulation engine behind our Engine interface, for comparison.

Flower's engine wants to own the program: it runs in a thread, and its ServerApp does nothing but
hand its grid over and wait until the run is done. Node placement and failures are Flower's, so
nothing is promised bit for bit.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from typing import Any

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from fedzda.base import RunError
from fedzda.platform import plugins
from fedzda.platform.config import FlowerConfig
from fedzda.platform.engines.base import cores
from fedzda.platform.engines.messages import MessageEngine

_START_TIMEOUT_SEC = 120.0


class FlowerEngine(MessageEngine):
    """Sends every call as a Flower message through Flower's own engine."""

    config: FlowerConfig

    def start(self) -> None:
        """Start Flower's engine in a thread and learn which node is which client."""
        # actors reserve no share of a GPU, and Ray would hide it from those
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        self._done = threading.Event()
        self._grids: queue.Queue[Grid | BaseException] = queue.Queue()
        self._thread = threading.Thread(target=self._host, daemon=True)
        self._thread.start()
        try:
            found = self._grids.get(timeout=_START_TIMEOUT_SEC)
        except queue.Empty:
            raise RunError(
                f"Flower's engine was not ready within {_START_TIMEOUT_SEC:g} s. Lower "
                "engine.workers, or take another engine."
            ) from None
        if isinstance(found, BaseException):
            raise RunError(f"Flower's engine could not start: {found}") from found
        self.grid = found
        self.nodes = self._find_nodes()

    def _host(self) -> None:
        from flwr.simulation.run_simulation import run_simulation

        server = ServerApp()

        @server.main()
        def main(grid: Grid, context: Context) -> None:
            self._grids.put(grid)
            self._done.wait()

        make_app = plugins.import_target(plugins.entry("runtimes", "flower-app").target)
        backend: Any = {
            "client_resources": {"num_cpus": 1.0, "num_gpus": 0.0},
            "init_args": {"num_cpus": self.num_workers, "include_dashboard": False},
        }
        try:
            run_simulation(
                server_app=server,
                client_app=make_app(self.spec, self.seed, self.config.client_timeout),
                num_supernodes=self.num_clients,
                backend_config=backend,
            )
        except BaseException as error:
            self._grids.put(error)

    @property
    def num_workers(self) -> int:
        """Number of Flower's actors."""
        return self.config.workers if isinstance(self.config.workers, int) else cores()

    def _find_nodes(self) -> list[int]:
        """Node ids by client, as soon as all nodes are registered."""
        while len(nodes := list(self.grid.get_node_ids())) < self.num_clients:
            if not self._thread.is_alive():
                raise RunError("Flower's engine stopped while its nodes were registered.")
            time.sleep(0.05)
        node_of = {client: node for node, client in self.ask_who(nodes).items()}
        return [node_of[client] for client in range(self.num_clients)]

    def stop(self) -> None:
        """Let Flower's ServerApp return and wait for its engine to end."""
        self._done.set()
        self._thread.join(timeout=30)

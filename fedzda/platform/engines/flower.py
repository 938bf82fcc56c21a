"""Flower's stock simulation engine behind our Engine interface, for comparison.

Flower's engine wants to own the program: it runs in a thread, and its ServerApp does nothing but
hand its grid over and wait until the run is done. Replies come in any order and are put back into
ours, but node placement and failures are Flower's, so nothing is promised bit for bit.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from flwr.app import Context, Message, MessageType
from flwr.serverapp import Grid, ServerApp

from fedzda.base import RunError
from fedzda.platform import plugins
from fedzda.platform.config import FlowerConfig
from fedzda.platform.engines.base import Engine, cores
from fedzda.platform.engines.calls import Call, Chunk, ChunkResult, Reply
from fedzda.platform.engines.worker import Worker
from fedzda.platform.records import Content, to_content, to_record

DETAILS = "fedzda.details"
"""Record in which our ClientApp sends what is meant for the client table only."""
PARTITION = "fedzda.partition"
"""Record in which our ClientApp answers a query for its client number."""
_START_TIMEOUT_SEC = 120.0


class FlowerEngine(Engine):
    """Sends every call as a Flower message through Flower's own engine."""

    config: FlowerConfig

    def start(self) -> None:
        """Start Flower's engine in a thread and learn which node is which client."""
        self._done = threading.Event()
        self._grids: queue.Queue[Grid | BaseException] = queue.Queue()
        self._local: Worker | None = None
        self._thread = threading.Thread(target=self._host, daemon=True)
        self._thread.start()
        found = self._grids.get(timeout=_START_TIMEOUT_SEC)
        if isinstance(found, BaseException):
            raise RunError(f"Flower's engine could not start: {found}") from found
        self._grid = found
        self._nodes = self._find_nodes()

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
        """Node ids by client: Flower draws them at random, so every node is asked who it is."""
        while len(nodes := list(self._grid.get_node_ids())) < self.num_clients:
            if not self._thread.is_alive():
                raise RunError("Flower's engine stopped while its nodes were registered.")
            time.sleep(0.05)
        asked = [self._message(node, MessageType.QUERY, Content()) for node in nodes]
        found = [0] * self.num_clients
        for answer in self._grid.send_and_receive(asked):
            who = to_content(answer.content).metrics[PARTITION]["id"]
            found[int(who)] = answer.metadata.src_node_id
        return found

    def run(self, chunks: Iterable[Chunk]) -> Iterator[ChunkResult]:
        """See :meth:`Engine.run`. Models are never summed up on the way."""
        every = list(chunks)
        calls = [call for chunk in every for call in chunk.calls]
        asked = [self._message(self._nodes[c.client], c.phase, c.content) for c in calls]
        answers = {m.metadata.src_node_id: m for m in self._grid.send_and_receive(asked)}
        for chunk in every:
            yield ChunkResult(chunk.index, [self._reply(call, answers) for call in chunk.calls])

    def _message(self, node: int, phase: str, content: Content) -> Message:
        message = Message(to_record(content), node, phase)
        message.metadata.__dict__["_run_id"] = self._grid.run.run_id
        return message

    def _reply(self, call: Call, answers: dict[int, Message]) -> Reply:
        answer = answers.get(self._nodes[call.client])
        if answer is None or answer.has_error():
            reason = answer.error.reason if answer is not None else "no answer"
            return Reply(call.client, error=reason)
        content = to_content(answer.content)
        rest = content.configs.pop(DETAILS)
        told = json.loads(rest["json"])
        seconds = float(rest["seconds"])
        return Reply(
            call.client,
            content,
            told["details"],
            told["split"],
            Content(),
            seconds=seconds,
            bytes_up=told["bytes_up"],
        )

    def map(self, job: Callable[[Any, Any], Any], items: Sequence[Any]) -> list[Any]:
        """See :meth:`Engine.map`; in this process, because Flower's actors serve clients only."""
        if self._local is None:
            self._local = Worker(self.spec, self.seed)
        return [self._local.compute(job, item) for item in items]

    def stop(self) -> None:
        """Let Flower's ServerApp return and wait for its engine to end."""
        self._done.set()
        self._thread.join(timeout=30)

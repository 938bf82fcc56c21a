"""Run an unmodified Flower app, a ServerApp and a ClientApp, on our engines.

>>> run_apps("my_app.server_app:app", "my_app.client_app:app", num_clients=10)   # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp

from fedzda.base import UserError
from fedzda.platform import plugins
from fedzda.platform.config import EngineConfig, InlineConfig
from fedzda.platform.engines.base import Engine
from fedzda.platform.engines.calls import Call, HandlerSpec, Reply
from fedzda.platform.engines.grid import (
    FIRST_NODE,
    EngineGrid,
    ErrorPolicy,
    Exchange,
    adopt_task_identity,
)
from fedzda.platform.records import Content, to_content, to_record
from fedzda.platform.rounds import seeded_globals

RunConfig = Mapping[str, bool | int | float | str]


class ClientAppHandler:
    """Serves calls with a Flower ClientApp.

    Args:
        app: ``package.module:name`` of the ClientApp.
        num_clients: ``num-partitions`` of every node; ``partition-id`` is the client's number.
        run_config: What the app finds in ``context.run_config``.
    """

    def __init__(self, app: str, num_clients: int, run_config: RunConfig) -> None:
        adopt_task_identity()
        self.app = plugins.import_target(app)
        if not isinstance(self.app, ClientApp):
            raise UserError(f"'{app}' must be a flwr ClientApp, found {type(self.app).__name__}.")
        self.num_clients = num_clients
        self.run_config = dict(run_config)

    def handle(self, call: Call) -> Reply:
        """One message; records and state are copies, so that apps may change them."""
        node = call.client + FIRST_NODE
        context = Context(
            run_id=1,
            node_id=node,
            node_config={"partition-id": call.client, "num-partitions": self.num_clients},
            state=to_record(call.state),
            run_config=dict(self.run_config),
        )
        reply = self.app(Message(to_record(call.content), node, call.phase), context)
        if reply.has_error():
            raise RuntimeError(reply.error.reason)
        split = "test" if call.phase.startswith("evaluate") else "train"
        content, state = to_content(reply.content), to_content(context.state)
        return Reply(call.client, content, split=split, state=state)

    def rehearse(self) -> None:
        """Nothing: what the app's clients do is known only once they are asked."""

    def handle_many(self, calls: list[Call]) -> None:
        """A foreign app is served message by message."""


def run_apps(
    server_app: str,
    client_app: str,
    num_clients: int,
    *,
    engine: EngineConfig | None = None,
    run_config: RunConfig | None = None,
    seed: int = 0,
    folder: Path | None = None,
    observe: Callable[[Exchange], None] | None = None,
    policy: ErrorPolicy | None = None,
) -> Context:
    """Run a Flower app to its end; returns the ServerApp's context.

    Args:
        server_app: ``package.module:name`` of the ServerApp.
        client_app: ``package.module:name`` of the ClientApp.
        num_clients: Simulated nodes.
        engine: ``inline`` by default.
        run_config: The app's ``run_config``.
        seed: Of ``random``, ``numpy.random`` and torch at the server (Flower's strategies sample
            clients from the first two) and at the clients.
        folder: Where the modules lie; searched before installed packages.
        observe: Called with every exchange (see :class:`EngineGrid`).
        policy: What to do about failing clients; by default the run stops and names the client.

    Raises:
        UserError: an app cannot be imported.
        RunError: a client failed and the policy says to stop.
    """
    folder = folder or Path.cwd()
    plugins.add_plugin_folder(folder)
    config = engine or InlineConfig()
    arguments = {"app": client_app, "num_clients": num_clients, "run_config": run_config or {}}
    spec = HandlerSpec(
        "fedzda.platform.flower.app:ClientAppHandler", arguments, (str(folder.resolve()),)
    )
    made: Engine = plugins.load("engines", config.name)(config, spec, seed, num_clients)
    adopt_task_identity()
    server: Any = plugins.import_target(server_app)
    context = Context(
        run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config=dict(run_config or {})
    )
    states: dict[int, Content] = {}
    try:
        made.start()
        grid = EngineGrid(made, num_clients, states, observe or (lambda _: None), policy)
        with seeded_globals(seed, 0):
            server(grid, context)
    finally:
        made.stop()
    return context

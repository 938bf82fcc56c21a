"""The ClientApp of a deployed simulation: a SuperNode is one of its clients."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from flwr.app import Context
from flwr.clientapp import ClientApp

from fedzda.platform import plugins
from fedzda.platform.config import plain
from fedzda.platform.data.dealing import dealt
from fedzda.platform.deployment.read import OVERRIDES, read
from fedzda.platform.engines.base import device_of
from fedzda.platform.engines.calls import HandlerSpec
from fedzda.platform.engines.worker import Worker

_workers: dict[tuple[Path, str], Worker] = {}


def client_app(sim: Path) -> ClientApp:
    """Serves client ``partition-id`` of the node configuration.

    Args:
        sim: The app's ``sim.yaml``. Its data must be on the machine; the client's share of them is
            found as in the simulation.
    """
    make = plugins.import_target(plugins.entry("runtimes", "flower-node").target)
    app: ClientApp = make(partial(_worker, sim))
    return app


def _worker(sim: Path, context: Context) -> Worker:
    """Made once per process, for the simulation as the run's overrides change it."""
    key = sim, str(context.run_config.get(OVERRIDES, ""))
    if key not in _workers:
        loaded = read(sim, context.run_config)
        config = loaded.config
        arguments = {
            "config": plain(config),
            "federation": str(dealt(config, loaded.folder).folder),
            "device": device_of(config.engine.device),
        }
        spec = HandlerSpec(plugins.entry("runtimes", "local").target, arguments)
        _workers[key] = Worker(spec, config.seed, config.engine.client_timeout)
    return _workers[key]

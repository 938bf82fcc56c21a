"""Starting Ray on this machine, or joining a cluster that runs already."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ray

from fedzda.base import UserError
from fedzda.platform.config import RayConfig
from fedzda.platform.engines.base import cores
from fedzda.platform.engines.worker import worker_environment

_KNOCK_SEC = 10.0


def start_local(config: RayConfig) -> None:
    """Start Ray for this run alone, with enough logical CPUs for the workers asked for."""
    os.environ.update(worker_environment())
    ray.init(
        address="local",  # else Ray joins whatever cluster it finds on the machine
        num_cpus=config.workers if isinstance(config.workers, int) else cores(),
        object_store_memory=config.object_store_mb * 2**20,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        configure_logging=True,
        _system_config={"automatic_object_spilling_enabled": True},
    )


def join(address: str, plugin_folders: Iterable[str]) -> None:
    """Join a cluster; the modules in the plug-in folders travel to its nodes.

    Raises:
        UserError: no cluster answers at the address.
    """
    environment = worker_environment()
    del environment["PYTHONPATH"]  # the driver's paths mean nothing on another machine
    os.environ.update(environment)
    runtime_env: dict[str, Any] = {"env_vars": environment}
    modules = [module for folder in plugin_folders for module in travelling(Path(folder))]
    if modules:
        runtime_env["py_modules"] = modules
    try:
        if address != "auto":
            _knock(address)
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env=runtime_env,
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(
            f"engine.address is '{address}', and no Ray cluster can be joined there ({error}). "
            "Start one with 'ray start --head', or leave the key out for a local one."
        ) from error


def _knock(address: str) -> None:
    """Raise OSError or ValueError if nothing listens there; Ray would try for several minutes."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), timeout=_KNOCK_SEC).close()


def travelling(folder: Path) -> list[str]:
    """The modules and packages that lie directly in a folder, without its data and runs."""
    modules = [path for path in folder.glob("*.py") if path.stem.isidentifier()]
    packages = [path.parent for path in folder.glob("*/__init__.py")]
    return sorted(map(str, modules + packages))

"""Write a simulation as a Flower app: a folder for ``flwr run``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import fedzda
from fedzda.base import UserError
from fedzda.platform.config import SimulationConfig, plain
from fedzda.platform.config.load import Loaded
from fedzda.platform.config.yaml_loader import dump
from fedzda.platform.deployment.rules import problems_of
from fedzda.platform.files import write_text
from fedzda.platform.simulation import Simulation

_PROJECT = """\
[project]
name = "{name}"
version = "1.0.0"
description = "Federation of the fedzda simulation {title}"
dependencies = ["fedzda=={version}"]

[tool.flwr.app]
publisher = "fedzda"

[tool.flwr.app.components]
serverapp = "{package}.server_app:app"
clientapp = "{package}.client_app:app"

[tool.flwr.app.config]
# key=value of the simulation, with blanks between them, for example "rounds=20 local.epochs=2"
overrides = ""
# seconds that the server waits until every client has its SuperNode
wait-sec = 600
"""
_MODULE = '''\
"""{role} of {title}."""

from pathlib import Path

from fedzda.platform.deployment.{module} import {function}

app = {function}(Path(__file__).with_name("sim.yaml"))
'''
_MAX_NAME = 32
"""Longest name that Flower takes."""
_PARTS = {"server": "The server", "client": "A client, one per SuperNode,"}


@dataclass(frozen=True)
class Written:
    """An app that was written.

    Attributes:
        folder: Its folder.
        files: What lies in it, relative.
        clients: Number of clients, each of which takes a SuperNode.
    """

    folder: Path
    files: list[str]
    clients: int


def write_app(loaded: Loaded, folder: Path) -> Written:
    """Write an app.

    Args:
        loaded: The simulation.
        folder: A new or empty folder.

    Raises:
        UserError: The simulation cannot be deployed or does not fit together, or the folder is
            not empty.
    """
    problems = problems_of(loaded.config)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        problems.append(f"'{folder}' is not an empty folder and is left as it is. Name a new one.")
    if problems:
        raise UserError(*problems)
    clients = Simulation.build(loaded.config, loaded.folder).federation.num_clients
    made = files(loaded.config)
    for path, text in made.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        write_text(folder / path, text)
    return Written(folder, list(made), clients)


def files(config: SimulationConfig) -> dict[str, str]:
    """Path inside the folder to content."""
    # Flower's app names are letters, digits and dashes, and begin with a letter
    name = re.sub(r"[^A-Za-z0-9]+", "-", f"fedzda-{config.name}").strip("-")[:_MAX_NAME].rstrip("-")
    package = name.replace("-", "_").lower()
    named = {"name": name, "title": config.name, "package": package, "version": fedzda.__version__}
    return {
        "pyproject.toml": _PROJECT.format(**named),
        f"{package}/__init__.py": f'"""The simulation {config.name}, deployed."""\n',
        f"{package}/sim.yaml": dump(_deployed(config)),
        **{
            f"{package}/{part}_app.py": _MODULE.format(
                role=role, module=part, function=f"{part}_app", **named
            )
            for part, role in _PARTS.items()
        },
    }


def _deployed(config: SimulationConfig) -> dict[str, object]:
    """The resolved simulation; of its engine only what concerns a single client."""
    engine = config.engine
    kept = {"device": engine.device, "client_timeout": engine.client_timeout}
    return {**plain(config), "engine": {"name": "flower", **kept}}

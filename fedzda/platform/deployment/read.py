"""The simulation of a deployed app, read the same way by the server and by every client."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedzda.base import UserError
from fedzda.platform.config.load import Loaded, load_config
from fedzda.platform.deployment.rules import problems_of

OVERRIDES = "overrides"
"""Key of the run configuration: ``key=value`` of the simulation, with blanks between them."""
WAIT = "wait-sec"
"""Key of the run configuration: how long the server waits until every client is there."""


def read(sim: Path, run_config: Mapping[str, Any]) -> Loaded:
    """The simulation with the overrides of a run.

    Args:
        sim: The app's ``sim.yaml``.
        run_config: Flower's run configuration.

    Raises:
        UserError: With all that is wrong with it, or that cannot be deployed.
    """
    text = str(run_config.get(OVERRIDES, ""))
    try:
        overrides = shlex.split(text)
    except ValueError as error:
        raise UserError(
            f"{OVERRIDES} should be key=value pairs with blanks between them and every quotation "
            f"mark closed (got '{text}': {error})."
        ) from error
    loaded = load_config(sim, overrides)
    problems = problems_of(loaded.config)
    if problems:
        raise UserError(*problems)
    return loaded

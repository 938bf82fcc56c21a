"""The overrides of ``fedzda run --fast``."""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fedzda.base import StrictConfig
from fedzda.platform.config import SimulationConfig


def fast_overrides(config: SimulationConfig) -> list[str]:
    """Two rounds, two clients, one small batch each, and the ``fast`` values of every component.

    The output is a temporary folder, not made yet. What the user typed comes after these
    overrides, so it still holds.
    """
    few = min(2, config.data.clients or 2)
    changes: dict[str, Any] = {
        "rounds": 2,
        "local.steps": 1,
        "local.batch_size": min(16, config.local.batch_size),
        "strategy.clients_per_round": few,
        "evaluate.every": 1,
        "evaluate.clients": few,
        "evaluate.batch_size": min(64, config.evaluate.batch_size),
        "checkpoint.every": 1,
        "output": str(Path(tempfile.gettempdir()) / f"fedzda-fast-{secrets.token_hex(4)}"),
    }
    changes.update(_declared(config, ""))
    return [f"{key}={json.dumps(value)}" for key, value in changes.items()]


def _declared(block: StrictConfig, prefix: str) -> Iterator[tuple[str, Any]]:
    """The ``fast`` values that the classes of all blocks declare, by dotted key."""
    for key, value in type(block).fast.items():
        yield f"{prefix}{key}", value
    for key in type(block).model_fields:
        inner = getattr(block, key)
        if isinstance(inner, StrictConfig):
            yield from _declared(inner, f"{prefix}{key}.")

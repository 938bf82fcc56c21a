"""Tiny simulations that were run, and what they leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from fedzda.platform import checkpoint
from fedzda.platform.runs import Run
from fedzda.platform.simulation import Simulation

from . import tiny


def run(output: Path, method: str = "fed-avg", **changes: Any) -> Run:
    """A finished run of :func:`tiny.config`."""
    return Simulation.build(tiny.config(output, method, **changes)).run()


def kept(found: Run) -> checkpoint.Checkpoint:
    """Its newest checkpoint."""
    newest = checkpoint.load_latest(found.path / "checkpoints")
    assert newest is not None
    return newest


def weights(found: Run) -> dict[str, np.ndarray]:
    """Its global model."""
    return kept(found).arrays


def rounds(found: Run) -> list[dict[str, Any]]:
    """The lines of ``rounds.jsonl``."""
    return [json.loads(line) for line in (found.path / "rounds.jsonl").read_text().splitlines()]


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    """Whether two models are equal to the last bit, types included."""
    return first.keys() == second.keys() and all(
        np.array_equal(value, second[name]) and value.dtype == second[name].dtype
        for name, value in first.items()
    )

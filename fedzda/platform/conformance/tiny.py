"""A simulation small enough to be run many times in seconds, around the component under test."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedzda.platform.config import SimulationConfig
from fedzda.platform.config_load import from_dict
from fedzda.platform.conformance.subject import Subject

DIGITS: dict[str, Any] = {
    "data": {
        "name": "digits",
        "clients": 4,
        "max_samples": 120,
        "partition": {"name": "pathological", "classes_per_client": 4},
        "test_fraction": 0.25,
    },
    "model": {"name": "lenet-bn", "width": 4},
    "local": {"batch_size": 16},
    "strategy": {"name": "fed-avg"},
}
"""Digits, four clients, and a small model with BatchNorm."""
_CLIENTS = {"clients", "partition", "max_samples", "test_fraction"}


def tiny(
    subject: Subject, output: Path, base: Mapping[str, Any] | None = None, **changes: Any
) -> SimulationConfig:
    """Two rounds with the component in its place.

    Args:
        subject: The component.
        output: Folder of the run folders.
        base: A simulation that it fits into; left out: digits.
        **changes: Whole blocks to put in the place of others.

    Raises:
        UserError: The component does not fit into the simulation.
    """
    raw: dict[str, Any] = copy.deepcopy(dict(base or DIGITS))
    data = raw.setdefault("data", {})
    if subject.kind in ("partitioner", "shift"):
        data[{"partitioner": "partition"}.get(subject.kind, "shift")] = subject.block
    elif subject.kind == "dataset":
        kept = {key: value for key, value in data.items() if key in _CLIENTS - {"partition"}}
        raw["data"] = {"partition": {"name": "iid"}, **kept, **subject.block}
    else:
        raw[subject.kind] = {**subject.block}
    if subject.kind == "strategy":
        raw["strategy"].setdefault("clients_per_round", 3)
    raw |= {
        "name": "check",
        "rounds": 2,
        "engine": {"name": "inline"},
        "output": str(output),
        "report": False,
        "trackers": [],
    }
    return from_dict({**raw, **changes}, source="the simulation of the check")

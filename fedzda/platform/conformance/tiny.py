"""A simulation small enough to be run many times in seconds, around the component under test."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedzda.base import UserError
from fedzda.platform.config import SimulationConfig
from fedzda.platform.config.load import from_dict
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
_USES_IMAGES = {"name": "fed-zdac", "start_round": 1, "gate_agreement": 0.0}
"""The strategy that a synthesizer is used by, in every round and however poor its images are."""
_NUMBERS = {"compute": 1e9, "memory": 1e9, "uplink": 1e7, "downlink": 1e7}
"""Of the devices that a variant is run on."""
_CLIENTS = {"clients", "partition", "max_samples", "test_fraction"}


def tiny(
    subject: Subject, output: Path, base: Mapping[str, Any] | None = None, **changes: Any
) -> SimulationConfig:
    """Two rounds with the component in its place.

    Half of the clients have a variant under test and the others the full model, or all of them have
    it where it goes with no other.

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
    elif subject.kind == "synthesizer":
        raw["strategy"] = {**_USES_IMAGES, "synthesizer": subject.block}
    elif subject.kind == "variant":
        raw["devices"] = _devices(subject.block, {"name": "full"})
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
    source = "the simulation of the check"
    try:
        return from_dict({**raw, **changes}, source=source)
    except UserError:
        if subject.kind != "variant":
            raise
        alone = {"devices": _devices(subject.block, subject.block)}
        return from_dict({**raw, **alone, **changes}, source=source)


def _devices(form: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Half of the clients have a form of the model, the other half another."""
    entries = [
        {"profile": {"name": name, **_NUMBERS}, "share": 0.5, "variant": variant}
        for name, variant in (("first", form), ("second", others))
    ]
    return {"name": "profiles", "profiles": entries}

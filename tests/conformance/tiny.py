"""A simulation small enough to run dozens of times: digits, six clients, LeNet with BatchNorm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fedzda.platform.config import SimulationConfig
from fedzda.platform.config.load import from_dict

ZS_CGAN = {"name": "zs-cgan", "steps": 4, "batch_size": 20, "channels": 8}
TWO_SPEEDS = [
    {
        "profile": {
            "name": name,
            "compute": compute,
            "memory": 1e9,
            "uplink": 1e6,
            "downlink": 4e6,
        },
        "share": 0.5,
    }
    for name, compute in (("slow", 2e7), ("fast", 2e8))
]
"""Devices that take about 1.8 and 0.9 seconds for a round."""
EXTRA: dict[str, dict[str, Any]] = {
    "fed-buff": {"clients_per_round": 3, "concurrency": 4},
    "fed-gen": {"generator_steps": 4},
    "ensemble-distillation": {
        "start_round": 2,
        "warmup_steps": 2,
        "turns": 2,
        "batch_size": 16,
        "channels": 8,
    },
    "fed-cog": {
        "start_round": 2,
        "synthesizer": {"name": "image-distillation", "preset": "fedcog", "steps": 3},
    },
    "fed-zdac": {"start_round": 2, "gate_agreement": 0.0, "synthesizer": ZS_CGAN},
    "fed-zdas": {"server_start_round": 2, "server_keep": "all", "synthesizer": ZS_CGAN},
    "fed-zda": {
        "start_round": 2,
        "gate_agreement": 0.0,
        "server_start_round": 2,
        "server_keep": "all",
        "synthesizer": ZS_CGAN,
    },
}


def config(output: Path, method: str = "fed-avg", **changes: Any) -> SimulationConfig:
    """Three rounds of ``method``; ``changes`` replace whole blocks."""
    raw: dict[str, Any] = {
        "name": "tiny",
        "rounds": 3,
        "data": {
            "name": "digits",
            "clients": 6,
            "max_samples": 240,
            "partition": {"name": "pathological", "classes_per_client": 4},
            "test_fraction": 0.25,
        },
        "model": {"name": "lenet-bn"},
        "local": {"batch_size": 16},
        "strategy": {"name": method, "clients_per_round": 4, **EXTRA.get(method, {})},
        "engine": {"name": "inline"},
        "output": str(output),
        "report": False,
    }
    if method == "fed-buff":
        raw["devices"] = TWO_SPEEDS
    raw.update(changes)
    return from_dict(raw)

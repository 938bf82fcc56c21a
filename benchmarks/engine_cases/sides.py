"""Who is measured: the rows of the tables and the commands that run them."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine_cases.pfl_env import pfl_python

WORKERS = 2
GPU_ACTORS = 8


@dataclass(frozen=True)
class Side:
    """One row: a module of this folder and what it is told.

    Attributes:
        module: By kind of workload; a kind that is missing is not run.
        python: ``own``, or ``pfl``: the environment of pfl-research.
        processes: Started by torchrun if more than one.
    """

    name: str
    about: str
    module: dict[str, str]
    options: dict[str, Any] = field(default_factory=dict)
    python: str = "own"
    processes: int = 1


_OURS = {"train": "side_fedzda", "echo": "echo"}
_FLOWER = {"train": "side_flower", "echo": "side_flower"}
_RAY = {"name": "ray", "workers": WORKERS}
_SIDES = [
    Side(
        "fedzda-ray",
        f"fedzda, Ray, {WORKERS} workers",
        _OURS,
        {"engine": _RAY, "strategy": "fed-avg"},
    ),
    Side(
        "fedzda-inline",
        "fedzda, one process",
        _OURS,
        {"engine": {"name": "inline"}, "strategy": "fed-avg"},
    ),
    Side(
        "fedzda-ray-app",
        f"the same Flower app, unchanged, on fedzda's Ray engine, {WORKERS} workers",
        _FLOWER,
        {"engine": _RAY},
    ),
    Side(
        "flower",
        f"Flower's stock engine, {WORKERS} actors",
        _FLOWER,
        {"workers": WORKERS},
    ),
    Side("pfl", "pfl-research, one process", {"train": "side_pfl"}, python="pfl"),
    Side(
        "pfl-2",
        f"pfl-research, torchrun, {WORKERS} processes",
        {"train": "side_pfl"},
        python="pfl",
        processes=WORKERS,
    ),
    Side("plain", "plain PyTorch loop, one thread", {"train": "side_plain"}),
]
SIDES = {side.name: side for side in _SIDES}


def _gpu_side(name: str, about: str, **engine: Any) -> Side:
    block = {"name": "ray", "device": "cuda", **engine}
    return Side(name, about, _OURS, {"engine": block, "strategy": "fed-avg"})


_GPU_SIDES = [
    _gpu_side("vectorised", "fedzda, vectorised, one worker", workers=1, vectorise=True),
    _gpu_side("one-by-one", "fedzda, one worker, one by one", workers=1, vectorise=False),
    _gpu_side("side-by-side", "fedzda, as many workers as fit, one by one", vectorise=False),
    Side(
        "flower-gpu",
        f"Flower's stock engine, {GPU_ACTORS} actors on the GPU",
        _FLOWER,
        {"workers": GPU_ACTORS, "gpus": 1 / GPU_ACTORS},
    ),
]
GPU_SIDES = {side.name: side for side in _GPU_SIDES}
"""One GPU; the first is what ratios are taken of."""
REFERENCE = "fedzda-ray"
"""The row that ratios are taken of."""


def command(side: Side, kind: str, job: Path) -> list[str | Path]:
    """The command line of a side. Raises RuntimeError if its environment cannot be made."""
    python: Path | None = Path(sys.executable)
    if side.python == "pfl":
        python, reason = pfl_python()
        if python is None:
            raise RuntimeError(f"not installed: {reason}")
    assert python is not None
    head: list[str | Path] = [python, "-m"]
    if side.processes > 1:
        count = ["--nproc-per-node", str(side.processes)]
        head += ["torch.distributed.run", "--standalone", *count, "-m"]
    return [*head, f"engine_cases.{side.module[kind]}", job]

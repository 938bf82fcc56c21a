"""Run every side of a workload in turn, and gather what they answer."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine_cases.data import made
from engine_cases.job import Job
from engine_cases.models import EchoModel
from engine_cases.process import run
from engine_cases.sides import Side, command
from engine_cases.tensors import accuracy
from engine_cases.workloads import Workload

_TIMEOUT_SEC = 1800.0
_WATCH_SEC = 0.5


UNTIMED = 2
"""Rounds beside the timed ones: the first is start-up, the last ends with fedzda's checkpoint."""


@dataclass
class Sample:
    """One run of one side.

    Attributes:
        first_round_sec: From launch to the end of the first round.
        round_sec: Seconds of every timed round.
        quality: Test accuracy; for echo the largest difference to the model that was sent.
    """

    first_round_sec: float = 0.0
    round_sec: list[float] = field(default_factory=list)
    samples: int = 0
    steps: int = 0
    parts: dict[str, float] = field(default_factory=dict)
    quality: float = 0.0
    peak_bytes: int = 0
    problem: str = ""


Samples = dict[str, list[Sample]]
"""Runs by side."""


def interleave(
    workloads: Sequence[Workload], sides: Sequence[Side], repeats: int, rounds: int
) -> dict[str, Samples]:
    """Runs by workload and side, taken in turn (A B C A B C …), so that drift hits all alike."""
    found: dict[str, Samples] = {workload.name: {} for workload in workloads}
    for repeat in range(repeats):
        for workload in workloads:
            for side in sides:
                rows = found[workload.name].setdefault(side.name, [])
                if rows and rows[0].problem:
                    continue
                sample = once(workload, side, rounds, seed=repeat)
                rows.append(sample)
                _tell(workload, side, repeat, sample)
    return found


def once(workload: Workload, side: Side, rounds: int, seed: int, watch: bool = False) -> Sample:
    """One side in a process of its own, with ``rounds`` timed rounds.

    ``watch`` looks at its memory, which costs time.
    """
    data = "" if workload.kind == "echo" else str(made(workload))
    out = Path(tempfile.mkdtemp(prefix="fedzda-bench-"))
    try:
        job = Job(workload, rounds + UNTIMED, seed, data, str(out), side.options)
        line = command(side, workload.kind, job.write())
        ended = run(line, out / "log.txt", _TIMEOUT_SEC, _WATCH_SEC if watch else None)
        if ended.problem:
            return Sample(problem=ended.problem)
        outcome = json.loads((out / "outcome.json").read_text())
        stamps = outcome["stamps"]
        return Sample(
            first_round_sec=stamps[0] - ended.launched,
            round_sec=np.diff(stamps)[:-1].tolist(),
            samples=outcome["samples"],
            steps=outcome["steps"],
            parts=outcome["parts"],
            quality=_quality(workload, data, out / "model.npz"),
            peak_bytes=ended.peak_bytes,
        )
    except RuntimeError as error:
        return Sample(problem=str(error))
    finally:
        shutil.rmtree(out)


def _quality(workload: Workload, data: str, weights: Path) -> float:
    if workload.kind == "train":
        torch.set_num_threads(1)
        return accuracy(workload.model, data, weights)
    sent = EchoModel(workload.echo_floats).state_dict()
    with np.load(weights) as file:
        return max(float(np.abs(file[k] - v.numpy()).max()) for k, v in sent.items())


def _tell(workload: Workload, side: Side, repeat: int, sample: Sample) -> None:
    told: Any = sample.problem or f"{np.median(sample.round_sec):.3f} s/round"
    print(f"  {workload.name} repeat {repeat + 1} {side.name}: {told}", flush=True)

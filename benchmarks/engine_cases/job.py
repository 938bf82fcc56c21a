"""What the benchmark tells a side and what the side answers, as files."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine_cases.workloads import Workload


@dataclass(frozen=True)
class Job:
    """One run of one side.

    Attributes:
        data: Folder made by :mod:`engine_cases.data` (empty for echo).
        out: Folder for the outcome.
        options: What tells rows of one side apart, such as the engine.
    """

    workload: Workload
    rounds: int
    seed: int
    data: str
    out: str
    options: dict[str, Any]

    def write(self) -> Path:
        """Write the job into its folder."""
        path = Path(self.out, "job.json")
        path.write_text(json.dumps(asdict(self)))
        return path

    @classmethod
    def from_command_line(cls) -> Job:
        """The job whose file is the last argument."""
        raw = json.loads(Path(sys.argv[-1]).read_text())
        block = raw.pop("workload")
        block["image"] = tuple(block["image"])
        return cls(workload=Workload(**block), **raw)


@dataclass
class Outcome:
    """What a side measured.

    Attributes:
        stamps: ``time.monotonic()`` at the end of every round; one clock for all processes.
        samples: Training samples seen in the last round by all clients.
        steps: Gradient steps of the last round by all clients.
        parts: Seconds per part of a round, where the side tells.
    """

    stamps: list[float] = field(default_factory=list)
    samples: int = 0
    steps: int = 0
    parts: dict[str, float] = field(default_factory=dict)

    def stamp(self) -> None:
        """A round is over."""
        self.stamps.append(time.monotonic())

    def write(self, job: Job, arrays: Mapping[str, Any]) -> None:
        """Write the outcome and the final model."""
        values = {name: np.asarray(value) for name, value in arrays.items()}
        np.savez(Path(job.out, "model.npz"), **values)  # type: ignore[arg-type]
        Path(job.out, "outcome.json").write_text(json.dumps(asdict(self)))

"""Running cells: each in a process of its own, several at once, none of them twice."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from fedzda.base import RunError
from fedzda.platform.config import plain
from fedzda.platform.config.yaml_loader import dump
from fedzda.platform.engines.base import SHARE, cores
from fedzda.platform.files import make_folder, write_json, write_text
from fedzda.platform.runs import load
from fedzda.platform.sweep.cells import Cell, result_path
from fedzda.platform.sweep.load import Sweep
from fedzda.platform.sweep.results import Result, collect

_POLL_SEC = 0.2


@dataclass
class Failure:
    """A cell that did not finish.

    Attributes:
        reason: The last line that it wrote.
        log: Everything that it wrote.
    """

    cell: Cell
    reason: str
    log: Path


@dataclass
class _Job:
    cell: Cell
    process: subprocess.Popen[str]
    log: Path
    streams: list[IO[str]] = field(default_factory=list)


def work_folder(sweep: Sweep) -> Path:
    """Where the sweep's resolved configurations and logs lie."""
    root = Path(os.path.expandvars(sweep.config.output)).expanduser()
    return root / "sweeps" / sweep.config.name


def runnable(cells: Sequence[Cell]) -> list[Cell]:
    """The cells that this machine can run: without a GPU, those that need none."""
    if not any(cell.gpu for cell in cells):
        return list(cells)
    import torch

    return [cell for cell in cells if torch.cuda.is_available() or not cell.gpu]


def write_configs(sweep: Sweep, cells: Sequence[Cell]) -> list[Path]:
    """Resolved configurations, all before the first run: later edits leak into no cell."""
    written = []
    for cell in cells:
        path = work_folder(sweep) / f"{cell.name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, dump(plain(cell.config())))
        written.append(path)
    return written


def run_cells(
    sweep: Sweep,
    cells: Sequence[Cell],
    jobs: int = 1,
    done: Callable[[Cell, Result | Failure], None] = lambda cell, found: None,
) -> list[Failure]:
    """Run cells, ``jobs`` at once, and write their results.

    A cell that fails stops no other one. If the caller is interrupted, so are the cells; those that
    were running start anew next time.

    Args:
        sweep: The sweep.
        cells: What to run, in this order.
        jobs: How many at once; the cores of the machine are shared among them.
        done: Told about every cell that ended.

    Returns:
        The cells that failed.

    Raises:
        UserError: There can be no folder for the results.
    """
    for cell in cells:  # before anything is run that could then not be kept
        make_folder(result_path(sweep, cell).parent, "results")
    share = max(1, cores() // max(1, min(jobs, len(cells))))
    waiting = list(zip(cells, write_configs(sweep, cells), strict=True))
    running: list[_Job] = []
    failures: list[Failure] = []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(_start(sweep, *waiting.pop(0), share))
            ended = [job for job in running if job.process.poll() is not None]
            for job in ended:
                running.remove(job)
                found = _end(sweep, job)
                if isinstance(found, Failure):
                    failures.append(found)
                done(job.cell, found)
            if not ended:
                time.sleep(_POLL_SEC)
    finally:
        for job in running:
            job.process.terminate()
            job.process.wait()
            _close(job)
    return failures


def _start(sweep: Sweep, cell: Cell, config: Path, share: int) -> _Job:
    """Start a cell that has so many cores to itself."""
    out = config.with_suffix(".out").open("w", encoding="utf-8")
    log = config.with_suffix(".log")
    err = log.open("w", encoding="utf-8")
    command = [sys.executable, "-m", "fedzda.platform.sweep.child", str(config), str(sweep.folder)]
    environment = {**os.environ, SHARE: str(share)}
    process = subprocess.Popen(command, stdout=out, stderr=err, text=True, env=environment)
    return _Job(cell, process, log, [out, err])


def _end(sweep: Sweep, job: _Job) -> Result | Failure:
    _close(job)
    if job.process.returncode != 0:
        lines = job.log.read_text(encoding="utf-8", errors="replace").split("\n")
        said = [line for line in lines if line.strip()]
        reason = said[-1] if said else f"the process ended with code {job.process.returncode}"
        return Failure(job.cell, reason, job.log)
    told = json.loads(job.log.with_suffix(".out").read_text(encoding="utf-8").splitlines()[-1])
    run = load(told["run"])
    try:
        data = collect(run, job.cell, sweep.config.last, told["cpu_seconds"])
    except RunError as error:
        return Failure(job.cell, str(error), job.log)
    write_json(result_path(sweep, job.cell), data)
    if not sweep.config.keep_runs:
        shutil.rmtree(run.path, ignore_errors=True)
    return Result(job.cell, data)


def _close(job: _Job) -> None:
    for stream in job.streams:
        stream.close()

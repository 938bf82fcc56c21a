"""Running a life: one folder, a folder in it for every stage, and going on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fedzda.base import UserError
from fedzda.platform.config import plain
from fedzda.platform.config.yaml_loader import dump
from fedzda.platform.files import read_json, write_json, write_text
from fedzda.platform.heartbeat import beating
from fedzda.platform.lifecycle.load import Life, load_life
from fedzda.platform.lifecycle.references import check_left
from fedzda.platform.lifecycle.stages import Stage, clear
from fedzda.platform.lock import sole_player
from fedzda.platform.runs import Run, new_folder, provenance

FILE = "life.yaml"
"""What makes a folder that of a life: its resolved file."""
LEDGER = "stages.json"
"""Stage to its ``state``, its ``seconds`` over all attempts, and ``what`` it is."""

Tell = Callable[[int, Stage], Sequence[Any]]
"""Told about a stage that begins and its number (from 1); returns callbacks for its simulation."""


def is_life(path: str | Path) -> bool:
    """Whether a folder is that of a life."""
    return (Path(path) / FILE).is_file()


def new_life(life: Life) -> Path:
    """A new folder that says what is to be done; nothing is run yet."""
    content = {key: value for key, value in plain(life.config).items() if key != "output"}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
    path = new_folder(life.config.output, life.config.name, life.config.seed, digest).resolve()
    write_json(path / "meta.json", provenance(life.folder))
    write_text(path / FILE, dump(plain(life.config)))
    return path


def reopen(path: str | Path) -> Life:
    """The life of a folder.

    Raises:
        UserError: It is that of no life, or all of its stages are done.
    """
    folder = Path(path).resolve()
    if not is_life(folder):
        raise UserError(f"'{path}' is not the folder of a life: it has no {FILE}.")
    life = load_life(folder / FILE, folder=Run(folder).source)
    states = [entry["state"] for entry in _ledger(folder).values()]
    if states.count("finished") == len(life.stages):
        raise UserError(f"all {len(life.stages)} stages of '{path}' are done.")
    return life


def play(life: Life, path: Path, tell: Tell) -> None:
    """Do all stages that are not done yet, then write the page of the life.

    Every stage runs on one thread of torch, whatever ran before it in this process: so a life that
    was interrupted ends with the same bits.

    Args:
        life: What is to be done.
        path: Its folder, see :func:`new_life`.
        tell: Told about every stage that begins.

    Raises:
        UserError: A stage finds its input wrong, or another process is at the life.
        RunError: A stage fails.
    """
    import torch

    from fedzda.platform.report.life.build import build_life

    path = path.resolve()
    torch.set_num_threads(1)
    with sole_player(path):
        _status(path, life, "running", "")
        with beating(path / "status.json"), _ending(path, life):
            for number, stage in enumerate(life.stages, 1):
                if _ledger(path).get(stage.name, {}).get("state") == "finished":
                    continue
                _status(path, life, "running", stage.name)
                check_left(stage.taken, stage.name, path)
                clear(stage, path)
                with _booked(path, stage):
                    stage.play(path, tell(number, stage))
                build_life(path)
        build_life(path)


@contextmanager
def _ending(path: Path, life: Life) -> Iterator[None]:
    """Say in status.json how the life ended."""
    state = "failed"
    try:
        yield
        state = "finished"
    except KeyboardInterrupt:
        state = "interrupted"
        raise
    finally:
        _status(path, life, state, "")


@contextmanager
def _booked(path: Path, stage: Stage) -> Iterator[None]:
    """Enter a stage in the ledger: what it is, how it ended, and how long it took."""
    before = _ledger(path).get(stage.name, {}).get("seconds", 0.0)
    entry = {"state": "running", "seconds": before, "what": stage.check(path)}
    _enter(path, stage.name, entry)
    started = time.perf_counter()
    try:
        yield
        entry["state"] = "finished"
    except BaseException:
        entry["state"] = "failed"
        raise
    finally:
        entry["seconds"] = before + time.perf_counter() - started
        _enter(path, stage.name, entry)


def _ledger(path: Path) -> dict[str, dict[str, Any]]:
    file = path / LEDGER
    found: dict[str, dict[str, Any]] = read_json(file) if file.exists() else {}
    return found


def _enter(path: Path, stage: str, entry: dict[str, Any]) -> None:
    write_json(path / LEDGER, {**_ledger(path), stage: entry})


def _status(path: Path, life: Life, state: str, stage: str) -> None:
    """Replace status.json, whose time of change is the sign of life."""
    done = sum(entry["state"] == "finished" for entry in _ledger(path).values())
    stages = [own.name for own in life.stages]
    value = {"state": state, "stage": stage, "done": done, "stages": stages}
    write_json(path / "status.json", {**value, "time": time.time(), "pid": os.getpid()})

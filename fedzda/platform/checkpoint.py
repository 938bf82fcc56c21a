"""Checkpoints: ``checkpoints/round-000017/`` with the model, the strategy and the clients' states.

A checkpoint is written to a temporary folder and renamed when complete. Tensors are safetensors,
the rest is JSON; nothing is pickled.
"""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file
from safetensors.numpy import save as safetensors_bytes

from fedzda.platform import state_codec
from fedzda.platform.files import read_json, sync, write_json, write_text
from fedzda.platform.records import Content

_LATEST = "latest"


@dataclass
class Checkpoint:
    """Everything that decides how a run goes on after ``round``.

    Attributes:
        arrays: The global model.
        strategy: The strategy's state, see :mod:`fedzda.platform.state_codec`.
        clients: What clients keep between rounds.
        totals: Sums for the summary (seconds, bytes, failures).
        stop: What the rules of ``stop:`` remember.
        clock: Virtual time and the clients at work, where a clock runs.
    """

    round: int
    arrays: dict[str, np.ndarray]
    strategy: dict[str, Any]
    clients: dict[int, Content]
    totals: dict[str, Any]
    stop: dict[str, Any] = field(default_factory=dict)
    clock: dict[str, Any] = field(default_factory=dict)


def save(folder: Path, checkpoint: Checkpoint, keep: int) -> Path:
    """Write a checkpoint into ``folder`` and drop all but the newest ``keep``."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"round-{checkpoint.round:06d}"
    temporary = folder / f".{target.name}.{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir()
        _write(temporary, checkpoint)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    write_text(folder / _LATEST, target.name + "\n")
    rounds = _rounds(folder)
    # A later one is damaged, or lacks the figures of its rounds: the run went on from before it.
    kept = [round_ for round_ in sorted(rounds) if round_ <= checkpoint.round][-keep:]
    for round_ in rounds.keys() - kept:
        shutil.rmtree(rounds[round_], ignore_errors=True)
    return target


def _write(folder: Path, checkpoint: Checkpoint) -> None:
    tensors: dict[str, np.ndarray] = {}
    clients = {str(k): vars(v) for k, v in sorted(checkpoint.clients.items())}
    tree = {
        "round": checkpoint.round,
        # safetensors sorts its names, and some strategies go by position
        "names": list(checkpoint.arrays),
        "strategy": state_codec.encode(checkpoint.strategy, tensors, "strategy"),
        "clients": state_codec.encode(clients, tensors, "clients"),
        "totals": checkpoint.totals,
        "stop": checkpoint.stop,
        "clock": checkpoint.clock,
    }
    _save_tensors(checkpoint.arrays, folder / "arrays.safetensors")
    _save_tensors(tensors, folder / "state.safetensors")
    write_json(folder / "state.json", tree)
    for path in folder.iterdir():
        sync(path)


def _save_tensors(tensors: dict[str, np.ndarray], path: Path) -> None:
    named = {
        k: np.ascontiguousarray(np.asarray(v)).reshape(np.shape(v)) for k, v in tensors.items()
    }
    # not with safetensors' own file writer, which hides the error number of a full disk
    path.write_bytes(safetensors_bytes(named))


def load_latest(folder: Path, last: int | None = None) -> Checkpoint | None:
    """The newest checkpoint that can be read, of round ``last`` at most; None if there is none."""
    for round_, path in sorted(_rounds(folder).items(), reverse=True):
        if last is not None and round_ > last:
            continue
        try:
            return load(path)
        except Exception as error:  # damaged: the one before it still counts
            logging.getLogger(__name__).warning("checkpoint %s cannot be read: %s", path, error)
    return None


def load(path: Path) -> Checkpoint:
    """Read one checkpoint folder."""
    tree = read_json(path / "state.json")
    tensors = load_file(path / "state.safetensors")
    clients = state_codec.decode(tree["clients"], tensors)
    arrays = load_file(path / "arrays.safetensors")
    return Checkpoint(
        round=tree["round"],
        arrays={name: arrays[name] for name in tree["names"]},
        strategy=state_codec.decode(tree["strategy"], tensors),
        clients={int(client): Content(**parts) for client, parts in clients.items()},
        totals=tree["totals"],
        stop=tree.get("stop", {}),  # checkpoints of older versions have none
        clock=tree.get("clock", {}),
    )


def forget_after(folder: Path, last: int) -> None:
    """Delete checkpoints of later rounds than ``last``, which are damaged, or whose rounds will be
    played again."""
    rounds = _rounds(folder)
    later = [round_ for round_ in rounds if round_ > last]
    for round_ in later:
        shutil.rmtree(rounds[round_], ignore_errors=True)
    if later and last in rounds:
        write_text(folder / _LATEST, rounds[last].name + "\n")


def newest_round(folder: Path) -> int:
    """Round of the newest checkpoint, 0 if there is none."""
    return max(_rounds(folder), default=0)


def _rounds(folder: Path) -> dict[int, Path]:
    """The checkpoints by round; copies that somebody made under other names are none."""
    found = {path.name.partition("-")[2]: path for path in folder.glob("round-*")}
    return {int(number): path for number, path in found.items() if number.isdecimal()}

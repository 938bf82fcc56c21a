"""Where a run starts: fresh weights, or those of a finished run or a file (``start_from``)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fedzda.base import UserError
from fedzda.platform import checkpoint as checkpoints
from fedzda.platform.config import SimulationConfig
from fedzda.platform.data.federation import Federation

if TYPE_CHECKING:
    from torch import nn

Arrays = dict[str, np.ndarray]


def starting_arrays(config: SimulationConfig, folder: Path, model: nn.Module) -> Arrays:
    """The weights of the first round.

    Where classes arrive in phases, an array of the last layer may have rows of the base classes
    alone; rows of classes to come are then those of ``model``.

    Args:
        config: The run's configuration.
        folder: Where relative paths start.
        model: The run's model with its fresh weights.

    Raises:
        UserError: ``start_from`` names nothing readable, or weights of another model.
    """
    fresh: Arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    if config.start_from is None:
        return fresh
    path = _path(config.start_from, folder)
    found = _read(path)
    if found.keys() != fresh.keys():
        odd = sorted(found.keys() ^ fresh.keys())[0]
        raise UserError(
            f"'start_from' is '{path}', which is of another model: '{odd}' is in one of the two "
            f"only. Name a run or weights of model '{_name(config.model)}'."
        )
    known = getattr(config.scenario, "base_classes", None)
    return {name: _placed(name, found[name], own, known, path) for name, own in fresh.items()}


def check_readable(config: SimulationConfig, folder: Path) -> None:
    """Raise UserError unless what ``start_from`` names can be read, whatever its model is."""
    if config.start_from is not None:
        _read(_path(config.start_from, folder))


def check_start(
    config: SimulationConfig, folder: Path, federation: Federation, model: nn.Module
) -> None:
    """Raise UserError unless the run can start where ``start_from`` says.

    Besides what :func:`starting_arrays` finds, the classes of the run that is named must be the
    first classes of this one, in the same order.
    """
    if config.start_from is None:
        return
    starting_arrays(config, folder, model)
    file = _path(config.start_from, folder) / "artifacts" / "classes.json"
    if not file.is_file():
        return
    theirs, ours = json.loads(file.read_text(encoding="utf-8")), federation.class_names
    if theirs != ours[: len(theirs)]:
        raise UserError(
            f"'start_from' is '{config.start_from}', which has learned the classes "
            f"{', '.join(theirs)}, and this run's begin with {', '.join(ours[: len(theirs)])}. "
            "Give both the same order: data.classes, scenario.order_seed."
        )


def _path(text: str, folder: Path) -> Path:
    return folder / Path(os.path.expandvars(text)).expanduser()


def _read(path: Path) -> Arrays:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if path.is_dir():
        latest = checkpoints.load_latest(path / "checkpoints")
        if latest is None:
            raise UserError(f"'start_from' is '{path}', which has no readable checkpoint.")
        return latest.arrays
    if not path.exists():
        raise UserError(
            f"'start_from' is '{path}', and nothing is there. Name a run folder or a safetensors "
            "file."
        )
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"'start_from' is '{path}', which cannot be read as safetensors ({error})."
        ) from error


def _placed(
    name: str, found: np.ndarray, own: np.ndarray, known: int | None, path: Path
) -> np.ndarray:
    """``found`` in the shape of ``own``."""
    if found.shape == own.shape:
        return found.astype(own.dtype)
    if found.ndim and found.shape[0] == known and found.shape[1:] == own.shape[1:]:
        return np.concatenate([found.astype(own.dtype), own[known:]])
    hint = " A model of the base classes alone would do." if known else ""
    raise UserError(
        f"'start_from' is '{path}', whose '{name}' has shape {found.shape}, and this run's model "
        f"has {own.shape}.{hint} Name weights of the same model for the same classes."
    )


def _name(block: Any) -> str:
    return str(getattr(block, "name", getattr(block, "target", "")))

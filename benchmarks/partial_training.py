"""A training that goes on where it was stopped: its tensors, its recipe and how far it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from fedzda.generators.files import read_tensors, write_tensors

Tensors = dict[str, torch.Tensor]


def save(path: Path, tensors: Tensors, recipe: dict[str, Any], progress: dict[str, Any]) -> None:
    """Replace the checkpoint."""
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"recipe": json.dumps(recipe), "progress": json.dumps(progress)}
    write_tensors({name: value.cpu() for name, value in tensors.items()}, path, metadata)


def load(path: Path, recipe: dict[str, Any]) -> tuple[Tensors, dict[str, Any]] | None:
    """Tensors and progress of the checkpoint; None: there is none yet.

    Raises:
        SystemExit: It is of another recipe.
    """
    if not path.exists():
        return None
    tensors, metadata = read_tensors(path)
    if json.loads(metadata["recipe"]) != recipe:
        raise SystemExit(f"{path} is of another recipe: remove it to start anew")
    return tensors, json.loads(metadata["progress"])

"""The heavy work of distillation across architectures, as a job for the engine's workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from fedzda.base import torch_rng
from fedzda.generators.ensemble_game import EnsembleGame
from fedzda.platform.averaging import as_tensor
from fedzda.platform.devices.architectures import architecture_of, global_arrays
from fedzda.strategies.config.ensemble import EnsembleDistillationConfig

Named = tuple[str | None, dict[str, Any]]
"""An architecture's title, and its arrays under its own names."""


@dataclass
class Lesson:
    """What the students learn in a round.

    Attributes:
        members: The ensemble.
        counts_KC: Samples of each class behind each member.
        students: The averages that learn.
        config: Everything else.
        key: Seed and round.
        state: The generator so far; None: a new one.
    """

    members: list[Named]
    counts_KC: np.ndarray
    students: list[Named]
    config: EnsembleDistillationConfig
    key: tuple[int, int]
    state: dict[str, Any] | None


@dataclass
class Learned:
    """What a lesson gives: the generator, arrays of the global model, and figures."""

    generator: dict[str, torch.Tensor]
    arrays: dict[str, torch.Tensor]
    figures: dict[str, float]


def distil(handler: Any, job: Lesson) -> Learned:
    """Play the game; ``handler`` is the worker's runtime (``image`` and ``build_model``)."""
    whole = handler.build_model()
    members = [_network(whole, named) for named in job.members]
    students = [_network(whole, named) for named in job.students]
    state = None
    if job.state is not None:
        state = {name: as_tensor(np.asarray(value)) for name, value in job.state.items()}
    rng = torch_rng(job.key[0], "ensemble-distillation", job.key[1])
    torch.manual_seed(rng.initial_seed())  # dropout draws from the global stream
    counts_KC = torch.as_tensor(job.counts_KC)
    game = EnsembleGame(members, counts_KC, students, handler.image, job.config, rng, state)
    figures = game.play()
    arrays: dict[str, torch.Tensor] = {}
    for (title, _), student in zip(job.students, students, strict=True):
        tensors = {k: v.detach().cpu().clone() for k, v in student.state_dict().items()}
        arrays.update(global_arrays(tensors, title))
    return Learned(game.state(), arrays, figures)


def _network(whole: nn.Module, named: Named) -> nn.Module:
    """A model of an architecture, in eval mode."""
    title, arrays = named
    model = architecture_of(whole, title)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.copy_(as_tensor(np.asarray(arrays[name])))
    return model.eval()

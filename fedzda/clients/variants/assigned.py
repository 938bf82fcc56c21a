"""Which client runs which form of the model, and the work that is done in that form."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from fedzda.base import ImageSpec, Turn, Variant
from fedzda.clients.evaluation import Figures, evaluate_segments
from fedzda.platform.config import SimulationConfig, VariantConfig
from fedzda.platform.devices.config import ProfilesConfig
from fedzda.platform.devices.fleet import assigned
from fedzda.platform.devices.forms import load_variant
from fedzda.platform.engines.calls import Call
from fedzda.platform.records import Content

if TYPE_CHECKING:
    from fedzda.clients.runtime import ClientRuntime

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
Arrays = dict[str, np.ndarray]
FurtherFigures = Callable[[int, nn.Module], dict[str, float]]
"""Client and model to figures that are no sums over samples."""


class ClientVariants:
    """The forms of a run, as workers see them.

    Args:
        config: The resolved configuration, in which no form is left to be chosen.
        num_clients: Registered clients.
        model: The architecture.
        image: What the model takes (:meth:`fedzda.clients.tasks.base.Task.given`).
    """

    def __init__(
        self, config: SimulationConfig, num_clients: int, model: nn.Module, image: ImageSpec
    ) -> None:
        assert isinstance(config.devices, ProfilesConfig)
        self.kind = assigned(config.devices, num_clients, config.seed)
        settled = (entry.variant.settled for entry in config.devices.profiles)
        self.configs: list[VariantConfig] = [own for own in settled if own is not None]
        assert len(self.configs) == len(config.devices.profiles)
        self.forms: list[Variant] = [load_variant(own, model, image) for own in self.configs]
        held = set(self.kind.tolist())
        self.some_whole = any(
            own.whole and own.trains and kind in held for kind, own in enumerate(self.configs)
        )
        self.seed = config.seed

    def form(self, client: int) -> Variant:
        """The form of a client."""
        return self.forms[int(self.kind[client])]

    def turn(self, call: Call) -> Turn:
        """Who asks for a device model, and when."""
        return Turn(self.seed, call.client, call.round, call.phase == "train")

    def trains_plainly(self, client: int) -> bool:
        """Whether a client trains the global model as it is."""
        own = self.configs[int(self.kind[client])]
        return own.whole and own.plain_training

    def to_global(
        self, call: Call, device_model: nn.Module, received: Arrays
    ) -> tuple[Arrays, Arrays]:
        """The global model's arrays after a client's training, and their coverage.

        Entries that the client does not have are those that it received. Statistics of BatchNorm
        that a narrow model keeps to itself are not covered where others train the full width.
        """
        form, own = self.form(call.client), self.configs[int(self.kind[call.client])]
        arrays, coverage = form.to_global(device_model, self.turn(call))
        if getattr(own, "batchnorm", None) == "static" and not own.whole and self.some_whole:
            for name in arrays:
                if name.rpartition(".")[2] in _STATISTICS:
                    coverage[name] = np.zeros(arrays[name].shape, bool)
        for name, value in received.items():
            if name not in arrays:
                arrays[name], coverage[name] = np.asarray(value), np.zeros(value.shape, bool)
            elif name in coverage:
                arrays[name] = np.where(coverage[name], arrays[name], np.asarray(value))
        return arrays, coverage

    def evaluate(
        self,
        runtime: ClientRuntime,
        calls: list[Call],
        rows: list[np.ndarray],
        further: FurtherFigures | None,
    ) -> list[Figures]:
        """Every client's figures on its own form of the resident model.

        Clients of a form that is the same for all share batches; others are tested one by one.
        """
        groups: dict[Any, list[int]] = {}
        for place, call in enumerate(calls):
            kind = int(self.kind[call.client])
            key = (kind, place) if self.forms[kind].personal else (kind, -1)
            groups.setdefault(key, []).append(place)
        found: dict[int, Figures] = {}
        for places in groups.values():
            model = self._deployed(runtime, calls[places[0]])
            size = runtime.config.evaluate.batch_size
            figures = evaluate_segments(runtime, model, [rows[i] for i in places], size)
            for place, own in zip(places, figures, strict=True):
                found[place] = own
                if further is not None:
                    own[1].update(further(calls[place].client, model))
        return [found[place] for place in range(len(calls))]

    def examples(self, runtime: ClientRuntime) -> dict[str, nn.Module]:
        """The resident model in every form that devices run, by its name: that of its first
        client."""
        made: dict[str, nn.Module] = {}
        round_ = runtime.config.rounds
        for kind, own in enumerate(self.configs):
            clients = np.flatnonzero(self.kind == kind)
            if own.title not in made and len(clients):
                call = Call(int(clients[0]), "evaluate", round_, Content(), Content())
                made[own.title] = self._deployed(runtime, call)
        return made

    def _deployed(self, runtime: ClientRuntime, call: Call) -> nn.Module:
        """What a client tests, made of the resident model."""
        form, turn = self.form(call.client), self.turn(call)
        images = training_images(runtime, call) if form.personal else None
        return form.deploy(form.build(runtime.model, turn), images, turn)


def training_images(runtime: ClientRuntime, call: Call) -> torch.Tensor:
    """``(N, C, H, W)`` a client's training images as the model takes them."""
    rows = runtime.rows(call, "train")
    if not len(rows):
        return torch.empty((0, *runtime.task.given(runtime.image).shape), device=runtime.device)
    images: torch.Tensor = runtime.task.shown(runtime.batch(rows))
    return images

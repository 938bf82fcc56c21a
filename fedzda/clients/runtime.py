"""One per process: the resident model, the task and the data, serving client after client."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fedzda.base import ImageSpec, UserError, numpy_rng
from fedzda.clients.cohort import can_vectorise, train_cohort
from fedzda.clients.evaluation import evaluate_segments
from fedzda.clients.hooks.base import Batch, Hook, LocalRun
from fedzda.clients.training import train
from fedzda.platform import plugins
from fedzda.platform.config_load import from_dict
from fedzda.platform.data.federation import Federation
from fedzda.platform.engines.calls import Call, Reply
from fedzda.platform.parts import build_model, build_task
from fedzda.platform.records import Content

_HOOKS = {
    "proximal-mu": "fedzda.clients.hooks.proximal:Proximal",
    "report-class-counts": "fedzda.clients.hooks.class_counts:ClassCounts",
    "initial-loss": "fedzda.clients.hooks.initial_loss:InitialLoss",
    "zda": "fedzda.clients.hooks.zda:ZeroShotAugmentation",
    "clipping_norm": "fedzda.clients.hooks.clipping:Clipping",
    "noise-stddev": "fedzda.clients.hooks.noise:Noise",
}
"""Config key of a train request -> the hook it switches on, in the order in which they act."""


def load_arrays(model: nn.Module, arrays: dict[str, Any]) -> None:
    """Copy named arrays into a model in place."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.copy_(torch.as_tensor(np.asarray(arrays[name])))


class ClientRuntime:
    """Trains and evaluates simulated devices.

    Args:
        config: The resolved configuration as plain data.
        federation: Folder of the prepared data.
        device: ``cpu`` or ``cuda``.
    """

    def __init__(self, config: dict[str, Any], federation: str, device: str) -> None:
        self.config = from_dict(config)
        self.federation = Federation.open(Path(federation))
        if self.federation.image is None:
            raise UserError("the data set has no images, and the task needs some.")
        self.image: ImageSpec = self.federation.image
        self.device = torch.device(device)
        self.seed = self.config.seed
        self.task = build_task(self.config, self.image)
        self.model = self.build_model()
        self._vectorisable: bool | None = None

    def build_model(self) -> nn.Module:
        """A further model of the run's architecture, on the device.

        Convolutions get channels-last weights, with which small batches train 1.3 to 1.6 times
        faster on a CPU.
        """
        model: Any = build_model(self.config, self.image).to(self.device)
        model.to(memory_format=torch.channels_last)
        built: nn.Module = model
        return built

    def model_with(self, arrays: dict[str, Any]) -> nn.Module:
        """A further model with given weights."""
        model = self.build_model()
        load_arrays(model, arrays)
        return model

    def batch(self, rows: np.ndarray, table: dict[str, np.ndarray] | None = None) -> Batch:
        """Rows of the training pool (or of ``table``) as normalised tensors on the device."""
        columns = table if table is not None else self.federation.train
        return {name: self._column(name, columns[name][rows]) for name in self.task.columns}

    def _column(self, name: str, values: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(values)).to(self.device)
        if name == "image":
            pixels = self.image.normalize(tensor.float().div_(255.0))
            return pixels.contiguous(memory_format=torch.channels_last)
        return tensor

    def handle(self, call: Call) -> Reply:
        """Train or evaluate one client."""
        if call.phase == "train":
            return self.train(call)
        replies = self.handle_many([call])
        if replies is None:
            raise UserError(f"the client has no '{call.phase}' action.")
        return replies[0]

    def train(self, call: Call) -> Reply:
        """One client's round: received weights in, trained weights out."""
        load_arrays(self.model, call.content.arrays["arrays"])
        rows = self.federation.indices(call.client, "train")
        if len(rows) == 0:
            raise UserError(f"client {call.client} has no training samples.")
        run = LocalRun(self, call, self.model, self.batch(rows))
        rng = numpy_rng(self.seed, "batches", call.round, call.client)
        train(run, self.config.local, self._hooks(run.config), rng)
        arrays = {
            name: value.detach().cpu().clone(memory_format=torch.contiguous_format).numpy()
            for name, value in self.model.state_dict().items()
        }
        return _trained(call, arrays, {"num-examples": len(rows), **run.metrics}, run.details)

    def _hooks(self, config: dict[str, Any]) -> list[Hook]:
        return [plugins.import_target(target)() for key, target in _HOOKS.items() if key in config]

    def handle_many(self, calls: list[Call]) -> list[Reply] | None:
        """Serve clients that received the same model together; None where that cannot be."""
        first = calls[0].content.arrays.get("arrays")
        same = all(c.content.arrays.get("arrays") is first for c in calls)
        if first is None or not same:
            return None
        if calls[0].phase == "evaluate":
            return self._evaluate_many(calls, first)
        return self._train_many(calls, first) if calls[0].phase == "train" else None

    def _train_many(self, calls: list[Call], arrays: dict[str, Any]) -> list[Reply] | None:
        """All clients of a chunk in one batched form of the model."""
        wanted = self.config.engine.vectorise
        if wanted is False or (wanted == "auto" and self.device.type == "cpu"):
            return None
        rows = [self.federation.indices(call.client, "train") for call in calls]
        if self._hooks(calls[0].content.config()) or min(map(len, rows)) == 0:
            return None
        data = [self.batch(own) for own in rows]
        if not self._vectorises(data):
            return None
        seed, round_ = self.seed, calls[0].round
        rngs = [numpy_rng(seed, "batches", round_, call.client) for call in calls]
        local = self.config.local
        results = train_cohort(self.model, self.task, arrays, data, local, rngs, round_, len(calls))
        return [
            _trained(call, trained, {"num-examples": len(own["label"]), **metrics}, {})
            for call, own, (trained, metrics) in zip(calls, data, results, strict=True)
        ]

    def _vectorises(self, data: list[Batch]) -> bool:
        """Whether model and task allow it; found out once per process, on real data."""
        if self._vectorisable is None:
            sample = max(data, key=lambda own: len(own["label"]))
            reason = can_vectorise([], self.model, self.task, self.config.local, sample)
            self._vectorisable = not reason
            if reason:
                logging.getLogger(__name__).warning("clients train one by one: %s", reason)
        return self._vectorisable

    def _evaluate_many(self, calls: list[Call], first: dict[str, Any]) -> list[Reply]:
        """One model on many clients' samples in large batches."""
        load_arrays(self.model, first)
        split = str(calls[0].content.config().get("split", "test"))
        rows = [self.federation.indices(call.client, split) for call in calls]  # type: ignore[arg-type]
        results = evaluate_segments(self, self.model, rows, self.config.evaluate.batch_size)
        return [
            Reply(
                call.client,
                Content(metrics={"metrics": {"num-examples": len(own), **metrics}}),
                details=details,
                split=split,
                state=call.state,
            )
            for call, own, (metrics, details) in zip(calls, rows, results, strict=True)
        ]

    def global_test(self, arrays: dict[str, Any]) -> dict[str, float]:
        """Metrics of a model on the global test set, which no client holds."""
        load_arrays(self.model, arrays)
        table = self.federation.test
        rows = np.arange(len(next(iter(table.values()))))
        size = self.config.evaluate.batch_size
        return evaluate_segments(self, self.model, [rows], size, table)[0][0]


def _trained(
    call: Call, arrays: dict[str, Any], metrics: dict[str, Any], details: dict[str, Any]
) -> Reply:
    """The reply to a train request."""
    content = Content(arrays={"arrays": arrays}, metrics={"metrics": metrics})
    return Reply(call.client, content, details=details, split="train", state=call.state)

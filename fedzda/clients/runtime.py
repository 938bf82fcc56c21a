"""One per process: the resident model, the task and the data, serving client after client."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from fedzda.base import ImageSpec, UserError, numpy_rng
from fedzda.clients.cohort import can_vectorise, train_cohort
from fedzda.clients.evaluation import evaluate_segments
from fedzda.clients.hooks.base import Batch, Hook, LocalRun
from fedzda.clients.incremental.nearest_mean import exemplar_sums
from fedzda.clients.incremental.phases import Phases
from fedzda.clients.pool_first import pool_first
from fedzda.clients.replies import IDLE, evaluated_reply, split_of, trained_reply
from fedzda.clients.tasks.base import Task
from fedzda.clients.training import train
from fedzda.clients.uplink.update import CompressedUpdate
from fedzda.clients.variants.assigned import ClientVariants
from fedzda.clients.weights import load_arrays, snapshot
from fedzda.platform import plugins
from fedzda.platform.config.load import from_dict
from fedzda.platform.data.federation import CLIENT, Federation, Split
from fedzda.platform.data.shifts.base import ClientViews
from fedzda.platform.devices.workload import WITHHELD
from fedzda.platform.engines.calls import COVERAGE, Call, Reply
from fedzda.platform.groups import client_groups
from fedzda.platform.parts import build_model, build_task
from fedzda.platform.records import Content
from fedzda.platform.scenario.labels import relabelled
from fedzda.platform.scenario.nearest_mean import MEANS, QUERY
from fedzda.platform.scenario.schedule import schedule_of

Table = dict[str, np.ndarray]
"""Columns of a data set, by name."""

_HOOKS = {
    "incremental": "fedzda.clients.hooks.incremental:Incremental",
    "pooled-data": "fedzda.clients.hooks.pooled:PooledData",
    "keep-model": "fedzda.clients.hooks.personal:KeepModel",
    "keep-batchnorm": "fedzda.clients.hooks.personal:KeepBatchNorm",
    "scaffold": "fedzda.clients.hooks.scaffold:Scaffold",
    "moon": "fedzda.clients.hooks.moon:Moon",
    "proximal-mu": "fedzda.clients.hooks.proximal:Proximal",
    "report-class-counts": "fedzda.clients.hooks.class_counts:ClassCounts",
    "initial-loss": "fedzda.clients.hooks.initial_loss:InitialLoss",
    "zda": "fedzda.clients.hooks.zda:ZeroShotAugmentation",
    "noise-images": "fedzda.clients.hooks.noise_images:NoiseImages",
    "real-images": "fedzda.clients.hooks.real_images:RealImages",
    "oversampling": "fedzda.clients.hooks.oversampling:Oversampling",
    "fed-gen": "fedzda.clients.hooks.fed_gen:FeatureReplay",
    "fed-cog": "fedzda.clients.hooks.fed_cog:ComplementaryImages",
    "prop-fair": "fedzda.clients.hooks.prop_fair:ProportionalLoss",
    "ditto": "fedzda.clients.hooks.ditto:Ditto",
    "clipping_norm": "fedzda.clients.hooks.clipping:Clipping",
    "noise-stddev": "fedzda.clients.hooks.noise:Noise",
}
"""Config key of a train request -> the hook it switches on, in the order in which they act."""

_REHEARSED = 64
"""Clients of the largest leaf that is trained at once."""
_SHOWN = 4
"""Test samples in the picture for the report."""


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
        self.phases: Phases | None = None
        if self.config.scenario is not None:
            classes = len(self.federation.class_names)
            cumulative = getattr(self.config.strategy, "cumulative", False)
            schedule = schedule_of(self.config.scenario, classes, cumulative)
            self.federation = relabelled(self.federation, schedule)
            self.phases = Phases(schedule, self.federation)
        if self.federation.image is None:
            raise UserError("the data set has no images, and the task needs some.")
        self.image: ImageSpec = self.federation.image
        self.device = torch.device(device)
        self.seed = self.config.seed
        self.task = build_task(self.config, self.image)
        self.groups = client_groups(self.config, self.federation)
        self.views: ClientViews | None = None
        if self.config.data.shift is not None:
            self.views = ClientViews(self.config.data, self.federation, self.seed)
        self.model = self.build_model()
        self.variants: ClientVariants | None = None
        if any(form.name != "full" for form in self.config.devices.variants()):
            clients = self.federation.num_clients
            given = self.task.given(self.image)
            self.variants = ClientVariants(self.config, clients, self.model, given)
        self._vectorisable: bool | None = None
        self._initial: dict[str, Any] | None = None

    def build_model(self) -> nn.Module:
        """A further model of the run's architecture, on the device.

        Convolutions get channels-last weights, with which small batches train 1.3 to 1.6 times
        faster on a CPU.
        """
        model: Any = build_model(self.config, self.image).to(self.device)
        model.to(memory_format=torch.channels_last)
        pool_first(model)
        built: nn.Module = model
        return built

    def model_with(self, arrays: dict[str, Any]) -> nn.Module:
        """A further model with given weights."""
        model = self.build_model()
        load_arrays(model, arrays)
        return model

    def batch(self, rows: np.ndarray, table: Table | None = None) -> Batch:
        """Rows of the training pool (or of ``table``) as normalised tensors on the device."""
        columns = table if table is not None else self.federation.train
        held = table is None
        return {name: self._column(name, columns, rows, held) for name in self.task.columns}

    def _column(self, name: str, table: Table, rows: np.ndarray, held: bool) -> torch.Tensor:
        if name == CLIENT:
            # Images that nobody holds are seen by the clients in turn.
            values = self.federation.owner[rows] if held else rows % self.federation.num_clients
        else:
            values = table[name][rows]
        tensor = torch.from_numpy(np.ascontiguousarray(values)).to(self.device)
        if name == "image":
            pixels = tensor.float().div_(255.0)
            if self.views is not None:
                pixels = self.views.apply(pixels, rows, held=held)
            pixels = self.image.normalize(pixels)
            return pixels.contiguous(memory_format=torch.channels_last)
        return tensor

    def rows(self, call: Call, split: Split) -> np.ndarray:
        """Rows of a client for ``split`` that exist in the round of a call."""
        rows = self.federation.indices(call.client, split)
        return rows if self.phases is None else self.phases.rows(rows, split, call.round)

    def _load(self, call: Call, arrays: dict[str, Any]) -> None:
        """Put arrays into the resident model, with the head of the call's round."""
        load_arrays(self.model, arrays)
        if self.phases is not None:
            self.phases.tell(self.model, call.round, call.content.arrays.get(MEANS))

    def handle(self, call: Call) -> Reply:
        """Train or evaluate one client."""
        if call.phase == "train":
            return self.train(call)
        if call.phase == QUERY and self.phases is not None:
            self._load(call, self.received(call))
            return exemplar_sums(self, self.model, call, self.phases.seen(call.round))
        replies = self.handle_many([call])
        if replies is None:
            raise UserError(f"the client has no '{call.phase}' action.")
        return replies[0]

    def train(self, call: Call) -> Reply:
        """One client's round: received weights in, trained weights out."""
        self._load(call, self.received(call))
        rows = self.rows(call, "train")
        if len(rows) == 0 and self.phases is not None:
            return self._idle(call)
        if len(rows) == 0:
            raise UserError(f"client {call.client} has no training samples.")
        kept = call.state
        state = Content(dict(kept.arrays), dict(kept.metrics), dict(kept.configs))
        run = LocalRun(self, call, self.model, self.batch(rows), state=state)
        own: list[Hook] = []
        if self.variants is not None and not self.variants.trains_plainly(call.client):
            form = self.variants.form(call.client)
            run.model = form.build(self.model, self.variants.turn(call))
            form.calibrate(run.model, self.task.shown(run.data))
            own = list(form.hooks())
        rng = numpy_rng(self.seed, "batches", call.round, call.client)
        train(run, self.config.local, [*own, *self._hooks(run.config)], rng)
        metrics = {"num-examples": len(rows), **run.metrics}
        if run.model is not self.model:
            return self._reply_in_form(run, metrics)
        reply = self._reply(run, metrics)
        reply.content.arrays.update(run.uploads)
        reply.bytes_up = run.bytes_up
        return reply

    def _idle(self, call: Call) -> Reply:
        """The reply of a client without samples of the phase: the model that it was sent, but for
        what would stay with it."""
        config = call.content.config()
        kept = set(config.get(WITHHELD, ()))
        sent = {} if "keep-model" in config else snapshot(self.model)
        arrays = {name: value for name, value in sent.items() if name not in kept}
        return trained_reply(call, arrays, IDLE, {}, call.state)

    def _reply(self, run: LocalRun, metrics: dict[str, Any]) -> Reply:
        arrays = {k: v for k, v in snapshot(self.model).items() if k not in run.withheld}
        return trained_reply(run.call, arrays, metrics, run.details, run.state)

    def _reply_in_form(self, run: LocalRun, metrics: dict[str, Any]) -> Reply:
        """The reply of a client that trains a form of its own: its place in the global model."""
        assert self.variants is not None
        received = self.received(run.call)
        arrays, coverage = self.variants.to_global(run.call, run.model, received)
        reply = trained_reply(run.call, arrays, metrics, run.details, run.state)
        reply.bytes_up = run.bytes_up
        if reply.bytes_up is None:
            tensors = run.model.state_dict().values()
            reply.bytes_up = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        if coverage:
            reply.content.arrays[COVERAGE] = coverage
        return reply

    def received(self, call: Call) -> dict[str, Any]:
        """The model of a request; where it brings none, the initial one of the run."""
        arrays = call.content.arrays.get("arrays")
        if arrays is not None:
            return arrays
        if self._initial is None:
            self._initial = snapshot(self.build_model())
        return self._initial

    def _hooks(self, config: dict[str, Any]) -> list[Hook]:
        """What a request switches on, and last what becomes of the update on the way."""
        targets = [target for key, target in _HOOKS.items() if key in config]
        hooks: list[Hook] = [plugins.import_target(target)() for target in targets]
        if self.config.uplink is not None:
            hooks.append(CompressedUpdate(self.config.uplink))
        return hooks

    def handle_many(self, calls: list[Call]) -> list[Reply] | None:
        """Serve clients that received the same model together; None where that cannot be."""
        config = calls[0].content.config()
        if calls[0].phase == "evaluate" and config.get("stage") == "personalised":
            return [self._evaluate_own(call) for call in calls]
        first = calls[0].content.arrays.get("arrays")
        same = all(c.content.arrays.get("arrays") is first for c in calls)
        if first is None or not same:
            return None
        if calls[0].phase in ("evaluate", "query.loss"):
            return self._evaluate_many(calls, first)
        return self._train_many(calls, first) if calls[0].phase == "train" else None

    def _train_many(self, calls: list[Call], arrays: dict[str, Any]) -> list[Reply] | None:
        """All clients of a chunk in one batched form of the model."""
        wanted = self.config.engine.vectorise
        if wanted is False or (wanted == "auto" and self.device.type == "cpu"):
            return None
        if self.variants is not None:
            return None
        rows = [self.rows(call, "train") for call in calls]
        if self._hooks(calls[0].content.config()) or min(map(len, rows)) == 0:
            return None
        data = [self.batch(own) for own in rows]
        if not self._vectorises(data):
            return None
        if self.phases is not None:
            self.phases.tell(self.model, calls[0].round)
        seed, round_ = self.seed, calls[0].round
        rngs = [numpy_rng(seed, "batches", round_, call.client) for call in calls]
        local = self.config.local
        results = train_cohort(self.model, self.task, arrays, data, local, rngs, round_, len(calls))
        return [
            trained_reply(
                call, trained, {"num-examples": len(own["label"]), **metrics}, {}, call.state
            )
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
        self._load(calls[0], first)
        split = split_of(calls[0])
        rows = [self.rows(call, split) for call in calls]
        tested = calls[0].phase == "evaluate"
        last = tested and split == "test" and self._may_be_last(calls[0].round)
        if self.variants is not None and tested:
            further = partial(self.task.client_figures, self) if last else None
            results = self.variants.evaluate(self, calls, rows, further)
        else:
            results = evaluate_segments(self, self.model, rows, self.config.evaluate.batch_size)
            for call, (_, details) in zip(calls, results, strict=True):
                if last:
                    details.update(self.task.client_figures(self, call.client, self.model))
        return [
            evaluated_reply(call, len(own), figures)
            for call, own, figures in zip(calls, rows, results, strict=True)
        ]

    def _may_be_last(self, round_: int) -> bool:
        """Whether nothing may come after a round: whether it is the last, or ``stop:`` can end the
        run there, which is decided after the evaluation."""
        stop = self.config.stop
        rules = (stop.patience, stop.target, stop.seconds)
        return round_ == self.config.rounds or any(rule is not None for rule in rules)

    def _evaluate_own(self, call: Call) -> Reply:
        """The received model, with the arrays that the client keeps to itself in their place."""
        self._load(call, {**self.received(call), **call.state.arrays.get("personal", {})})
        rows = self.rows(call, split_of(call))
        size = self.config.evaluate.batch_size
        (figures,) = evaluate_segments(self, self.model, [rows], size)
        return evaluated_reply(call, len(rows), figures)

    def count_macs(self) -> int:
        """Multiply-adds of a forward pass of the task on one sample: convolutions and products."""
        self.model.eval()
        batch = self.batch(np.array([0]))
        # the fused attention of CPUs is unknown to the counter; its plain form is two products
        plain = sdpa_kernel(SDPBackend.MATH)
        with torch.no_grad(), plain, FlopCounterMode(display=False) as counter:
            self.task.loss(self.model, batch)
        return int(counter.get_total_flops()) // 2

    def metric_names(self) -> list[str] | None:
        """The metrics of an evaluated client; None where a task has some that take an evaluation of
        a whole client to know."""
        if type(self.task).client_figures is not Task.client_figures:
            return None
        return list(evaluate_segments(self, self.model, [np.array([0])], 1)[0][0])

    def rehearse(self) -> None:
        """Train the clients with the most samples: one, or as many as may be trained at once."""
        sizes = self.federation.sizes("train")
        heaviest = np.argsort(sizes, kind="stable")[-_REHEARSED:]
        content = Content({"arrays": snapshot(self.model)})
        calls = [Call(int(client), "train", 1, content, Content()) for client in heaviest]
        if self.handle_many(calls) is None:
            self.handle(calls[-1])

    def global_test(self, arrays: dict[str, Any], round_: int) -> dict[str, float]:
        """Metrics of a model after a round on the global test set, which no client holds."""
        load_arrays(self.model, arrays)
        table = self.federation.test
        rows = np.arange(len(next(iter(table.values()))))
        if self.phases is not None:
            rows = self.phases.tested(self.model, rows, round_)
        size = self.config.evaluate.batch_size
        return evaluate_segments(self, self.model, [rows], size, table)[0][0]

    def sheet(self, arrays: dict[str, Any]) -> np.ndarray | None:
        """A picture (height, width, 3) of what a model makes of some global test samples."""
        load_arrays(self.model, arrays)
        self.model.eval()
        table = self.federation.test
        size = len(next(iter(table.values())))
        rows = np.unique(np.linspace(0, size - 1, _SHOWN).round().astype(np.int64))
        with torch.no_grad():
            batch = self.batch(rows, table)
            forms = {"full": self.model}
            if self.variants is not None:
                forms = self.variants.examples(self)
            drawn = self.task.sheet(forms, batch, self.federation.class_names)
        if drawn is None:
            return None
        return np.asarray(drawn.permute(1, 2, 0).mul(255).round().byte().cpu().numpy())

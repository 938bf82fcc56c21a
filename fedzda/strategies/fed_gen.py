"""FedGen, data-free knowledge distillation (Zhu, Hong, Zhou, ICML 2021, arXiv 2105.10056).

The server learns a small generator G of what enters the clients' last layers ``h_k``, from the
uploaded models alone, and sends it along with the average; clients train on its features too:

    server   min_G  E_y,z CE(mean_k h_k(G(z, y)), y) + diversity            (equation 4)
    client   min_w  F_k(w) + alpha E_y,z CE(h(G(z, y)), y)                   (equation 5)

with y drawn as often as the cohort's clients hold it. The client's half is
:mod:`fedzda.clients.hooks.fed_gen`. Our choices: sizes of G, ``alpha`` (the authors' code: 10,
decaying, and a second term, between the outputs for real and for generated features, that the paper
does not have), and fresh Adam moments in every round. Limit case: ``alpha: 0`` is FedAvg, bit for
bit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict

from fedzda.base import torch_rng
from fedzda.generators.common import initial
from fedzda.generators.feature_generator import (
    FeatureGenerator,
    ensemble_loss,
    feature_diversity,
    head_of,
)
from fedzda.platform.records import array_record, arrays_of
from fedzda.strategies.base import ARRAYS, CONFIG, MeanStrategy
from fedzda.strategies.config.generative import FedGenConfig

GENERATOR = "feature-generator"


class FedGen(MeanStrategy):
    """Clients also learn from features that a generator of the server makes.

    Leaves the client: its model in the clear, its sample count, its class counts.
    """

    Config = FedGenConfig
    needs_models = True

    def __init__(self, config: FedGenConfig) -> None:
        super().__init__(config)
        self.generator: dict[str, Any] | None = None
        self.chances: list[float] = []
        """How often each class is drawn."""

    def check(self, model: torch.nn.Module) -> None:
        """Refuse a model without a linear layer, before anything runs."""
        head_of(model)

    def state(self) -> dict[str, Any]:
        """The generator and the classes that it knows."""
        return {"generator": self.generator, "chances": self.chances}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take them over."""
        self.generator, self.chances = state["generator"], list(state["chances"])

    def request(self, server_round: int, arrays: ArrayRecord, record: RecordDict) -> None:
        """Send the generator, once there is one, and ask for class counts."""
        super().request(server_round, arrays, record)
        sent = record.config_records[CONFIG]
        sent["report-class-counts"] = True
        if self.generator is None or self.config.alpha == 0:
            return
        names = ("alpha", "decay", "z_size", "hidden")
        options = {name: getattr(self.config, name) for name in names}
        sent["fed-gen"] = json.dumps({**options, "chances": self.chances})
        record[GENERATOR] = array_record(self.generator)

    def improve(
        self, server_round: int, mean: ArrayRecord, replies: list[Message], metrics: MetricRecord
    ) -> ArrayRecord:
        """The average stays as it is; the generator learns from the models that made it."""
        counts_KC = np.array([reply.content["metrics"]["class-counts"] for reply in replies])
        total_C = counts_KC.sum(axis=0)
        self.chances = (total_C / total_C.sum()).tolist()
        job = Lesson(
            models=[arrays_of(reply.content[ARRAYS]) for reply in replies],  # type: ignore[arg-type]
            weights_KC=counts_KC / np.maximum(total_C, 1),
            chances=self.chances,
            config=self.config,
            key=(self.setting.seed, server_round),
            state=self.generator,
        )
        self.generator, figures = self.setting.compute(teach, [job])[0]
        metrics.update({f"fed-gen-{name}": value for name, value in figures.items()})
        return mean


@dataclass
class Lesson:
    """What the generator learns from in a round.

    Attributes:
        models: Arrays of each of the K clients.
        weights_KC: How much a client's head counts for a class: its share of the class's samples.
        chances: ``(C,)`` how often each class is drawn.
        config: Sizes and weights.
        key: Seed and round.
        state: The generator so far; None: a new one.
    """

    models: list[dict[str, Any]]
    weights_KC: np.ndarray
    chances: list[float]
    config: FedGenConfig
    key: tuple[int, int]
    state: dict[str, Any] | None


def teach(handler: Any, job: Lesson) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """Train the generator; returns its state, and the mean losses of the steps."""
    config, device = job.config, handler.device
    name, layer = head_of(handler.model)
    rng = torch_rng(job.key[0], "fed-gen", job.key[1])
    sizes = (handler.image.num_classes, layer.in_features, config.z_size, config.hidden)
    generator = initial(lambda: FeatureGenerator(*sizes), rng)
    if job.state is not None:
        generator.load_state_dict({k: torch.as_tensor(v) for k, v in job.state.items()})
    generator.to(device).train()
    heads = [_head(arrays, name, device) for arrays in job.models]
    weights_KC = torch.tensor(job.weights_KC, dtype=torch.float32, device=device)
    chances = torch.tensor(job.chances, dtype=torch.float64)
    optimizer = torch.optim.Adam(generator.parameters(), config.generator_lr)
    totals = {"teacher": 0.0, "diversity": 0.0}
    for _ in range(config.generator_steps):
        labels = torch.multinomial(chances, config.generator_batch_size, True, generator=rng)
        z = generator.noise(len(labels), rng).to(device)
        labels = labels.to(device)
        features = generator(z, labels)
        teacher = ensemble_loss(features, labels, heads, weights_KC)
        diversity = feature_diversity(features, z)
        optimizer.zero_grad()
        torch.autograd.backward(teacher + config.diversity_weight * diversity)
        optimizer.step()
        totals["teacher"] += float(teacher.detach())
        totals["diversity"] += float(diversity.detach())
    state = {k: v.detach().cpu().clone() for k, v in generator.state_dict().items()}
    return state, {k: v / config.generator_steps for k, v in totals.items()}


def _head(
    arrays: dict[str, Any], name: str, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    weight = torch.as_tensor(arrays[f"{name}.weight"]).to(device)
    bias = arrays.get(f"{name}.bias")
    if bias is None:
        return weight, weight.new_zeros(len(weight))
    return weight, torch.as_tensor(bias).to(device)

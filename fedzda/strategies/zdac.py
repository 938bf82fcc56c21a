"""The client half of Fed-ZDA as a mix-in: see :mod:`fedzda.strategies.fed_zdac`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from flwr.app import ArrayRecord, RecordDict

from fedzda.platform.config import plain
from fedzda.platform.devices.work import ExtraWork, images_in_steps
from fedzda.platform.records import array_record, arrays_of
from fedzda.strategies.base import CONFIG, MeanStrategy
from fedzda.strategies.config.zda import ClientSideConfig, SynthesisConfig
from fedzda.strategies.zda_generators import require_batchnorm, save_generator
from fedzda.strategies.zda_jobs import Inversion, invert

SYNTHESIZER = "synthesizer"


class ClientSide(MeanStrategy):
    """Sends clients what they need to fill up the classes they lack."""

    config: Any

    def __init__(self, config: SynthesisConfig) -> None:
        super().__init__(config)
        self.generator: dict[str, Any] | None = None
        self.agreement = 0.0
        self.figures: dict[str, float] = {}

    def check(self, model: torch.nn.Module) -> None:
        """Refuse a model that cannot be inverted, before anything runs."""
        require_batchnorm(model)

    def state(self) -> dict[str, Any]:
        """The generator kept from round to round, and how far its model agreed with it."""
        return {"generator": self.generator, "agreement": self.agreement}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over the generator."""
        self.generator = state["generator"]
        self.agreement = state["agreement"]

    def request(self, server_round: int, arrays: ArrayRecord, record: RecordDict) -> None:
        """Add the generator (``share: round``) and the options of the augmentation."""
        self.figures = {}
        if server_round < self.config.start_round:
            return
        if self.config.share == "round":
            due = (server_round - self.config.start_round) % self.config.invert_every == 0
            if due or self.generator is None:
                self._invert(server_round, arrays)
            if self.agreement < self.config.gate_agreement:
                return
            record[SYNTHESIZER] = array_record(self.generator or {})
        options = {name: getattr(self.config, name) for name in ClientSideConfig.model_fields}
        options["synthesizer"] = plain(self.config.synthesizer)
        record.config_records[CONFIG]["zda"] = json.dumps(options)
        self.tell_work(record, self._work())

    def _work(self) -> ExtraWork:
        """Images to train on, and (``share: client``) the steps that make them."""
        config = self.config
        alone = config.share == "client"
        return ExtraWork(
            images=images_in_steps(config.synthesizer) if alone else 0,
            fill=config.fill,
            cap=config.cap,
            apart=config.loss_mix == "count",
        )

    def _invert(self, server_round: int, arrays: ArrayRecord) -> None:
        """Once per round: all clients of the cohort hold the same frozen model."""
        job = Inversion(
            models=[arrays_of(arrays)],
            synthesizer=plain(self.config.synthesizer),
            classes=list(range(self.setting.image.num_classes)),
            key=(self.setting.seed, "zdac", server_round),
            state=self.generator if self.config.warm_start else None,
        )
        inverted = self.setting.compute(invert, [job])[0]
        self.generator = inverted.state
        self.agreement = inverted.figures["agreement"]
        self.figures = {f"zda-{name}": value for name, value in inverted.figures.items()}

    def save_artifacts(self, folder: Path, server_round: int) -> None:
        """The last generator and a sheet of its images."""
        if self.generator is not None:
            synthesizer = plain(self.config.synthesizer)
            save_generator(self.setting, synthesizer, self.generator, folder, server_round)

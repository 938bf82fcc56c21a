"""A FedCOG-like arm: complementary images and distillation (Ye et al., ICLR 2024,
arXiv 2312.05966), the nearest public relative of Fed-ZDAC.

From ``start_round`` on every client makes images of the classes it is short of, from the received
model, on which its own last model should differ from the received one; it then trains on its own
samples with labels and on the images with the received model's outputs, weighed by their numbers.
The client's half is :mod:`fedzda.clients.hooks.fed_cog`. Like the authors' code in the objective of
the images (the ``fedcog`` preset), the deficit, the mixture and the late start; unlike it in that
images are kept within [0, 1], that their number is capped as Fed-ZDAC's is, and that a client's
first "last model" is the received one. Limit case: ``start_round`` beyond the last round is FedAvg,
bit for bit.
"""

from __future__ import annotations

import json

from flwr.app import ArrayRecord, RecordDict

from fedzda.platform.config import plain
from fedzda.platform.devices.work import ExtraWork, images_in_steps
from fedzda.strategies.base import CONFIG, MeanStrategy
from fedzda.strategies.config.generative import FedCOGConfig


class FedCOG(MeanStrategy):
    """Clients distil the received model on images of the classes they are short of.

    Leaves the client: its model and its sample count, as in FedAvg.
    """

    Config = FedCOGConfig

    def request(self, server_round: int, arrays: ArrayRecord, record: RecordDict) -> None:
        """Send the options; before ``start_round`` clients only keep their models."""
        super().request(server_round, arrays, record)
        options = {name: getattr(self.config, name) for name in ("fill", "cap", "temperature")}
        options["active"] = server_round >= self.config.start_round
        options["synthesizer"] = plain(self.config.synthesizer)
        record.config_records[CONFIG]["fed-cog"] = json.dumps(options)
        if options["active"]:
            # images are pushed through the received model and the client's own last one
            images = 2 * images_in_steps(self.config.synthesizer)
            work = ExtraWork(images=images, fill=self.config.fill, cap=self.config.cap, apart=True)
            self.tell_work(record, work)

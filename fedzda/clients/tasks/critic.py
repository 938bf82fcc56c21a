"""A discriminator that a client trains for itself."""

from __future__ import annotations

import torch

from fedzda.clients.optimizers import make_optimizer
from fedzda.clients.tasks.restoration_config import AdversarialConfig
from fedzda.clients.weights import load_arrays, snapshot
from fedzda.platform.config import AdamConfig
from fedzda.platform.records import Arrays
from fedzda.vision.restoration.adversarial import discriminator_loss, generator_loss
from fedzda.vision.restoration.networks import build


class Critic:
    """The discriminator of one client in one round.

    Args:
        config: Architecture, game, step size.
        channels: C of the images.
        rng: A CPU generator of the first weights.
        kept: Its arrays of the last round; None: it is new.
        device: Where it is trained.
    """

    def __init__(
        self,
        config: AdversarialConfig,
        channels: int,
        rng: torch.Generator,
        kept: Arrays | None,
        device: torch.device,
    ) -> None:
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.random.set_rng_state(rng.get_state())
            self.network = build(config.discriminator, channels).to(device)
        if kept is not None:
            load_arrays(self.network, kept)
        self.optimizer = make_optimizer(AdamConfig(lr=config.lr), self.network, 1.0)

    def judge(self, restored_NCHW: torch.Tensor, truth_NCHW: torch.Tensor) -> torch.Tensor:
        """What the generator lowers; the discriminator gets no gradient from it."""
        self.network.requires_grad_(False)
        real, fake = self.network(truth_NCHW), self.network(restored_NCHW)
        self.network.requires_grad_(True)
        return generator_loss(self.config.objective, real, fake)

    def learn(self, restored_NCHW: torch.Tensor, truth_NCHW: torch.Tensor) -> None:
        """One step of the discriminator on images that no gradient goes back to."""
        self.optimizer.zero_grad()
        real, fake = self.network(truth_NCHW), self.network(restored_NCHW)
        with torch.enable_grad():
            loss = discriminator_loss(self.config.objective, real, fake)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def arrays(self) -> Arrays:
        """Its weights."""
        return snapshot(self.network)

"""Adversarial objectives of restoration: relativistic, least squares, cross entropy per patch.

Discriminators give logits of any shape, positive for real. The relativistic average objective
(Jolicoeur-Martineau 2018, arXiv 1807.00734) asks whether a real image is more real than the mean
fake; least squares is Mao et al. 2017 (arXiv 1611.04076); ``patch`` is the plain objective of
Goodfellow et al. 2014 on every logit, as PatchGAN has it.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch.nn import functional

Objective = Literal["relativistic", "least-squares", "patch"]


def discriminator_loss(
    objective: Objective, real: torch.Tensor, fake: torch.Tensor
) -> torch.Tensor:
    """What the discriminator lowers.

    Args:
        objective: Which game.
        real: Logits of real images.
        fake: Logits of restored images, detached from the generator.
    """
    if objective == "least-squares":
        return ((real - 1).square().mean() + fake.square().mean()) / 2
    if objective == "relativistic":
        real, fake = real - fake.mean(), fake - real.mean()
    return (functional.softplus(-real).mean() + functional.softplus(fake).mean()) / 2


def generator_loss(objective: Objective, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """What the generator lowers.

    Args:
        objective: Which game.
        real: Logits of real images; only the relativistic game uses them.
        fake: Logits of restored images.
    """
    if objective == "least-squares":
        return (fake - 1).square().mean()
    if objective == "relativistic":
        real, fake = real - fake.mean(), fake - real.mean()
        return (functional.softplus(real).mean() + functional.softplus(-fake).mean()) / 2
    return functional.softplus(-fake).mean()

"""A generator of what enters a classifier's last layer, instead of images.

FedGen (Zhu, Hong, Zhou, ICML 2021, arXiv 2105.10056), section 3: a small network G(z | y) whose
output the classifiers' heads take for class y. Our choice: layer sizes are arguments.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from fedzda.base import UserError


class FeatureGenerator(nn.Module):
    """Labels and noise to features: one hidden layer with BatchNorm and ReLU.

    Args:
        num_classes: Number of labels.
        num_features: D, the inputs of the head.
        z_size: Dimensions of the noise, uniform in [0, 1).
        hidden: Units of the hidden layer.
    """

    def __init__(self, num_classes: int, num_features: int, z_size: int, hidden: int) -> None:
        super().__init__()
        self.num_classes, self.z_size = num_classes, z_size
        self.layers = nn.Sequential(
            nn.Linear(z_size + num_classes, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, num_features),
        )

    def forward(self, z_NZ: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
        """Features ``(N, D)`` of noise and int64 labels."""
        given = functional.one_hot(labels_N, self.num_classes).to(z_NZ.dtype)
        features: torch.Tensor = self.layers(torch.cat([z_NZ, given], dim=1))
        return features

    def noise(self, count: int, rng: torch.Generator) -> torch.Tensor:
        """``(count, z_size)`` on the CPU."""
        return torch.rand(count, self.z_size, generator=rng)


def head_of(model: nn.Module) -> tuple[str, nn.Linear]:
    """Name and module of a model's last linear layer.

    Raises:
        UserError: It has none.
    """
    layers = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear)]
    if not layers:
        raise UserError(
            "strategy 'fed-gen' makes what enters the model's last linear layer, and the model has "
            f"none ({type(model).__name__}). Choose a model that ends in a linear layer."
        )
    return layers[-1]


def feature_diversity(features_ND: torch.Tensor, z_NZ: torch.Tensor) -> torch.Tensor:
    """``exp(-mean_ij d(z_i, z_j) d(f_i, f_j))``, in (0, 1]: low where unlike noise gives unlike
    features.

    The distance of noise is the mean squared difference, that of features the mean absolute one, as
    in the authors' code; after Mao et al. 2019, arXiv 1903.05628.
    """
    between_z = (z_NZ[:, None] - z_NZ[None]).square().mean(dim=2)
    between_f = (features_ND[:, None] - features_ND[None]).abs().mean(dim=2)
    return torch.exp(-(between_z * between_f).mean())


def ensemble_loss(
    features_ND: torch.Tensor,
    labels_N: torch.Tensor,
    heads: Sequence[tuple[torch.Tensor, torch.Tensor]],
    weights_KC: torch.Tensor,
) -> torch.Tensor:
    """Cross entropy of the mean logits of K heads, the paper's equation 4.

    Args:
        features_ND: Generated features.
        labels_N: The labels that they were made for.
        heads: Weight ``(C, D)`` and bias ``(C,)`` of each head.
        weights_KC: How much head k counts for features of class c; columns sum to 1.
    """
    logits = torch.stack([functional.linear(features_ND, w, b) for w, b in heads])
    mixed = (weights_KC[:, labels_N, None] * logits).sum(dim=0)
    return functional.cross_entropy(mixed, labels_N)

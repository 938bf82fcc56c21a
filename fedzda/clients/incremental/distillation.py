"""How much a student still answers as the model before it, in the forms that baselines use.

Logits are ``(N, n_old)``, those of the old classes; teachers get no gradient.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from fedzda.generators.losses import kl_divergence


def softened(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """``T^2 KL(teacher || student)`` at temperature T: LwF (Li, Hoiem 2016, arXiv 1606.09282)."""
    return kl_divergence(teacher.detach(), student, temperature)


def sigmoid_targets(
    student_NS: torch.Tensor, teacher_NO: torch.Tensor | None, labels_N: torch.Tensor
) -> torch.Tensor:
    """iCaRL's loss (Rebuffi et al., CVPR 2017, algorithm 3): binary cross entropy per class.

    Old classes follow the sigmoid outputs of the old model, new ones the labels; summed over the
    seen classes, mean over samples.
    """
    targets_NS = functional.one_hot(labels_N, student_NS.shape[1]).to(student_NS.dtype)
    if teacher_NO is not None:
        targets_NS[:, : teacher_NO.shape[1]] = teacher_NO.detach().sigmoid()
    losses = functional.binary_cross_entropy_with_logits(student_NS, targets_NS, reduction="none")
    return losses.sum(dim=1).mean()


def weighted_features(
    student_ND: torch.Tensor, teacher_ND: torch.Tensor, old_weight_OD: torch.Tensor
) -> torch.Tensor:
    """ABD's importance-weighted features (Smith et al., ICCV 2021, arXiv 2106.09701).

    Squared differences of what the old head makes of both features, mean over samples and classes.
    """
    difference_NO = (student_ND - teacher_ND.detach()) @ old_weight_OD.detach().T
    return difference_NO.square().mean()


def hard_difference(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """R-DFCIL's hard distillation (Gao et al., ECCV 2022): mean absolute difference of logits."""
    return (student - teacher.detach()).abs().mean()


def angles(features_ND: torch.Tensor) -> torch.Tensor:
    """Cosines ``(N, N, N)`` of the angles that every triple of samples spans (Park et al. 2019)."""
    differences = features_ND[None] - features_ND[:, None]
    unit = functional.normalize(differences, dim=2)
    return torch.bmm(unit, unit.transpose(1, 2))


def relational(student_ND: torch.Tensor, teacher_ND: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of the angles in both feature spaces (R-DFCIL's relational term)."""
    return (angles(student_ND) - angles(teacher_ND.detach())).abs().mean()

"""Dual-teacher information distillation (DT-ID): one student, the old model and one of new data.

Choi, El-Khamy, Lee, CVPR Workshops 2021, arXiv 2106.09835; US 2022/0138633, claim 1. The bound
(VID), the layers, the weights and which samples feed which term are our choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from fedzda.clients.incremental.probe import Views
from fedzda.clients.incremental.vid import VID


class TwoTeachers(nn.Module):
    """All regressors of a phase, and their loss.

    Args:
        channels: Channels of each layer's map, which student and teachers share.
        options: ``strategy.dtid`` as plain data.
    """

    def __init__(self, channels: Sequence[int], options: Mapping[str, Any]) -> None:
        super().__init__()
        self.options = options
        mid, mse = options["mid_channels"], options["distance"] == "mse"
        self.joint = options["regressor"] == "joint"
        kinds = ("both",) if self.joint else ("old", "new")
        times = 2 if self.joint else 1
        self.regressors = nn.ModuleDict(
            {kind: nn.ModuleList(VID(c, times * c, mid, mse) for c in channels) for kind in kinds}
        )

    def variances(self) -> list[nn.Parameter]:
        """The raw variances, which get no weight decay; a squared error has none."""
        if self.options["distance"] == "mse":
            return []
        return [p for name, p in self.named_parameters() if name.endswith("raw_variance")]

    def weights(self) -> list[nn.Parameter]:
        """Everything else."""
        return [p for name, p in self.named_parameters() if not name.endswith("raw_variance")]

    @property
    def new_alone(self) -> bool:
        """Whether the second teacher's part looks at new data only."""
        return not self.joint and self.options["inputs_new"] == "new"

    def loss(
        self, student: Views, old: Views, new: Views, is_new: torch.Tensor, is_old: torch.Tensor
    ) -> torch.Tensor:
        """``sum_l w_old VID_old + w_new VID_new``.

        Args:
            student: Of real and replayed samples together.
            old: The old model's maps of the same samples.
            new: The new model's maps of the same samples, or of the first ones, the real ones, if
                it is for new data alone.
            is_new: ``(N,)`` samples of new classes.
            is_old: ``(N,)`` exemplars and replayed samples.
        """
        everything = torch.ones_like(is_new)
        if self.joint:
            both = [torch.cat(pair, dim=1) for pair in zip(old.maps, new.maps, strict=True)]
            weight = self.options["w_old"] + self.options["w_new"]
            joint: torch.Tensor = weight * self._sum("both", student.maps, both, everything)
            return joint
        first = is_old if self.options["inputs_old"] == "old" else everything
        second = is_new if self.options["inputs_new"] == "new" else everything
        of_old = self._sum("old", student.maps, old.maps, first)
        of_new = self._sum("new", student.maps, new.maps, second)
        whole: torch.Tensor = self.options["w_old"] * of_old + self.options["w_new"] * of_new
        return whole

    def _sum(
        self,
        kind: str,
        student: Sequence[torch.Tensor],
        teacher: Sequence[torch.Tensor],
        chosen: torch.Tensor,
    ) -> torch.Tensor:
        regressors: Any = self.regressors[kind]
        if not bool(chosen.any()):  # every regressor has to have a gradient in the first step
            return torch.stack([p.sum() * 0.0 for p in regressors.parameters()]).sum()
        size = len(teacher[0])
        rows = chosen[:size]
        terms = [
            regressor.loss(own[:size][rows], other[rows])
            for regressor, own, other in zip(regressors, student, teacher, strict=True)
        ]
        return torch.stack(terms).sum()

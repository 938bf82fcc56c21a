"""Configuration of distillation from an ensemble without data (imports no torch).

DENSE: Zhang et al., NeurIPS 2022, arXiv 2112.12371, and its public code. FedFTG: Zhang et al., CVPR
2022, arXiv 2203.09249. What neither says is our choice.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from fedzda.base import StrictConfig
from fedzda.generators.config import BNMatchConfig, NetworkName


class EnsembleGameConfig(StrictConfig):
    """A generator of hard images, and students that learn the ensemble's answers to them."""

    fast: ClassVar[dict[str, int]] = {"warmup_steps": 2, "turns": 2, "batch_size": 16}
    amounts: ClassVar[tuple[str, ...]] = ("turns",)

    warmup_steps: int = Field(default=100, ge=0)
    """Steps of a new generator without the adversarial term, before the first turn; students are
    left alone (our choice; the papers have none)."""
    turns: int = Field(default=10, ge=1)
    """How often generator and students take turns."""
    generator_steps: int = Field(default=1, ge=1)
    """Steps of the generator per turn (FedFTG: 1; DENSE trains a new one for 30 steps)."""
    student_steps: int = Field(default=4, ge=1)
    """Steps of every student per turn, each on fresh images; they cost less than the generator's
    (FedFTG: 5)."""
    batch_size: int = Field(default=64, ge=2, multiple_of=2)
    """Images per step (DENSE's code: 256)."""
    labels: Literal["counts", "balanced"] = "counts"
    """How labels are drawn: as often as the clients hold them (FedFTG's label sampling), or all
    equally often (DENSE)."""
    ensemble: Literal["class-counts", "uniform"] = "class-counts"
    """What a member's logits count for an image of a class: its share of the samples of that class
    (FedFTG's class-level ensemble), or one over the number of members (DENSE)."""
    ce_weight: float = Field(default=1.0, ge=0)
    """Generator: weight of the cross entropy between label and ensemble (both papers: 1)."""
    bn_weight: float = Field(default=1.0, ge=0)
    """Generator: weight of the distance to the members' BatchNorm statistics, a mean over the
    members that have some (DENSE: 1; FedFTG has no such term)."""
    adversarial_weight: float = Field(default=1.0, ge=0)
    """Generator: weight of the reward for images on which students differ from the ensemble
    (FedFTG: 1; DENSE's code: 1)."""
    hard: Literal["everywhere", "disagreement"] = "everywhere"
    """Where that reward is paid: on all images (FedFTG), or on those to which student and ensemble
    give different classes (DENSE's boundary support)."""
    diversity_weight: float = Field(default=1.0, ge=0)
    """Generator: weight of the reward for pairs of one class that differ as their noise does (mode
    seeking, as in zs-cgan; FedFTG has a term of the same purpose)."""
    generator_lr: float = Field(default=1e-3, gt=0)
    """Step size of the generator's Adam, whose moments start at zero in every game (DENSE:
    1e-3)."""
    betas: list[float] = Field(default=[0.5, 0.999], min_length=2, max_length=2)
    """Decay of Adam's first and second moment (DENSE's code: 0.5 and 0.999)."""
    network: NetworkName = "transposed"
    """The generator's network, as in zs-cgan."""
    z_size: int = Field(default=64, ge=1)
    """Dimensions of the noise (DENSE's code: 256)."""
    embedding_size: int = Field(default=64, ge=1)
    """Dimensions of the label embedding (not used by cond-mul and cond-bn)."""
    channels: int | None = Field(default=None, ge=2, multiple_of=2)
    """Channels of the start map; left out: the network's own."""
    bn: BNMatchConfig = BNMatchConfig()
    """The distance to BatchNorm statistics (DENSE: l2norm with reduction sum)."""
    student_lr: float = Field(default=0.03, gt=0)
    """Step size of the students' SGD (our choice; DENSE: 0.01)."""
    student_momentum: float = Field(default=0.9, ge=0, lt=1)
    """Its momentum, which starts at zero in every game (DENSE: 0.9)."""
    temperature: float = Field(default=1.0, gt=0)
    """Temperature of the divergence that students minimise (DENSE's code: 1 by default, 20 in its
    example)."""
    student_batchnorm: Literal["frozen", "update"] = "frozen"
    """Keep the students' stored statistics, or let made images move them, as public code does."""

"""Configuration of class-incremental learning (imports no torch). What abstract, claims or public
code do not say is our choice; ``docs/methods/class-incremental.md`` has the list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializeAsAny

from fedzda.base import StrictConfig
from fedzda.platform.config import SimulationConfig, Slot
from fedzda.strategies.config import MeanConfig

Base = Literal["fine-tune", "joint", "lwf", "icarl", "lucir", "abd-like", "r-dfcil-like"]


class DFGRConfig(StrictConfig):
    """Data-free generative replay: samples of old classes from a generator of the old model."""

    fast: ClassVar[Mapping[str, Any]] = {"store": 16, "sent_images": 16}

    enabled: bool = True
    """Whether old classes are replayed."""
    synthesizer: Annotated[SerializeAsAny[StrictConfig], Slot("synthesizers")] = Field(
        default={"name": "zs-cgan", "steps": 500, "batch_size": 128}  # type: ignore[assignment]
    )
    """How images are made from the old model; trained from scratch by the server, every phase."""
    tau: float = Field(default=1.0, gt=0)
    """Divides the old model's logits in the generator's losses; below 1 sharpens a cosine head."""
    images: Literal["generator", "noise"] = "generator"
    """What is replayed: samples of the generator, or uniform noise with the same labels, a
    control."""
    deliver: Literal["generator", "samples"] = "generator"
    """What clients receive in every round of a phase: the generator, or samples of it."""
    sent_images: int = Field(default=2000, ge=2)
    """Samples sent where ``deliver`` is samples, as bytes of pixels."""
    store: int | None = Field(default=None, ge=2)
    """Samples that a client draws once per round and reuses; left out: fresh ones in every step."""
    ratio: float = Field(default=1.0, gt=0)
    """Replayed samples of a step, as a multiple of the real batch."""
    capped: bool = True
    """Never more than make old classes together, exemplars included, as frequent as new ones."""
    synthetic_ce: float = Field(default=1.0, ge=0)
    """Weight of the cross entropy to the replayed labels."""
    synthetic_kd: float = Field(default=1.0, ge=0)
    """Weight of the distillation of the old model's outputs on replayed samples."""
    temperature: float = Field(default=2.0, gt=0)
    """Temperature of that distillation."""
    bn_forward: Literal["joint", "separate"] = "joint"
    """Real and replayed samples in one pass, or in two of which the second moves no BatchNorm
    statistics."""
    bn_refresh: Literal["none", "replay"] = "none"
    """At the end of a phase, estimate BatchNorm statistics anew from equally many samples of every
    seen class, replayed ones for old classes; otherwise they follow the new classes most."""


class DTIDConfig(StrictConfig):
    """Dual-teacher information distillation: the old model, and one trained on new data alone."""

    fast: ClassVar[Mapping[str, Any]] = {"teacher_rounds": 0}

    enabled: bool = True
    """Whether there is a second teacher."""
    beta: float = Field(default=1.0, ge=0)
    """Weight of the whole term."""
    w_old: float = Field(default=1.0, ge=0)
    """Weight of the old model's part."""
    w_new: float = Field(default=1.0, ge=0)
    """Weight of the second teacher's part; 0: a single teacher (a control)."""
    layers: list[str] | None = Field(default=None, min_length=1)
    """Modules whose outputs are distilled; left out: the last of each stage of a built-in model."""
    distance: Literal["vid", "mse"] = "vid"
    """Variational information distillation, or a squared error with the same regressors."""
    regressor: Literal["separate", "joint"] = "separate"
    """One regressor per teacher and layer, or one per layer that predicts both teachers."""
    mid_channels: int | None = Field(default=None, ge=1)
    """Hidden channels of a regressor; left out: as many as the teacher's."""
    inputs_old: Literal["old", "all"] = "old"
    """Samples for the old model's part: exemplars and replayed ones, or new data as well."""
    inputs_new: Literal["new", "all"] = "new"
    """Samples for the second teacher's part: new data, or old ones as well."""
    teacher_init: Literal["old", "scratch"] = "old"
    """Initial weights of the second teacher: the old model's, or fresh ones."""
    teacher_rounds: int = Field(default=0, ge=0)
    """The first so many rounds of a phase train the second teacher by federated averaging, and the
    student has to do with the others. 0: every client trains one of its own in its first round of
    the phase, for as many epochs as a round has."""


class FedDFGRConfig(MeanConfig):
    """Class-incremental learning, with data-free generative replay and two teachers."""

    exemplars = True
    name: Literal["fed-dfgr"] = "fed-dfgr"
    base: Base = "lucir"
    """What a phase starts from: plain cross entropy, all data of seen classes (joint, the upper
    bound), LwF, iCaRL, LUCIR, or the losses of ABD or R-DFCIL with this generator."""
    dfgr: DFGRConfig = Field(default={})  # type: ignore[assignment]
    """Replay."""
    dtid: DTIDConfig = DTIDConfig()
    """The second teacher."""
    schedule: Literal["constant", "steps", "cosine"] = "constant"
    """Step size over the student's part of a phase: constant, a tenth after half and a hundredth
    after three quarters (LUCIR), or half a cosine."""
    imprint: bool = True
    """LUCIR: start rows of new classes from the mean feature of their samples."""
    kd_weight: float = Field(default=1.0, ge=0)
    """LwF's weight of the old model's outputs on new data."""
    kd_temperature: float = Field(default=2.0, gt=0)
    """LwF's temperature (the paper: 2)."""
    less_forget: float = Field(default=5.0, ge=0)
    """LUCIR's base weight of the feature term, times ``sqrt(n_old / n_new)`` (CIFAR-100: 5,
    ImageNet: 10)."""
    mr_weight: float = Field(default=1.0, ge=0)
    """LUCIR's weight of the margin ranking term (the authors' code: 1)."""
    mr_k: int = Field(default=2, ge=1)
    """New classes per sample in it (the authors' code: 2)."""
    mr_margin: float = Field(default=0.5, ge=0)
    """Its margin (the authors' code: 0.5)."""
    mr_on_synthetic: bool = True
    """Whether replayed samples take part in it."""
    feature_kd_weight: float = Field(default=0.1, ge=0)
    """``abd-like``: weight of the importance-weighted features."""
    hard_kd_weight: float = Field(default=0.15, ge=0)
    """``r-dfcil-like``: weight of the hard distillation."""
    relational_weight: float = Field(default=0.5, ge=0)
    """``r-dfcil-like``: weight of the relational term."""

    @property
    def cumulative(self) -> bool:
        """Whether clients train on their samples of earlier phases, too."""
        return self.base == "joint"

    def problems_in(self, whole: SimulationConfig) -> Iterator[tuple[str, str]]:
        """What base, replay and second teacher need in a scenario; without one nothing counts."""
        yield from super().problems_in(whole)
        scenario: Any = whole.scenario
        if scenario is None:
            return
        yield from self._base_problems(scenario)
        spent, length = self.dtid.teacher_rounds, scenario.rounds_per_phase
        if self.dtid.enabled and spent >= length:
            yield (
                "strategy.dtid.teacher_rounds",
                f"'strategy.dtid.teacher_rounds' should be below scenario.rounds_per_phase, which "
                f"is {length}, so that the student has a round (got {spent}). Lower it, or raise "
                "scenario.rounds_per_phase.",
            )
        if self.dfgr.bn_refresh == "replay" and not self.dfgr.enabled:
            yield (
                "strategy.dfgr.bn_refresh",
                "'strategy.dfgr.bn_refresh' is 'replay', and strategy.dfgr.enabled is false: there "
                "is nothing to replay. Set bn_refresh to 'none', or enabled to true.",
            )

    def _base_problems(self, scenario: Any) -> Iterator[tuple[str, str]]:
        """Heads, exemplars and replay that a base method stands and falls with."""
        base, key = self.base, "strategy.base"
        if base == "lucir" and scenario.head != "cosine":
            yield (
                key,
                f"'strategy.base' is 'lucir', which compares cosines, and scenario.head is "
                f"'{scenario.head}'. Set scenario.head to 'cosine', or choose another base.",
            )
        if base == "icarl" and not (scenario.keeps_exemplars or self.dfgr.enabled):
            yield (
                key,
                "'strategy.base' is 'icarl', which learns from exemplars and classifies by their "
                "means, and the scenario keeps none. Set scenario.exemplars_per_class, for example "
                "to 20, or choose base 'lwf'.",
            )
        if base in ("abd-like", "r-dfcil-like") and not self.dfgr.enabled:
            yield (
                key,
                f"'strategy.base' is '{base}', which learns old classes from replayed samples "
                "alone, and strategy.dfgr.enabled is false. Set it to true, or choose base 'lwf'.",
            )
        more = self.dfgr.enabled or self.dtid.enabled or scenario.keeps_exemplars
        if base == "joint" and more:
            yield (
                key,
                "'strategy.base' is 'joint', the upper bound on all data of the seen classes, "
                "beside which nothing else counts. Set strategy.dfgr.enabled and "
                "strategy.dtid.enabled to false, and keep no exemplars.",
            )

"""Configuration of distillation across architectures (imports neither torch nor Flower)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import Field

from fedzda.generators.ensemble_config import EnsembleGameConfig
from fedzda.platform.config import SimulationConfig
from fedzda.strategies.config.mean import MeanConfig


class EnsembleDistillationConfig(MeanConfig, EnsembleGameConfig):
    """Averages by architecture, and distils the clients' ensemble into every one without data."""

    variants = True
    classifies = "distils what classifiers say"
    distils: ClassVar[bool] = True
    """Whether architectures that nobody trains learn as well."""
    fast: ClassVar[dict[str, int]] = {**EnsembleGameConfig.fast, "start_round": 1, "every": 1}
    begins: ClassVar[tuple[str, ...]] = ("start_round",)
    no_scenario = (
        "distils into a head whose classes are all there. Choose fed-avg for fine-tuning, or "
        "fed-dfgr, whose distillation knows phases"
    )

    name: Literal["ensemble-distillation"] = "ensemble-distillation"
    start_round: int = Field(default=5, ge=1)
    """First round with distillation: early models make images without meaning."""
    every: int = Field(default=1, ge=1)
    """Distil in every so many rounds from then on."""
    members: Literal["clients", "averages"] = "averages"
    """What the ensemble is made of: the averages by architecture, which cost as little as there are
    architectures, hide the single client, and in our measurements harm strong architectures less;
    or the models that came back (both papers)."""

    students: Literal["all", "others"] = "all"
    """Which architectures learn: all (both papers), or those beside the simulation's own, which
    then stays what its clients' average is."""

    def distils_in(self, server_round: int) -> bool:
        """Whether a round ends with distillation."""
        since = server_round - self.start_round
        return since >= 0 and since % self.every == 0

    @property
    def needs_counts(self) -> bool:
        """Whether clients report how many samples of each class they hold."""
        return self.labels == "counts" or self.ensemble == "class-counts"

    def problems_in(self, whole: SimulationConfig) -> Iterable[tuple[str, str]]:
        """It distils logits of whole models."""
        yield from super().problems_in(whole)
        forms = whole.devices.variants()
        if self.students == "others" and not any(form.architecture for form in forms):
            yield (
                "strategy.students",
                "'strategy.students' is 'others', and no device has an architecture beside the "
                "simulation's own. Set it to 'all', or give devices variant 'architecture'.",
            )
        for form in forms:
            if form.trains and not form.plain_training and form.name in ("width", "auto", "depth"):
                yield (
                    "strategy.name",
                    "strategy 'ensemble-distillation' asks whole models for their answers, and "
                    f"some devices train variant '{form.name}', a part of one. Give them variant "
                    "'architecture', or set strategy.name to 'fed-avg'.",
                )
                return

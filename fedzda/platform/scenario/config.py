"""Configuration of scenarios (imports no torch)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from fedzda.platform import plugins
from fedzda.platform.config import ScenarioConfig, SimulationConfig


class ClassIncrementalConfig(ScenarioConfig):
    """Classes arrive in phases; nobody sees the data of earlier phases again, but for exemplars."""

    fast: ClassVar[Mapping[str, Any]] = {"base_rounds": 1, "rounds_per_phase": 1}

    name: Literal["class-incremental"] = "class-incremental"
    base_classes: int = Field(ge=2)
    """Classes of phase 0, the base phase."""
    classes_per_phase: int = Field(ge=1)
    """Classes of every further phase."""
    phases: int | None = Field(default=None, ge=1)
    """Phases after the base phase; left out: until all classes have been seen."""
    order_seed: int | None = Field(default=1993, ge=0)
    """Seed of the order of the classes, drawn by NumPy's legacy generator as the field does; null:
    the data set's own order."""
    base_rounds: int | None = Field(default=None, ge=0)
    """Rounds of the base phase; left out: ``rounds_per_phase``. 0: the base classes are known, the
    model comes from ``start_from``, and the first round begins phase 1."""
    rounds_per_phase: int = Field(default=1, ge=1)
    """Rounds of every further phase."""
    exemplars_per_class: int = Field(default=0, ge=0)
    """Training samples of each old class that a client may keep, chosen by herding."""
    exemplars_total: int | None = Field(default=None, ge=1)
    """Samples that a client may keep for all its old classes together, shared evenly, instead of
    ``exemplars_per_class``."""
    head: Literal["linear", "cosine"] = "linear"
    """The last layer: linear, or a learned scale times the cosine of feature and class embedding
    (which ``base: lucir`` needs)."""

    @property
    def keeps_exemplars(self) -> bool:
        """Whether clients keep samples of old classes at all."""
        return bool(self.exemplars_per_class or self.exemplars_total)

    def problems_in(self, whole: SimulationConfig) -> Iterator[tuple[str, str]]:
        """Task and strategy have to know classes and phases."""
        task: Any = whole.task
        name = getattr(task, "name", None)
        if name != "classification" and plugins.ours("tasks", name):
            yield (
                "scenario",
                f"'scenario' lets classes arrive in phases, and 'task.name' is '{name}'. Set it to "
                "'classification', or leave scenario out.",
            )
        strategy: Any = whole.strategy
        name = getattr(strategy, "name", "of your own")
        if reason := getattr(strategy, "no_scenario", ""):
            yield (
                "strategy.name",
                f"'strategy.name' is '{name}', which {reason}; or leave scenario out.",
            )
        yield from self._base_problems(whole)
        if self.keeps_exemplars and not getattr(strategy, "exemplars", False):
            yield (
                "scenario",
                f"'scenario' asks clients to keep exemplars, and strategy '{name}' does not use "
                "any. Choose strategy 'fed-dfgr', whose base 'fine-tune' replays them, or leave "
                "exemplars_per_class and exemplars_total out.",
            )
        if self.exemplars_per_class and self.exemplars_total:
            yield (
                "scenario.exemplars_total",
                f"'scenario.exemplars_total' stands for 'scenario.exemplars_per_class', which is "
                f"{self.exemplars_per_class} (got {self.exemplars_total}). Leave one of them out.",
            )

    def _base_problems(self, whole: SimulationConfig) -> Iterator[tuple[str, str]]:
        """What a run without a base phase needs, and what it cannot have."""
        if self.base_rounds != 0:
            return
        if whole.start_from is None:
            yield (
                "scenario.base_rounds",
                "'scenario.base_rounds' is 0, so the model must know the base classes already, and "
                "'start_from' is left out. Name a run or weights there, or raise base_rounds.",
            )
        if self.keeps_exemplars:
            yield (
                "scenario.base_rounds",
                "'scenario.base_rounds' is 0, so no client has seen the base classes in this run, "
                "and the scenario keeps exemplars of them. Leave exemplars_per_class and "
                "exemplars_total out, or raise base_rounds.",
            )

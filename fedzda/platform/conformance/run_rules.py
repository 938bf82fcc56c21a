"""Rules about whole runs, for components of every kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fedzda.platform.conformance import runs
from fedzda.platform.conformance.tiny import tiny

if TYPE_CHECKING:
    from fedzda.platform.config import SimulationConfig
    from fedzda.platform.conformance.check import Bench, Rule


def config_of(bench: Bench, **changes: Any) -> SimulationConfig:
    """The tiny simulation around the component."""
    return tiny(bench.subject, bench.output, bench.base, **changes)


def runs_twice(bench: Bench) -> None:
    """A simulation ends, leaves a sound model, and a second one ends the same."""
    runs.sound(runs.same_twice(config_of(bench), bench.folder))


def resumes(bench: Bench) -> None:
    """A resumed simulation ends as one that never stopped."""
    runs.resumes(config_of(bench), bench.folder)


def single_sample(bench: Bench) -> None:
    """A client with one sample breaks nothing."""
    runs.single_sample(config_of(bench), bench.folder)


RUNS_TWICE: Rule = ("a simulation runs, and a second one ends with the same bits", runs_twice)
RESUMES: Rule = ("a resumed simulation ends with the same bits", resumes)
SINGLE_SAMPLE: Rule = ("a client with a single sample takes part", single_sample)

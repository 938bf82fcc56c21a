"""Rules about whole runs, for components of every kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fedzda.platform.conformance import runs
from fedzda.platform.conformance.tiny import tiny

if TYPE_CHECKING:
    from fedzda.platform.config import SimulationConfig
    from fedzda.platform.conformance.check import Bench, Rule
    from fedzda.platform.runs import Run


def config_of(bench: Bench, **changes: Any) -> SimulationConfig:
    """The tiny simulation around the component."""
    return tiny(bench.subject, bench.output, bench.base, **changes)


def straight(bench: Bench) -> Run:
    """The tiny simulation, run to its end once a check. Raises Broken if it does not get there."""
    if "straight" not in bench.kept:
        bench.kept["straight"] = runs.play(config_of(bench), bench.folder)
    return bench.kept["straight"]


def runs_twice(bench: Bench) -> None:
    """A simulation ends, leaves a sound model, and a second one ends the same."""
    runs.same_twice(straight(bench), bench.folder)
    runs.sound(straight(bench))


def resumes(bench: Bench) -> None:
    """A resumed simulation ends as one that never stopped."""
    runs.resumes(straight(bench), bench.folder)


def single_sample(bench: Bench) -> None:
    """A client with one sample breaks nothing."""
    runs.single_sample(config_of(bench), bench.folder)


RUNS_TWICE: Rule = ("a simulation runs, and a second one ends with the same bits", runs_twice)
RESUMES: Rule = ("a resumed simulation ends with the same bits", resumes)
SINGLE_SAMPLE: Rule = ("a client with a single sample takes part", single_sample)

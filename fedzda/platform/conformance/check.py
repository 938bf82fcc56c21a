"""``check``: all rules of a kind on one component, each with an outcome of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedzda.base import UserError
from fedzda.platform import plugins
from fedzda.platform.config.load import find_source, load_config
from fedzda.platform.config.yaml_loader import load_file
from fedzda.platform.conformance.findings import Broken, Finding, reason
from fedzda.platform.conformance.subject import Subject, subject_of
from fedzda.platform.conformance.tiny import DIGITS

if TYPE_CHECKING:
    from fedzda.platform.runs import Run

Rule = tuple[str, Callable[["Bench"], None]]
"""What is checked, and the function that raises :class:`Broken` where it does not hold."""


@dataclass(frozen=True)
class Bench:
    """What the rules work with.

    Attributes:
        subject: The component.
        base: The simulation it is put into.
        folder: Where relative paths of that simulation start.
        output: Where runs may be written; goes when the check is over.
        kept: Runs that several rules look at, by what they are.
    """

    subject: Subject
    base: Mapping[str, Any]
    folder: Path
    output: Path
    kept: dict[str, Run] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """The outcome for one component."""

    target: str
    kind: str
    findings: list[Finding]

    @property
    def problems(self) -> list[str]:
        """A sentence for every rule that is broken."""
        return [found.problem for found in self.findings if found.problem]


def check(
    target: str,
    kind: str | None = None,
    args: Mapping[str, Any] | None = None,
    simulation: str | Path | None = None,
    tell: Callable[[Finding], None] = lambda found: None,
) -> Report:
    """Run the checks of a component's kind on it.

    Args:
        target: ``package.module:Name``; the working directory is searched first.
        kind: One of :data:`~fedzda.platform.conformance.subject.KINDS`, such as ``model``; left
            out: told by what it derives from, offers and takes.
        args: What stands beside its name in a simulation's file.
        simulation: A file or shipped simulation that the component fits into, whose other blocks
            are used; left out: digits.
        tell: Told about every finding as it is made.

    Raises:
        UserError: The component or the simulation cannot be found or read, or the kind is open.
    """
    plugins.add_plugin_folder(Path.cwd())
    base, folder = _base(simulation)
    with subject_of(target, kind, args or {}) as subject, tempfile.TemporaryDirectory() as output:
        bench = Bench(subject, base, folder, Path(output))
        findings = []
        for finding in _findings(bench):
            findings.append(finding)
            tell(finding)
    return Report(target, subject.kind, findings)


def _base(simulation: str | Path | None) -> tuple[Mapping[str, Any], Path]:
    if simulation is None:
        return DIGITS, Path.cwd()
    folder = load_config(simulation).folder  # with all that is wrong with it
    path, label = find_source(simulation)
    return load_file(path, label).data, folder


def _findings(bench: Bench) -> Iterator[Finding]:
    """One finding per rule; where the first, on which all others stand, is broken, no others."""
    for number, (name, rule) in enumerate(_rules(bench.subject.kind)):
        try:
            rule(bench)
        except Broken as broken:
            yield Finding(name, str(broken))
        except (KeyboardInterrupt, SystemExit):
            raise
        except UserError as error:
            yield Finding(name, reason(error))
        except Exception as error:
            yield Finding(name, f"it raised {reason(error)}")
        else:
            yield Finding(name)
            continue
        if number == 0:
            return


def _rules(kind: str) -> list[Rule]:
    """The rules of a kind, from its module."""
    module = "data" if kind in ("dataset", "partitioner", "shift") else kind
    rules: dict[str, list[Rule]] = plugins.import_target(
        f"fedzda.platform.conformance.{module}_rules:RULES"
    )
    return rules[kind]

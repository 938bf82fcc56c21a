"""The section on class-incremental learning: what is known after every phase, and by whom."""

from __future__ import annotations

from typing import Any

from fedzda.platform.report.blocks import section, table
from fedzda.platform.report.data import RunData
from fedzda.platform.report.markup import Markup, join, tag
from fedzda.platform.report.units import DASH, NBSP


def part(data: RunData) -> Markup | None:
    """Figures of every phase, or None for a run without phases."""
    found = data.phases
    if not found:
        return None
    by_round = dict(data.history)
    columns = ["Phase", "Classes seen", "All seen", "Old classes", "New classes"]
    columns += ["Mean over clients", "Worst tenth"]
    key, name = _other_rule(found)
    columns += [name] if key else []
    rows = []
    for phase, seen in enumerate(found["classes_seen"]):
        clients = by_round.get(found["last_rounds"][phase], {})
        shown = [found[figure][phase] for figure in ("accuracy", "old", "new")]
        shown += [clients.get(figure) for figure in ("mean", "worst10")]
        shown += [found[key][phase]] if key else []
        rows.append([str(phase), str(seen), *map(_percent, shown)])
    lead = (
        f"Average incremental accuracy {_percent(found['average'])} over {len(rows)} of "
        f"{found['phases']} phases, the base phase included; {_percent(found['last'])} at the end, "
        f"{_percent(found['forgetting'])} forgotten per old class."
    )
    note = (
        "All, old and new: accuracy on the global test set after the phase. The average without "
        f"the base phase is {_percent(found['average_without_base'])}, weighted by the classes "
        f"seen {_percent(found['weighted'])}. Clients: their own test samples of the classes seen."
        + _RULES[key]
    )
    content = join(
        tag("p", lead), table(columns, rows, "Accuracy by phase"), tag("p", note, class_="note")
    )
    return section("What is left of earlier classes", content, wide=True)


_RULES = {
    "": "",
    "accuracy_nme": " By nearest mean: all seen classes, each sample given the class whose "
    "exemplars' mean feature is nearest; everything else is the classifier's.",
    "accuracy_classifier": " Classes are told by the nearest mean of exemplars, the method's own "
    "rule; by classifier: all seen classes by the last layer instead.",
}
"""What is said about the column of a rule that is not the method's own."""


def _other_rule(found: dict[str, Any]) -> tuple[str, str]:
    """Key and heading of the accuracy by a second rule; empty where there is none."""
    if "accuracy_nme" in found:
        return "accuracy_nme", "By nearest mean"
    return ("accuracy_classifier", "By classifier") if "accuracy_classifier" in found else ("", "")


def _percent(value: float | None) -> str:
    return DASH if value is None else f"{100 * value:.1f}{NBSP}%"

"""The section on class-incremental learning: what is known after every phase, and by whom."""

from __future__ import annotations

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
    rows = []
    for phase, seen in enumerate(found["classes_seen"]):
        clients = by_round.get(found["last_rounds"][phase], {})
        shown = [found[key][phase] for key in ("accuracy", "old", "new")]
        shown += [clients.get(key) for key in ("mean", "worst10")]
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
    )
    content = join(
        tag("p", lead), table(columns, rows, "Accuracy by phase"), tag("p", note, class_="note")
    )
    return section("What is left of earlier classes", content, wide=True)


def _percent(value: float | None) -> str:
    return DASH if value is None else f"{100 * value:.1f}{NBSP}%"

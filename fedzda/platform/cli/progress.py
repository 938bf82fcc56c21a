"""The progress of a run: a bar on a terminal, else one plain line per round."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from fedzda.platform.cli.text import human_bytes, human_time

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress


class Progress:
    """A callback of :class:`Simulation` that shows where a run stands.

    Args:
        quiet: Show nothing; the run folder is still remembered.
        console: Where to write; left out: standard output.

    Attributes:
        run_folder: The folder of the run, once it has started.
    """

    def __init__(self, quiet: bool = False, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self.quiet = quiet
        self.run_folder: Path | None = None
        self._bar: RichProgress | None = None
        self._bytes: int | None = None
        self._known = ""

    def start(self, simulation: Any, run_folder: Path) -> None:
        """The run has a folder now; its workers are starting."""
        self.run_folder = run_folder
        if self.quiet:
            return
        self.console.print(f"run folder: {run_folder}", markup=False)
        if self.console.is_terminal:
            self._bar = _bar(self.console)
            self._bar.add_task("", total=simulation.config.rounds, note="starting")
            self._bar.start()

    def round(self, row: dict[str, Any], total_rounds: int) -> None:
        """A round is done; ``row`` is its line of rounds.jsonl and ``eta_sec``."""
        if self.quiet:
            return
        if self._bytes is None:
            self._bytes = self._bytes_before(row["round"])
        self._bytes += sum(row["bytes"].values())
        self._known = _figures(row["metrics"]) or self._known
        parts = [
            f"round {row['round']}/{total_rounds}",
            f"ETA {human_time(row['eta_sec'])}",
            *([self._known] if self._known else []),
            human_bytes(self._bytes),
        ]
        if row["clients"]["failed"]:
            parts.append(f"{row['clients']['failed']} failed")
        line = "  ".join(parts)
        if self._bar is None:
            self.console.print(line, markup=False)
        else:
            self._bar.update(self._bar.task_ids[0], completed=row["round"], note=line)

    def _bytes_before(self, round_: int) -> int:
        """What was sent in earlier rounds, which a run that goes on has written down."""
        file = None if self.run_folder is None else self.run_folder / "rounds.jsonl"
        if round_ == 1 or file is None or not file.is_file():
            return 0
        rows = map(json.loads, file.read_text(encoding="utf-8").splitlines())
        return sum(sum(row["bytes"].values()) for row in rows if row["round"] < round_)

    def finish(self, summary: dict[str, Any]) -> None:
        """All rounds are done."""
        self.close()

    def close(self) -> None:
        """Take the bar down; needed when a run ends early, and harmless otherwise."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def primary_metric(metrics: dict[str, Any]) -> str | None:
    """The metric that figures are quoted of: the first that is not the loss."""
    named = [name for name in metrics if name != "loss"] or list(metrics)
    return named[0] if named else None


def figure(value: float | None) -> str:
    """Three decimals, or a dash where a figure is not defined."""
    return "—" if value is None else f"{value:.3f}"


def _figures(metrics: dict[str, Any]) -> str:
    name = primary_metric(metrics)
    if name is None:
        return ""
    found = metrics[name]
    return f"{name} {figure(found['mean'])}, worst 10 % {figure(found['worst10'])}"


def _bar(console: Console) -> RichProgress:
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column

    one_line = Column(no_wrap=True, overflow="ellipsis")
    note = TextColumn("{task.fields[note]}", markup=False, table_column=one_line)
    return RichProgress(BarColumn(bar_width=10), note, console=console)

"""Records of a Flower app's run: rounds are told apart by what the app sends."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from fedzda.platform.engines.grid import Exchange
from fedzda.platform.fairness import describe, summarise
from fedzda.platform.files import json_line
from fedzda.platform.finish import round_means
from fedzda.platform.recorder import Recorder
from fedzda.platform.report.units import metric
from fedzda.platform.runs import RunFolder

_LAST = 10
_PARTS = ("schedule", "transfer", "train", "aggregate", "evaluate")


class AppRecords:
    """Watches the exchanges of a run, and writes client table and ``rounds.jsonl``.

    A round ends where ``server-round`` of the app's messages changes. An app that sends none begins
    a round whenever it trains after it has evaluated.

    Args:
        folder: The run folder.
        seed: Seed of the run, for the intervals.
        tell: Called with the row of every round.
    """

    def __init__(
        self, folder: RunFolder, seed: int, tell: Callable[[dict[str, Any]], None]
    ) -> None:
        self.folder, self.seed, self.tell = folder, seed, tell
        self.recorder = Recorder(folder.clients)
        self.round = 0
        self.seconds = dict.fromkeys(_PARTS, 0.0)
        self.bytes = {"down": 0, "up": 0}
        self.failures = {"retried": 0, "lost": 0}
        self.final: dict[str, dict[str, Any]] = {}
        self._spent = dict.fromkeys(_PARTS, 0.0)
        self._since = time.perf_counter()
        self._seen: set[str] = set()

    def observe(self, exchange: Exchange) -> None:
        """Take down an exchange (an :class:`EngineGrid` observer)."""
        phase = exchange.phase.partition(".")[0]
        again = phase == "train" and "evaluate" in self._seen
        wanted = exchange.round or (self.round + 1 if again else max(1, self.round))
        if wanted != self.round:
            self.end_round()
            self.round = wanted
        exchange.round = self.round
        self._seen.add(phase)
        now = time.perf_counter()
        self._spent[phase if phase in _PARTS else "schedule"] += now - self._since
        self._since = now
        self.failures["retried"] += sum(reply.retried for reply in exchange.replies)
        self.failures["lost"] += sum(bool(reply.error) for reply in exchange.replies)
        self.recorder.observe(exchange)

    def end_round(self) -> None:
        """Write what was seen since the last round ended; nothing if nothing was."""
        if not self._seen:
            return
        recorder = self.recorder
        figures = {}
        for name, (values, weights) in self._evaluated().items():
            better = metric(name).higher_is_better
            figures[name] = describe(values, weights, higher_is_better=better)
            self.final[name] = summarise(values, weights, self.seed, higher_is_better=better)
        row = {
            "round": self.round,
            "seconds": {**self._spent, "total": sum(self._spent.values())},
            "bytes": dict(recorder.bytes),
            "clients": {
                "sampled": recorder.sampled,
                "done": recorder.done,
                "failed": recorder.failed,
            },
            "metrics": figures,
            "server": {},
        }
        for part in _PARTS:
            self.seconds[part] += self._spent[part]
        for way in self.bytes:
            self.bytes[way] += recorder.bytes[way]
        with self.folder.rounds.open("a", encoding="utf-8") as file:
            file.write(json_line(row))
        recorder.flush(self.round)
        self._spent, self._seen = dict.fromkeys(_PARTS, 0.0), set()
        self.tell(row)

    def _evaluated(self) -> dict[str, Any]:
        """Values and weights of each metric on the clients' test data; losses come last."""
        found = {
            name: pair
            for (_, split, name), pair in self.recorder.evaluated.items()
            if split == "test"
        }
        return dict(sorted(found.items(), key=lambda item: not metric(item[0]).higher_is_better))

    def metrics(self) -> dict[str, dict[str, Any]]:
        """Figures of the last evaluated round with intervals, as in ``summary.json``."""
        means = round_means(self.folder) if self.folder.rounds.is_file() else {}
        for name, figures in self.final.items():
            recent = means.get(name, [])[-_LAST:]
            figures["last10_mean"] = sum(recent) / len(recent) if recent else None
        return self.final

"""What the report shows of a run, gathered once from its files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fedzda.base import UserError
from fedzda.platform import fairness
from fedzda.platform.gains import require_alone, require_same_data
from fedzda.platform.report import load
from fedzda.platform.report.load import ClientValues, Floats, Ints, RunFiles
from fedzda.platform.report.units import Metric, metric

MAP_CLIENTS = 100
"""Most clients in a client by class map."""
MAP_CLASSES = 100
"""Most classes in a client by class map."""
MAP_CELLS = 4000
"""Most cells in a client by class map."""


@dataclass(frozen=True)
class RunData:
    """One run, ready to be drawn. Parts that the run has no files for are None or empty.

    Attributes:
        folder: The small files.
        metric: The metric that the report is about.
        final: That metric of every client in the last evaluated round.
        class_names: Names of the classes, index is the label.
        gains: What the clients gain over a local-only run, where one was named.
    """

    folder: RunFiles
    metric: Metric
    final: ClientValues | None
    class_names: list[str]
    gains: Gains | None = None

    @cached_property
    def figures(self) -> dict[str, Any]:
        """Fairness figures of the last evaluated round; ``{}`` if nothing was evaluated.

        They come from ``summary.json`` once the run is finished, else from the client table.
        """
        stored = self.folder.summary.get("metrics", {}).get(self.metric.name)
        if stored:
            return dict(stored)
        if self.final is None:
            return {}
        better = self.metric.higher_is_better
        return fairness.summarise(
            self.final.value,
            self.final.num_examples,
            int(self.folder.config.get("seed", 0)),
            higher_is_better=better,
        )

    @cached_property
    def ranking(self) -> Ints:
        """Positions in ``final`` of the clients with a value, worst first, ties by client id."""
        if self.final is None:
            return np.empty(0, dtype=np.int64)
        value = self.final.value if self.metric.higher_is_better else -self.final.value
        order = np.argsort(value, kind="stable")
        return np.asarray(order[np.isfinite(value[order])], dtype=np.int64)

    @cached_property
    def worst(self) -> Ints:
        """Positions in ``final`` of the worst tenth."""
        return self.ranking[: fairness.tail_size(self.ranking.size)]

    @cached_property
    def sizes(self) -> tuple[str, Ints]:
        """What a client's size is, and the sizes as ``final``: training samples if known of all."""
        if self.final is None:
            return "training samples", np.empty(0, dtype=np.int64)
        trained = load.train_sizes(self.folder.path, self.final.client)
        if trained is not None and (trained > 0).all():
            return "training samples", trained
        return "test samples", self.final.num_examples

    @cached_property
    def class_recalls(self) -> dict[int, tuple[float, int]]:
        """Label to (mean recall, clients that hold it) in the last evaluated round."""
        if self.final is None:
            return {}
        return load.class_recalls(self.folder.path, self.final.round)

    @cached_property
    def all_classes(self) -> list[int]:
        """All labels that the run knows of, ascending."""
        held = set(load.labels_held(self.folder.path)) | set(self.class_recalls)
        return sorted(held | set(range(len(self.class_names))))

    @cached_property
    def classes(self) -> list[int]:
        """Labels in the class maps, ascending; the worst recognised ones if there are too many."""
        held = self.all_classes
        if len(held) > MAP_CLASSES:
            recall = {label: self.class_recalls.get(label, (1.0, 0))[0] for label in held}
            held = sorted(held, key=lambda label: (recall[label], label))[:MAP_CLASSES]
        return sorted(held)

    @property
    def class_note(self) -> str:
        """Which classes the class maps show, after a blank; empty if these are all."""
        shown, known = len(self.classes), len(self.all_classes)
        if shown == known:
            return ""
        which = "recognised worst" if self.class_recalls else "with the lowest numbers"
        return f" Of {known:,} classes the {shown} {which} are shown."

    @cached_property
    def ranked_clients(self) -> Ints:
        """Ids of the clients, worst first; by id if nothing was evaluated."""
        if self.final is None or not self.ranking.size:
            return load.clients_with_labels(self.folder.path)
        return self.final.client[self.ranking]

    @cached_property
    def map_clients(self) -> Ints:
        """Ids of the clients in the class maps, in the order of :attr:`ranked_clients`.

        If there are too many clients: a quarter of the columns for the worst, a quarter for the
        best, and the rest at even ranks between.
        """
        limit = min(MAP_CLIENTS, max(4, MAP_CELLS // max(1, len(self.classes))))
        n = self.ranked_clients.size
        if n <= limit:
            return self.ranked_clients
        edge = limit // 4
        middle = np.linspace(edge, n - edge - 1, limit - 2 * edge).round().astype(np.int64)
        return self.ranked_clients[np.r_[:edge, middle, n - edge : n]]

    @cached_property
    def map_note(self) -> str:
        """Which clients and classes the class maps show."""
        shown, n = self.map_clients.size, self.ranked_clients.size
        order = "the worst on the left" if self.ranking.size else "by number"
        if n == 1:
            return f"The only client is shown.{self.class_note}"
        if shown == n:
            return f"All {n:,} clients are shown, {order}.{self.class_note}"
        edge = shown // 4
        return (
            f"{shown} of {n:,} clients are shown, {order}: the first {edge}, the last {edge}, and "
            f"{shown - 2 * edge} evenly spaced between.{self.class_note}"
        )

    @cached_property
    def recall_map(self) -> Floats:
        """Recall ``(classes, map clients)``, NaN where a client lacks the class."""
        assert self.final is not None
        return load.recalls(self.folder.path, self.final.round, self.map_clients, self.classes)

    @cached_property
    def label_map(self) -> Ints | None:
        """Training samples ``(classes, map clients)``."""
        return load.label_counts(self.folder.path, self.map_clients, self.classes)

    @cached_property
    def heterogeneity(self) -> dict[str, Any]:
        """How unlike the clients are; nothing for a run of an older version."""
        return load.artifact(self.folder.path, "heterogeneity.json")

    @cached_property
    def clusters(self) -> dict[int, int]:
        """Cluster of each client, if the partition has clusters."""
        return dict(enumerate(self.heterogeneity.get("clusters") or []))

    @cached_property
    def phases(self) -> dict[str, Any]:
        """Figures of class-incremental learning after every phase, for a run that has phases."""
        return load.artifact(self.folder.path, "incremental.json")

    @cached_property
    def probe(self) -> dict[str, Any]:
        """What ``fedzda probe`` found, if it was run."""
        return load.artifact(self.folder.path, "probe.json")

    @cached_property
    def groups(self) -> dict[str, Any]:
        """What the groups of ``evaluate.groups`` got, once the run is finished."""
        return dict(self.folder.summary.get("groups") or {})

    @cached_property
    def history(self) -> list[tuple[int, dict[str, Any]]]:
        """``(round, figures)`` of every evaluated round that has a mean."""
        found = []
        for row in self.folder.rounds:
            figures = (row.get("metrics") or {}).get(self.metric.name)
            if isinstance(figures, dict) and figures.get("mean") is not None:
                found.append((int(row["round"]), figures))
        return found

    def class_name(self, label: int) -> str:
        """The name of a class, or its number."""
        return self.class_names[label] if label < len(self.class_names) else str(label)

    def class_word(self, label: int) -> str:
        """The name of a class as a sentence needs it: ``class 8``, ``class 'cat'``."""
        name = self.class_name(label)
        return f"class {name}" if name == str(label) else f"class '{name}'"


@dataclass(frozen=True)
class Gains:
    """What clients gain over training alone, and what they paid.

    Attributes:
        local: Name of the local-only run.
        client: ``(N,)`` ids of the clients with a value in both runs, ascending.
        gain: ``(N,)`` by how much the federated model is better than alone; below 0: worse.
        seconds: ``(N,)`` time that each trained in the federated run.
        num_bytes: ``(N,)`` what each sent and received for training in it.
        figures: :func:`fedzda.platform.fairness.benefit` of them.
    """

    local: str
    client: Ints
    gain: Floats
    seconds: Floats
    num_bytes: Floats
    figures: dict[str, Any]


def gains_over(run_dir: Path, local: Path, name: str) -> Gains:
    """The gains of a run over a local-only one in the metric ``name``, at their last rounds.

    Raises:
        UserError: A folder is no run, was never evaluated on the metric, or they share no client;
            or in the second, clients do not train alone or hold other data.
    """
    require_alone(local)
    require_same_data(run_dir, local)
    better = metric(name, load.read_run(run_dir).higher_is_better).higher_is_better
    pair = []
    for path, own in ((run_dir, False), (local, True)):
        values = load.client_values(path, name, own=own)
        if values is None:
            raise UserError(f"run '{path}' has no '{name}' on the clients' test samples.")
        pair.append(values)
    client, at, alone = np.intersect1d(pair[0].client, pair[1].client, return_indices=True)
    known = np.isfinite(pair[0].value[at]) & np.isfinite(pair[1].value[alone])
    client, at, alone = client[known], at[known], alone[known]
    if not client.size:
        raise UserError(f"runs '{run_dir}' and '{local}' have no evaluated client in common.")
    common, baseline = pair[0].value[at], pair[1].value[alone]
    seconds, moved = load.client_costs(run_dir, client)
    figures = fairness.benefit(common, baseline, seconds, moved, higher_is_better=better)
    gain = (common - baseline) * (1 if better else -1)
    return Gains(local.resolve().name, client, gain, seconds, moved, figures)


def collect(run_dir: Path, local: Path | None = None) -> RunData:
    """Everything the report shows.

    Args:
        run_dir: A run folder.
        local: A local-only run on the same data, to show what clients gain over it.

    Raises:
        UserError: A path is no run folder, or the two runs share no evaluated client, or hold
            other data.
    """
    folder = load.read_run(run_dir)
    primary = metric(main_metric(folder), folder.higher_is_better)
    return RunData(
        folder=folder,
        metric=primary,
        final=load.client_values(run_dir, primary.name),
        class_names=load.class_names(run_dir),
        gains=None if local is None else gains_over(run_dir, local, primary.name),
    )


def main_metric(folder: RunFiles) -> str:
    """The metric a report is about: accuracy, else the first that is neither loss nor recall."""
    evaluated = [row["metrics"] for row in folder.rounds if row.get("metrics")]
    known = list(folder.summary.get("metrics") or (evaluated[-1] if evaluated else {}))
    if "accuracy" in known or not known:
        return "accuracy"
    main = [name for name in known if name != "loss" and "/" not in name]
    return str((main or known)[0])

"""What each class of devices got and gave, and how long the run took in virtual time.

Everything is computed from the client table and ``rounds.jsonl``.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedzda.platform.devices.clock import FATES, VirtualClock
from fedzda.platform.devices.fleet import Fleet
from fedzda.platform.fairness import describe, direction

if TYPE_CHECKING:
    import pandas as pd

_LEVELS = tuple(percent / 100 for percent in (50, 60, 70, 80, 85, 90, 95, 98))
"""Mean accuracies whose time is told."""


def by_device_and_variant(
    table: pd.DataFrame,
    fleet: Fleet | None,
    stage: str,
    everybody: dict[str, Any],
    higher_is_better: dict[str, bool],
) -> dict[str, dict[str, dict[str, Any]]]:
    """Figures of the last evaluated round by metric, ``by_device`` and ``by_variant``: for every
    class of devices, and for every form of the model that clients run.

    Args:
        table: The client table.
        fleet: The devices; None where all are equal.
        stage: Which models are judged.
        everybody: The figures of all clients, for equal devices and a single form.
        higher_is_better: By metric; of one that is not in it the name tells.
    """
    found = {"by_device": {"uniform": everybody}, "by_variant": {"full": everybody}}
    if fleet is not None:
        found["by_device"] = _by("device", fleet.names, table, stage, higher_is_better)
        if fleet.forms is not None:
            titles = list(dict.fromkeys(form.title for form in fleet.forms))
            found["by_variant"] = _by("variant", titles, table, stage, higher_is_better)
    return found


def classes_by_device(
    table: pd.DataFrame, fleet: Fleet | None, stage: str
) -> dict[str, dict[str, dict[str, float]]]:
    """What classes of devices get of every class of the data, in the last evaluated round.

    Returns:
        A class of devices to the name of a figure (``recall``, ``iou``) to a label to the mean over
        the clients that have one; nothing where all devices are equal.
    """
    if fleet is None:
        return {}
    rows = _last_tests(table, stage)
    parts = rows.metric.str.extract(r"^(\w+)/(\d+)$")
    rows = rows.assign(figure=parts[0], label=parts[1]).dropna(subset=["label", "value"])
    found: dict[str, dict[str, dict[str, float]]] = {name: {} for name in fleet.names}
    for (device, figure, label), own in rows.groupby(["device", "figure", "label"]):
        found[str(device)].setdefault(str(figure), {})[str(label)] = float(own.value.mean())
    return found


def variant_costs(fleet: Fleet | None) -> dict[str, dict[str, Any]]:
    """What each form takes, by name: the fields of :class:`fedzda.base.Cost`, ``trains``, and
    ``clients``, the number of clients that run it; nothing where all run the full model."""
    if fleet is None or fleet.forms is None:
        return {}
    found: dict[str, dict[str, Any]] = {}
    for number, form in enumerate(fleet.forms):
        own = found.setdefault(
            form.title, {**asdict(form.cost), "trains": form.config.trains, "clients": 0}
        )
        own["clients"] += int((fleet.kind == number).sum())
    return found


def _by(
    column: str,
    names: list[str],
    table: pd.DataFrame,
    stage: str,
    higher_is_better: dict[str, bool],
) -> dict[str, dict[str, Any]]:
    rows = _last_tests(table, stage)
    rows = rows[~rows.metric.str.contains("/")]
    found: dict[str, dict[str, Any]] = {name: {} for name in names}
    for (value, metric), own in rows.groupby([column, "metric"], sort=False):
        better = higher_is_better.get(str(metric), direction.higher_is_better(str(metric)))
        figures = describe(
            own.value.to_numpy(), own.num_examples.to_numpy(), higher_is_better=better
        )
        found[str(value)][str(metric)] = {k: figures[k] for k in ("n", "mean", "worst10")}
    return found


def _last_tests(table: pd.DataFrame, stage: str) -> pd.DataFrame:
    """Rows of the last evaluation on test samples."""
    tested = (table.phase == "evaluate") & (table.split == "test") & (table.stage == stage)
    rows: pd.DataFrame = table[tested & (table["round"] == table[tested]["round"].max())]
    return rows


def virtual_figures(
    clock: VirtualClock | None, table: pd.DataFrame, rounds: Path
) -> dict[str, Any] | None:
    """Virtual time of a run; None where no clock runs.

    Returns:
        ``sec``: of the whole run; ``macs``: multiply-adds of a forward pass on one sample;
        ``time_to_accuracy``: a level of the clients' mean accuracy to the virtual seconds until it
        was first measured, or None; ``devices``: a class of devices to ``clients`` (that belong to
        it), ``asked``, ``used``, ``late``, ``dropped`` and ``left`` (requests to train), and means
        over the used ones, ``update_sec``, ``update_bytes_down`` and ``update_bytes_up``.
    """
    if clock is None:
        return None
    train = table[table.phase == "train"]
    # every metric of a reply repeats what the reply cost
    once = train.drop_duplicates(["round", "client"])
    fleet = clock.fleet
    return {
        "sec": clock.now,
        "macs": clock.workload.macs,
        "time_to_accuracy": time_to_accuracy(rounds),
        "devices": {
            name: {
                "clients": int((fleet.kind == number).sum()),
                **_requests(once[once.device == name]),
            }
            for number, name in enumerate(fleet.names)
        },
    }


def _requests(rows: pd.DataFrame) -> dict[str, Any]:
    used = rows[~rows.metric.isin(FATES)]
    lost = {fate: int((rows.metric == fate).sum()) for fate in FATES}
    costs = {"update_sec": "virtual_sec", "update_bytes_down": "bytes_down"}
    costs["update_bytes_up"] = "bytes_up"
    means = {key: float(used[name].mean()) if len(used) else None for key, name in costs.items()}
    return {"asked": len(rows), "used": len(used), **lost, **means}


def time_to_accuracy(rounds: Path) -> dict[str, float | None]:
    """Virtual seconds until the clients' mean accuracy was first as high as each level."""
    found: dict[str, float | None] = {f"{level:g}": None for level in _LEVELS}
    for line in rounds.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        mean = (row["metrics"].get("accuracy") or {}).get("mean") or 0.0
        for level in _LEVELS:
            if mean >= level and found[f"{level:g}"] is None:
                found[f"{level:g}"] = row["virtual_total_sec"]
    return found

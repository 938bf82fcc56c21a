"""The end of a run: global test, summary, artifacts, report."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from flwr.app import ArrayRecord

from fedzda.platform.config import SimulationConfig
from fedzda.platform.data import portrait
from fedzda.platform.data.federation import Federation
from fedzda.platform.devices.figures import (
    by_device_and_variant,
    classes_by_device,
    variant_costs,
    virtual_figures,
)
from fedzda.platform.fairness import direction, summarise
from fedzda.platform.files import replacing, write_json
from fedzda.platform.groups import client_groups, positive_class, summarise_groups
from fedzda.platform.recorder import read_clients
from fedzda.platform.records import arrays_of
from fedzda.platform.rounds import RoundLoop
from fedzda.platform.runs import RunFolder

if TYPE_CHECKING:
    import pandas as pd

    from fedzda.platform.simulation import Simulation

_LAST = 10
_MAX_TABLE_CLIENTS = 10_000
_LAST_WRITTEN = "label_counts.parquet"


def write_data_artifacts(
    folder: RunFolder, federation: Federation, config: SimulationConfig
) -> None:
    """Label counts per client, class names and how unlike the clients are, for the report.

    Beyond 10,000 clients only the first 10,000 are written, so that a run folder stays small.
    """
    write_json(folder.artifacts / "classes.json", federation.class_names)
    portrait.write(folder.artifacts, federation, config.data, config.seed)
    rows = []
    for split in ("train", "validation", "test"):
        counts = federation.label_counts(split)[:_MAX_TABLE_CLIENTS]
        client, label = np.nonzero(counts)
        size = len(client)
        rows.append(
            pa.table(
                {
                    "client": pa.array(client, pa.int64()),
                    "split": pa.array([split] * size, pa.string()),
                    "label": pa.array(label, pa.int64()),
                    "count": pa.array(counts[client, label], pa.int64()),
                }
            )
        )
    with replacing(folder.artifacts / _LAST_WRITTEN) as temporary:
        pq.write_table(pa.concat_tables(rows), temporary)


def described(folder: RunFolder) -> bool:
    """Whether :func:`write_data_artifacts` has come to its end."""
    return (folder.artifacts / _LAST_WRITTEN).is_file()


def global_test(handler: Any, asked: tuple[dict[str, np.ndarray], int]) -> dict[str, float]:
    """A job for a worker: metrics of a model on the global test set, as it is after a round."""
    found: dict[str, float] = handler.global_test(*asked)
    return found


def drawn_sheet(handler: Any, arrays: dict[str, np.ndarray]) -> np.ndarray | None:
    """A job for a worker: a picture of what the model makes of some test samples, if any."""
    found: np.ndarray | None = handler.sheet(arrays)
    return found


def write_sheet(folder: RunFolder, pixels_HW3: np.ndarray | None) -> None:
    """``artifacts/predictions.png``, where the task draws its predictions."""
    if pixels_HW3 is None:
        return
    from PIL import Image

    with replacing(folder.artifacts / "predictions.png") as temporary:
        Image.fromarray(pixels_HW3).save(temporary, format="PNG", optimize=True)


def finish(
    simulation: Simulation,
    loop: RoundLoop,
    folder: RunFolder,
    arrays: ArrayRecord,
    startup_sec: float,
) -> dict[str, Any]:
    """Write summary.json and report.html; returns the summary."""
    config = simulation.config
    with_test = len(next(iter(simulation.federation.test.values()), [])) > 0
    with_test = with_test and "global" in loop.stages
    final = arrays_of(arrays)
    tested = loop.grid.engine.map(global_test, [(final, loop.done)])[0] if with_test else {}
    if with_test and config.report:
        write_sheet(folder, loop.grid.engine.map(drawn_sheet, [final])[0])
    if hasattr(loop.strategy, "save_artifacts"):
        loop.strategy.save_artifacts(folder.artifacts, loop.done)
    clients = read_clients(folder.clients)
    by_stage = {stage: final_metrics(loop, folder, clients, stage) for stage in loop.stages}
    metrics = by_stage[loop.stages[0]]
    groups = {name: _short(figures) for name, figures in metrics.items()}
    seconds = {"startup": startup_sec, **loop.totals.seconds}
    summary = {
        "state": "finished",
        "name": config.name,
        "seed": config.seed,
        "rounds": loop.done,
        "stopped": stopped(loop),
        "stage": loop.stages[0],
        "metrics": metrics,
        "higher_is_better": directions(loop, metrics),
        "means_only": [name for name in loop.means_only if name in metrics],
        "personalised": by_stage.get("personalised", {}),
        "global_test": tested,
        **by_device_and_variant(
            clients, loop.recorder.fleet, loop.stages[0], groups, loop.higher_is_better
        ),
        "classes_by_device": classes_by_device(clients, loop.recorder.fleet, loop.stages[0]),
        "variants": variant_costs(loop.recorder.fleet),
        "groups": group_figures(simulation, clients, loop.stages[0]),
        "virtual": virtual_figures(loop.grid.clock, clients, folder.rounds),
        # models are handed to workers while clients train and are evaluated
        "seconds": {**seconds, "total": sum(seconds.values()) - seconds["transfer"]},
        "bytes": {"down": loop.totals.down, "up": loop.totals.up},
        "failures": {"retried": loop.totals.retried, "lost": loop.totals.lost},
        "privacy": privacy_spent(loop, clients),
    }
    write_json(folder.path / "summary.json", summary)
    if config.report:
        from fedzda.platform.report.build import build_report

        build_report(folder.path)
    return summary


def directions(loop: RoundLoop, metrics: Iterable[str]) -> dict[str, bool]:
    """Whether more is better, by metric: as the task says, or as the name tells."""
    told = direction.higher_is_better
    return {name: loop.higher_is_better.get(name, told(name)) for name in metrics}


def stopped(loop: RoundLoop) -> dict[str, Any] | None:
    """Which rule of ``stop:`` ended the run, and in which round; None if none did."""
    state = loop.stopping.state
    if state.rule is None:
        return None
    return {"rule": state.rule, "reason": state.reason, "round": loop.done}


def privacy_spent(loop: RoundLoop, table: pd.DataFrame) -> dict[str, Any] | None:
    """What a private run guarantees; None for one without ``privacy:``."""
    if loop.config.privacy is None:
        return None
    trained = table[table.phase == "train"].groupby("client")["round"].nunique()
    participation = int(trained.max()) if len(trained) else 0
    strategy: Any = loop.strategy
    spent: dict[str, Any] = strategy.privacy_spent(loop.done, participation)
    return spent


def final_metrics(
    loop: RoundLoop, folder: RunFolder, table: pd.DataFrame, stage: str
) -> dict[str, Any]:
    """Fairness figures of the last evaluated round, with intervals, from the client table."""
    tested = (table.phase == "evaluate") & (table.split == "test")
    table = table[tested & (table.stage == stage)]
    if table.empty:
        return {}
    last = table[table["round"] == table["round"].max()]
    means = round_means(folder, "metrics" if stage == loop.stages[0] else stage)
    metrics = {}
    # In the order of the task, whose primary metric comes first.
    for metric, rows in last[~last.metric.str.contains("/")].groupby("metric", sort=False):
        figures = summarise(
            rows.value.to_numpy(),
            rows.num_examples.to_numpy(),
            loop.config.seed,
            higher_is_better=loop.higher_is_better.get(
                str(metric), direction.higher_is_better(str(metric))
            ),
        )
        recent = means.get(str(metric), [])[-_LAST:]
        figures["last10_mean"] = float(np.mean(recent)) if recent else None
        metrics[str(metric)] = figures
    return metrics


def group_figures(simulation: Simulation, table: pd.DataFrame, stage: str) -> dict[str, Any] | None:
    """What the groups of ``evaluate.groups`` got in the last evaluated round; None without."""
    wanted = simulation.config.evaluate.groups
    groups = client_groups(simulation.config, simulation.federation)
    if wanted is None or groups is None:
        return None
    tested = (table.phase == "evaluate") & (table.split == "test") & (table.stage == stage)
    rows = table[tested & (table["round"] == table[tested]["round"].max())]
    names = simulation.federation.class_names
    positive = positive_class(simulation.config, names)
    return {
        "by": wanted.by,
        "attribute": simulation.config.data.attribute if wanted.by == "attribute" else None,
        "positive": None if positive is None else names[positive],
        **summarise_groups(rows, groups.names, names, positive),
    }


def round_means(folder: RunFolder, key: str = "metrics") -> dict[str, list[float]]:
    """Mean over clients per evaluated round, by metric, from ``key`` of rounds.jsonl."""
    means: dict[str, list[float]] = {}
    for line in folder.rounds.read_text(encoding="utf-8").splitlines():
        for metric, figures in json.loads(line)[key].items():
            if figures["mean"] is not None:
                means.setdefault(metric, []).append(figures["mean"])
    return means


def _short(figures: dict[str, Any]) -> dict[str, Any]:
    return {key: figures[key] for key in ("n", "mean", "worst10")}

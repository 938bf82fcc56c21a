"""Which group a client and a sample belong to, and what groups got, read from the client table.

Evaluated clients report counts per group and class under the names of :func:`count_name`; no sample
and no prediction leaves a client. Letters in names: N clients, S rows of the training pool.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fedzda.base import UserError
from fedzda.platform.config import SimulationConfig
from fedzda.platform.data.apportion import Ints
from fedzda.platform.data.federation import SPLITS, Federation
from fedzda.platform.devices.fleet import assigned, device_names
from fedzda.platform.fairness import GroupCounts, describe

if TYPE_CHECKING:
    import pandas as pd

MOST = 50
"""Most values of an attribute."""
COUNTS = ("held", "hit", "predicted")
"""What is counted of each group and class: samples, recognised ones, predictions."""


@dataclass(frozen=True)
class Groups:
    """The groups of a run.

    Attributes:
        names: Name of each group.
        client: ``(N,)`` group of each client.
        row: ``(S,)`` group of each sample that a client holds.
    """

    names: list[str]
    client: Ints
    row: Ints


def client_groups(config: SimulationConfig, federation: Federation) -> Groups | None:
    """The groups that ``evaluate.groups`` asks for; None if it asks for none.

    Raises:
        UserError: ``by: attribute`` without ``data.attribute``, or one with too many values.
    """
    wanted = config.evaluate.groups
    if wanted is None:
        return None
    if wanted.by == "attribute":
        return _by_attribute(config.data.attribute, federation)
    if wanted.by == "device":
        names = device_names(config.devices)
        client = assigned(config.devices, federation.num_clients, config.seed)
    else:
        names = federation.class_names
        client = federation.label_counts("train").argmax(axis=1)
    return Groups(names, client, client[federation.owner])


def _by_attribute(column: str | None, federation: Federation) -> Groups:
    if column is None:
        raise UserError(
            "evaluate.groups.by is 'attribute', but data.attribute names no column: set it, or "
            "group by majority-label or device."
        )
    values, row = np.unique(np.asarray(federation.train[column]), return_inverse=True)
    if len(values) > MOST:
        raise UserError(
            f"data.attribute is '{column}', which has {len(values):,} values: at most {MOST} can "
            "be compared. Name a column of categories."
        )
    held = np.concatenate([federation.pool(split) for split in SPLITS])
    cells = federation.owner[held] * len(values) + row[held]
    counts = np.bincount(cells, minlength=federation.num_clients * len(values))
    client = counts.reshape(federation.num_clients, len(values)).argmax(axis=1)
    return Groups([str(value) for value in values], client, row.astype(np.int64))


def count_name(what: str, group: int) -> str:
    """Name of a count in a client's details: a list over the classes."""
    return f"group/{group}/{what}"


def positive_class(config: SimulationConfig, class_names: list[str]) -> int | None:
    """The number of ``evaluate.groups.positive``; None if it is left out.

    Raises:
        UserError: No such class.
    """
    wanted = config.evaluate.groups.positive if config.evaluate.groups else None
    if wanted is None:
        return None
    if isinstance(wanted, int) and 0 <= wanted < len(class_names):
        return wanted
    if wanted in class_names:
        return class_names.index(str(wanted))
    raise UserError(
        f"evaluate.groups.positive is '{wanted}', which is no class: give a number from 0 to "
        f"{len(class_names) - 1} or one of {', '.join(class_names[:20])}."
    )


# ---------------------------------------------------------------------------------------------
# From the client table


def counts_of(table: pd.DataFrame, names: list[str], num_classes: int) -> GroupCounts:
    """What clients counted, from their rows of one round, split and stage."""
    rows = table[table.metric.str.startswith("group/")]
    parts = rows.metric.str.split("/", expand=True)
    if rows.empty:
        none = np.empty((0, num_classes))
        return GroupCounts(np.empty(0, dtype=np.int64), np.empty(0, dtype=str), none, none, none)
    group = parts[1].astype(int).to_numpy()
    units, at = np.unique(np.stack([rows.client.to_numpy(), group]), axis=1, return_inverse=True)
    counts = {what: np.zeros((units.shape[1], num_classes)) for what in COUNTS}
    label, value = parts[3].astype(int).to_numpy(), rows.value.to_numpy()
    for what in COUNTS:
        here = (parts[2] == what).to_numpy()
        counts[what][at[here], label[here]] = value[here]
    named = np.array(names)[units[1]]
    return GroupCounts(units[0], named, counts["held"], counts["hit"], counts["predicted"])


def summarise_groups(
    table: pd.DataFrame, names: list[str], class_names: list[str], positive: int | None
) -> dict[str, Any]:
    """What each group got, and the gaps between them.

    Args:
        table: Rows of the client table of one round, split and stage.
        names: Names of the groups.
        class_names: Names of the classes.
        positive: The favourable class; None: all classes.

    Returns:
        ``groups``: name to ``clients`` (that belong to it), ``mean`` and ``worst10`` of these
        clients' accuracy, ``samples`` (of the group, whoever holds them), and their ``accuracy``,
        with a favourable class its ``selection_rate`` and ``true_positive_rate``; ``gaps`` as
        :meth:`GroupCounts.gaps` gives them, with class names in the place of class numbers.
    """
    counts = counts_of(table, names, len(class_names))
    classes = None if positive is None else [positive]
    by_group: Any = counts.frame(classes).by_group
    samples = dict(zip(*_sums(counts), strict=True))
    own = table[table.metric == "accuracy"]
    groups = {}
    for name in [name for name in names if name in by_group.index]:
        of_group = own[own.group == name]
        clients = describe(of_group.value.to_numpy(), of_group.num_examples.to_numpy())
        row = {key: float(by_group.at[name, key]) for key in by_group.columns}
        rates = {key.partition("/")[0]: rate for key, rate in row.items()} if classes else {}
        groups[name] = {
            "clients": clients["n"],
            "mean": clients["mean"],
            "worst10": clients["worst10"],
            "samples": int(samples[name]),
            **rates,
            "accuracy": row["accuracy"],
        }
    gaps = counts.gaps(classes) if len(counts.client) else {}
    for found in gaps.values():
        if found.get("class") is not None:
            found["class"] = class_names[found["class"]]
    return {"groups": groups, "gaps": gaps}


def _sums(counts: GroupCounts) -> tuple[list[str], list[float]]:
    names, at = np.unique(counts.group, return_inverse=True)
    return names.tolist(), np.bincount(at, weights=counts.held.sum(axis=1)).tolist()

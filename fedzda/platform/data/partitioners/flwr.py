"""The partitioners of flwr-datasets by name. Only here is flwr-datasets imported, and only on use.

Left out: its vertical partitioners, which divide columns and not samples, and those whose own
version here is as good and faster to import (iid).
"""

from __future__ import annotations

import contextlib
import inspect
import io
import warnings
from typing import Any

import numpy as np

from fedzda.base import UserError
from fedzda.platform.config import PartitionerConfig
from fedzda.platform.data.apportion import Ints
from fedzda.platform.data.partitioners.deal import Partition, from_lists
from fedzda.platform.data.sources.raw import Array

CLASSES = {
    "flwr-dirichlet": "DirichletPartitioner",
    "flwr-inner-dirichlet": "InnerDirichletPartitioner",
    "flwr-pathological": "PathologicalPartitioner",
    "shard": "ShardPartitioner",
    "distribution": "DistributionPartitioner",
    "continuous": "ContinuousPartitioner",
    "natural-id": "NaturalIdPartitioner",
    "grouped-natural-id": "GroupedNaturalIdPartitioner",
    "size": "SizePartitioner",
    "linear": "LinearPartitioner",
    "square": "SquarePartitioner",
    "exponential": "ExponentialPartitioner",
}

_ROW = "fedzda-row"
"""Column of row numbers; the user's column may be called ``row``."""
_OUR_NAME = {
    "partition_sizes": "sizes",
    "distribution_array": "distribution",
    "num_classes_per_partition": "classes_per_client",
    "num_unique_labels_per_partition": "classes_per_client",
}


def assign(
    config: PartitionerConfig,
    labels: Ints,
    columns: dict[str, Array],
    num_clients: int,
    rng: np.random.Generator,
) -> Partition:
    """Rows are shuffled first, as ``FederatedDataset`` does.

    Raises:
        UserError: What the partitioner refuses, in its own words.
    """
    import datasets
    from flwr_datasets import partitioner as flwr_partitioners

    rows = rng.permutation(len(labels))
    column = getattr(config, "column", "label")
    values = {"label": labels, **columns}[column][rows]
    _check(config, values, num_clients)
    partitioner = _make(
        getattr(flwr_partitioners, CLASSES[config.name]), config, column, num_clients, rng
    )
    partitioner.dataset = datasets.Dataset.from_dict({_ROW: np.arange(len(rows)), column: values})
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")  # retries and unused samples, which we report ourselves
            lists = _lists(partitioner)
    except (ValueError, TypeError) as error:
        raise UserError(
            f"data.partition '{config.name}' does not fit the data: {_in_our_words(error)}"
        ) from error
    return from_lists([rows[part] for part in lists])._replace(client_ids=_client_ids(partitioner))


def _check(config: PartitionerConfig, values: Array, num_clients: int) -> None:
    """Refuse what the partitioners do not look at themselves."""
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise UserError(
            f"data.partition.column is '{getattr(config, 'column', 'label')}', which is NaN in "
            f"{int(np.isnan(values).sum())} rows: every row needs a value. Fill or remove them."
        )
    shards = getattr(config, "num_shards_per_partition", None)
    if shards is not None and shards * num_clients > len(values):
        raise UserError(
            f"data.partition.num_shards_per_partition is {shards}, which makes "
            f"{shards * num_clients} shards for {num_clients} clients, but there are only "
            f"{len(values)} samples. Lower it or data.clients."
        )
    table = getattr(config, "distribution", None)
    if table is not None and len({len(row) for row in table}) > 1:
        raise UserError(
            "data.partition.distribution has rows of different lengths "
            f"({', '.join(str(len(row)) for row in table)}): every class needs one number for each "
            "of its holders."
        )


def _make(
    kind: Any, config: PartitionerConfig, column: str, num_clients: int, rng: np.random.Generator
) -> Any:
    """The partitioner, every parameter of its signature filled from our configuration."""
    given: dict[str, Any] = {
        **config.model_dump(),
        "num_partitions": num_clients,
        "partition_by": column,
        "seed": int(rng.integers(2**31)),
        "shuffle": False,  # the order inside a client is settled by the split
    }
    arguments = {
        name: given[_OUR_NAME.get(name, name)] for name in inspect.signature(kind).parameters
    }
    if "distribution_array" in arguments:
        arguments["distribution_array"] = np.asarray(arguments["distribution_array"], dtype=float)
    try:
        return kind(**arguments)
    except (ValueError, TypeError) as error:
        raise UserError(
            f"data.partition '{config.name}' is refused: {_in_our_words(error)}"
        ) from error


def _lists(partitioner: Any) -> list[Ints]:
    """Rows of every client.

    Read from the table that the first ``load_partition`` fills: selecting a data set for each of
    100,000 clients would take minutes. ``test_flwr.py`` holds this against the public way.
    """
    partitioner.load_partition(0)
    table = partitioner._partition_id_to_indices
    lists = [
        np.asarray(table[client], dtype=np.int64) for client in range(partitioner.num_partitions)
    ]
    order = np.asarray(partitioner.dataset[_ROW])  # the shard partitioner sorts its data set
    return [order[part] for part in lists]


def _in_our_words(error: Exception) -> str:
    message = str(error)
    for theirs, ours in {"num_partitions": "data.clients", **_OUR_NAME}.items():
        message = message.replace(theirs, ours)
    return message


def _client_ids(partitioner: Any) -> list[str] | None:
    single = getattr(partitioner, "partition_id_to_natural_id", None)
    if single:
        return [str(single[client]) for client in range(len(single))]
    groups = getattr(partitioner, "partition_id_to_natural_ids", None)
    if groups:
        return ["+".join(str(name) for name in groups[client]) for client in range(len(groups))]
    return None

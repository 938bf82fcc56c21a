"""From labels to who holds what: subset, partition, checks, split. No files here."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fedzda.base import UserError, numpy_rng
from fedzda.platform import plugins
from fedzda.platform.config import DataConfig, TargetConfig
from fedzda.platform.data.apportion import Ints, stratified_choice
from fedzda.platform.data.grouping import group_numbers, split_by_group
from fedzda.platform.data.partitioners.deal import Partition
from fedzda.platform.data.sources.raw import Array
from fedzda.platform.data.split import Splits, split
from fedzda.platform.data.wanted import absent, partition_columns

_MOST_CLASSES = 3
"""Classes that nobody holds, told one by one."""


def deal_out(
    config: DataConfig,
    columns: dict[str, Array],
    class_names: list[str],
    seed: int,
    pixels: Ints | None = None,
) -> tuple[Splits, list[str] | None]:
    """Rows of every client for training, validation and test, and the clients' names if any.

    Args:
        config: Number of clients, partitioner, fractions, ``max_samples``.
        columns: Columns of the pool, ``label`` and what the partitioner reads.
        class_names: Names of the classes, for messages.
        seed: Seed of subset, partition and split, which have streams of their own.
        pixels: (N, K) pixels of each class in annotated images, which hold several classes.

    Raises:
        UserError: The partition asks for more than the data has; a client or a class goes empty.
    """
    labels = np.asarray(columns["label"])
    rows = _pool(labels, config, seed)
    small = {name: np.asarray(column)[rows] for name, column in columns.items() if name != "label"}
    num_clients = _num_clients(config, len(rows))
    for name in partition_columns(config):
        if name not in columns:
            raise UserError(absent("data.partition.column", name, columns, "the data set"))
    assign = _partitioner(config, small)
    dealt = assign(labels=labels[rows], num_clients=num_clients, rng=numpy_rng(seed, "partition"))
    partition = _as_partition(dealt, config)
    _check_clients(config, partition)
    partition = partition._replace(indices=rows[partition.indices])
    splits = _splits(config, partition, columns, numpy_rng(seed, "split"))
    if config.missing_classes == "fail":
        _check_classes(labels, pixels, rows, splits.train.indices, class_names)
    return splits, partition.client_ids


def _splits(
    config: DataConfig, partition: Partition, columns: dict[str, Array], rng: np.random.Generator
) -> Splits:
    """Training, validation and test rows of every client."""
    test, validation = config.test_fraction, config.validation_fraction
    blocks = config.split == "blocks"
    if config.group is None:
        labels = np.asarray(columns["label"])
        return split(partition, labels, test, validation, rng, blocks=blocks)
    if blocks:
        raise UserError(
            f"data.split is 'blocks' and data.group '{config.group}': both say what lies on which "
            "side. Leave one of them out."
        )
    groups = group_numbers(columns, config.group, config.group_without)
    return split_by_group(partition, groups, test, validation, rng)


def _pool(labels: Ints, config: DataConfig, seed: int) -> Ints:
    if config.max_samples is None or config.max_samples >= len(labels):
        return np.arange(len(labels))
    return stratified_choice(labels, config.max_samples, numpy_rng(seed, "subset"))


def _num_clients(config: DataConfig, num_samples: int) -> int:
    """The number asked for; 0 where the partitioner finds it itself."""
    block = config.partition
    sizes = getattr(block, "sizes", None)
    if getattr(block, "finds_clients", False):
        return config.clients or 0
    if config.clients is None and sizes is None:
        name = block.target if isinstance(block, TargetConfig) else block.name
        raise UserError(
            f"data.clients is missing: the partitioner '{name}' needs it. Set it to 1 or more."
        )
    if sizes is not None and config.clients not in (None, len(sizes)):
        raise UserError(
            f"data.clients is {config.clients}, but data.partition.sizes has {len(sizes)} values: "
            "leave data.clients out."
        )
    num_clients = len(sizes) if sizes is not None else config.clients
    assert num_clients is not None
    if num_clients > num_samples:
        raise UserError(
            f"data.clients is {num_clients}, but the training pool has {num_samples} samples: "
            "every client needs at least one. Lower data.clients, or raise data.max_samples if set."
        )
    return num_clients


def _partitioner(config: DataConfig, columns: dict[str, Array]) -> Any:
    """The partitioner, waiting for ``labels``, ``num_clients`` and ``rng``.

    A built-in or installed one also gets its configuration, a user's ``target`` its ``args``.
    """
    block = config.partition
    if isinstance(block, TargetConfig):
        return partial(plugins.import_target(block.target), columns=columns, **block.args)
    # A block made in Python with the default partition is of the general class still.
    specific = plugins.config_class("partitioners", block.name).model_validate(block.model_dump())
    return partial(plugins.load("partitioners", block.name), specific, columns=columns)


def _as_partition(dealt: Any, config: DataConfig) -> Partition:
    """What a partitioner returned, which may be the user's own."""
    arrays = dealt[:2] if isinstance(dealt, tuple) else ()
    if len(arrays) == 2 and all(np.ndim(array) == 1 for array in arrays):
        indices, offsets = map(np.asarray, arrays)
        return Partition(indices, offsets, *dealt[2:])
    block = config.partition
    name = block.target if isinstance(block, TargetConfig) else block.name
    raise UserError(
        f"data.partition: '{name}' returned a {type(dealt).__name__} where a tuple of two arrays "
        "is wanted: the rows client by client, and where each client begins, with the number of "
        "rows at the end. 'fedzda check' says more."
    )


def _check_clients(config: DataConfig, partition: Partition) -> None:
    sizes = np.diff(partition.offsets)
    if config.clients is not None and config.clients != len(sizes):
        raise UserError(
            f"data.clients is {config.clients}, but the partitioner found {len(sizes)} clients in "
            "the data: leave data.clients out."
        )
    empty = np.flatnonzero(sizes == 0)
    if len(empty):
        key = "data.partition.min_partition_size"
        way = (
            f"Raise {key} to 1 or more"
            if hasattr(config.partition, "min_partition_size")
            else ("Lower data.clients")
        )
        raise UserError(
            f"the partition leaves {len(empty)} of {len(sizes)} clients without a sample "
            f"(first: client {empty[0]}). {way}, or choose another partitioner."
        )


def _check_classes(
    labels: Ints, pixels: Ints | None, rows: Ints, train: Ints, class_names: list[str]
) -> None:
    def samples(rows: Ints) -> Ints:
        if pixels is not None:
            return np.asarray((pixels[rows] > 0).sum(axis=0))
        return np.bincount(labels[rows], minlength=len(class_names))

    pool, held = samples(rows), samples(train)
    problems = []
    for label in np.flatnonzero(held == 0):
        what = f"class {label} ('{class_names[label]}')"
        if pool[label]:
            problems.append(
                f"{what} is held by no client for training, though the pool has {pool[label]} "
                "samples of it: raise data.clients, give clients more classes (data.partition), "
                "use another data.seed, or set data.missing_classes to allow."
            )
        else:
            problems.append(
                f"{what} is held by no client, because the training pool has no sample of it: "
                "raise data.max_samples if set, check the labels, or set data.missing_classes "
                "to allow."
            )
    if len(problems) > _MOST_CLASSES:
        more = len(problems) - _MOST_CLASSES
        problems[_MOST_CLASSES:] = [f"{more} more classes are held by no client."]
    if problems:
        raise UserError(*problems)

"""A fixed number of classes per client (in the spirit of McMahan et al. 2017, section 3).

As flwr-datasets' ``PathologicalPartitioner``, vectorised, with one more mode, ``balanced``: with
``random``, one of ten draws of 2 classes among 10 leaves some class to none of 20 clients.
"""

from __future__ import annotations

import numpy as np

from fedzda.base import UserError
from fedzda.platform.data.apportion import Ints
from fedzda.platform.data.partitioners.config import PathologicalConfig
from fedzda.platform.data.partitioners.deal import Partition, deal, from_owner
from fedzda.platform.data.sources.raw import Array

_BLOCK = 4096
"""Clients whose random classes are drawn at once: bounds memory at many classes."""


def assign(
    config: PathologicalConfig,
    labels: Ints,
    columns: dict[str, Array],
    num_clients: int,
    rng: np.random.Generator,
) -> Partition:
    """Every sample of a class that has a holder is dealt once; its holders' shares differ by one.

    Raises:
        UserError: More classes per client than there are, or a class with fewer samples than
            holders.
    """
    present = np.unique(labels)
    if config.classes_per_client > len(present):
        raise UserError(
            f"data.partition.classes_per_client is {config.classes_per_client}, but the data has "
            f"{len(present)} classes: lower it."
        )
    hands = _hands(config, num_clients, len(present), rng)
    counts = np.zeros((num_clients, int(present[-1]) + 1), dtype=np.int64)
    for number, label in enumerate(present):
        holders = np.flatnonzero((hands == number).any(axis=1))
        size = int((labels == label).sum())
        if len(holders) > size:
            raise UserError(
                f"class {label} has {size} samples for {len(holders)} clients that hold it: lower "
                "data.clients or data.partition.classes_per_client, or set class_assignment_mode "
                "to balanced."
            )
        if len(holders):
            counts[holders, label] = size // len(holders)
            counts[rng.choice(holders, size % len(holders), replace=False), label] += 1
    return from_owner(deal(counts, labels, rng), num_clients)


def _hands(
    config: PathologicalConfig, num_clients: int, num_classes: int, rng: np.random.Generator
) -> Ints:
    """(N, classes_per_client) distinct class numbers of each client."""
    per_client = config.classes_per_client
    clients = np.arange(num_clients)
    if config.class_assignment_mode == "balanced":
        return _balanced(num_clients, per_client, num_classes, rng)
    if config.class_assignment_mode == "deterministic":
        return (clients[:, None] + np.arange(per_client)) % num_classes
    blocks = []
    for start in range(0, num_clients, _BLOCK):
        block = clients[start : start + _BLOCK]
        order = rng.random((len(block), num_classes))
        if config.class_assignment_mode == "first-deterministic":
            order[np.arange(len(block)), block % num_classes] = -1.0
        blocks.append(np.argsort(order, axis=1)[:, :per_client])
    return np.concatenate(blocks)


def _balanced(
    num_clients: int, per_client: int, num_classes: int, rng: np.random.Generator
) -> Ints:
    """Hands dealt from shuffled decks of all classes, one deck after the other.

    A hand that runs over into the next deck must not get a class twice, so the classes that it
    holds already go to the end of that deck.
    """
    num_cards = num_clients * per_client
    cards = np.empty(num_cards + num_classes, dtype=np.int64)
    for start in range(0, num_cards, num_classes):
        deck = rng.permutation(num_classes)
        held = cards[start - start % per_client : start]
        if len(held):
            deck = deck[np.argsort(np.isin(deck, held), kind="stable")]
        cards[start : start + num_classes] = deck
    return cards[:num_cards].reshape(num_clients, per_client)

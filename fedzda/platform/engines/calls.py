"""What the driver and the workers say to each other. Plain data that pickles; no Flower."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

from fedzda.platform.averaging import WeightedSum
from fedzda.platform.records import Content

COVERAGE = "fedzda.coverage"
"""Record of a reply: for arrays of its model that were trained in part, which entries were."""


@dataclass
class Call:
    """One client is asked to train or to evaluate.

    Attributes:
        client: Client number, ``0 .. num_clients - 1``.
        phase: Flower's message type: ``train``, ``evaluate``, ``query`` or ``train.action``.
        round: Round number, from 1.
        content: The request. Arrays may be shared between calls: never change them in place.
        state: What the client keeps between rounds.
    """

    client: int
    phase: str
    round: int
    content: Content
    state: Content


@dataclass
class Reply:
    """What a client answers.

    Attributes:
        content: Arrays and metrics for the strategy.
        details: Further per-client metrics for the client table; lists become ``name/<index>``.
        split: Which part of the client's data the metrics are about.
        state: What the client keeps from now on; empty: what it kept before.
        seconds: Time the client took.
        error: Traceback if it failed; the rest is then empty.
        retried: Whether this is the answer to a second try.
        bytes_up: What is sent where arrays are encoded on the way; None: the size of the arrays.
    """

    client: int
    content: Content = field(default_factory=Content)
    details: dict[str, Any] = field(default_factory=dict)
    split: str = "train"
    state: Content = field(default_factory=Content)
    seconds: float = 0.0
    error: str | None = None
    retried: bool = False
    bytes_up: int | None = None


@dataclass
class Chunk:
    """Consecutive calls of a cohort that one worker carries out in order, leaf by leaf.

    Attributes:
        index: Number of its first leaf in the cohort.
        sizes: Calls of every leaf, see :mod:`fedzda.platform.engines.chunks`; a power of two many.
        reduce: ``""``: every reply carries its arrays; ``"naive"`` or ``"pooled"``: the worker
            sums them up (the word says how BatchNorm variances are averaged).
        retry: Run a client that fails once more.
        fail_fast: Stop at the first client that fails; the replies then end with its.
    """

    index: int
    calls: list[Call]
    sizes: list[int]
    reduce: str = ""
    retry: bool = False
    fail_fast: bool = False

    def leaves(self) -> list[list[Call]]:
        """The calls, leaf by leaf."""
        waiting = iter(self.calls)
        return [list(islice(waiting, size)) for size in self.sizes]


@dataclass
class ChunkResult:
    """The replies of a chunk in the order of its calls, and their weighted sum if asked for.

    Attributes:
        busy_sec: How long the worker worked on it; the rest of the time it travelled.
        rss_mb: Resident memory of the worker process afterwards, in MiB; 0: not measured.
    """

    index: int
    replies: list[Reply]
    total: WeightedSum | None = None
    busy_sec: float = 0.0
    rss_mb: float = 0.0


class Handler(Protocol):
    """What a worker runs: fedzda's client runtime, or an adapter around a Flower ClientApp."""

    def handle(self, call: Call) -> Reply:
        """Carry out one call. May raise: the worker turns that into ``Reply.error``."""
        ...

    def handle_many(self, calls: list[Call]) -> list[Reply] | None:
        """Carry out calls that can share work (evaluating one model); None: one by one, please."""
        ...

    def rehearse(self) -> None:
        """Do the heaviest thing that a worker may be asked for, so that its memory can be seen."""
        ...


@dataclass(frozen=True)
class HandlerSpec:
    """How a worker process builds its handler: ``target(**arguments)``."""

    target: str
    arguments: Mapping[str, Any]
    plugin_folders: tuple[str, ...] = ()

"""Keep some arrays of the model (BatchNorm statistics) away from a strategy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from flwr.app import ArrayRecord, Message, RecordDict

from fedzda.platform.averaging import WeightedSum
from fedzda.platform.records import arrays_of
from fedzda.strategies.base import ARRAYS


def select(record: ArrayRecord, names: frozenset[str], *, inside: bool) -> ArrayRecord:
    """The arrays whose name is in ``names``, or the others."""
    return ArrayRecord({k: v for k, v in record.items() if (k in names) == inside})


def put_back(messages: Iterable[Message], rest: ArrayRecord) -> list[Message]:
    """Add ``rest`` to the arrays of messages; those that shared a record share the new one."""
    full: dict[int, tuple[Any, ArrayRecord]] = {}
    done = []
    for message in messages:
        record: Any = message.content[ARRAYS]
        # the old record is kept beside the new one, so that its id is not given to another
        _, whole = full.setdefault(id(record), (record, ArrayRecord({**record, **rest})))
        message.content = RecordDict({**message.content, ARRAYS: whole})
        done.append(message)
    return done


def take_out(reply: Message, names: frozenset[str], total: WeightedSum, weight: float) -> None:
    """Move the arrays called ``names`` from a reply into a running sum."""
    record: Any = reply.content[ARRAYS]
    rest = arrays_of(select(record, names, inside=True))
    total.add({name: torch.from_numpy(value) for name, value in rest.items()}, weight)
    reply.content[ARRAYS] = select(record, names, inside=False)

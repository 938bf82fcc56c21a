"""What configuration classes declare, so that a pilot can be short and still tell the cost.

A block may declare, as class variables (those of its base classes count as well):

    begins    names of fields that hold the first round of something that costs time
    amounts   names of fields in which cost is linear, such as the steps of a synthesizer
    assume    values with which early rounds do what later ones do, such as a gate that stands open
"""

from __future__ import annotations

from typing import Any

from fedzda.base import StrictConfig


def phases(block: StrictConfig, rounds: int) -> list[int]:
    """First rounds of each stretch of rounds that cost the same, ascending; 1 is the first."""
    found = {getattr(block, name) for name in _declared(block, "begins")}
    return sorted({1} | {round_ for round_ in found if round_ <= rounds})


def has_amounts(block: StrictConfig) -> bool:
    """Whether a block or one inside it declares amounts."""
    return bool(_declared(block, "amounts")) or any(map(has_amounts, _inner(block).values()))


def shortened(block: StrictConfig, share: float) -> StrictConfig:
    """The block with its assumptions, and with a ``share`` of the amounts (at least 1 of each)."""
    changed: dict[str, Any] = {
        name: max(1, round(getattr(block, name) * share)) for name in _declared(block, "amounts")
    }
    for own in reversed(type(block).__mro__):
        changed.update(vars(own).get("assume", {}))
    changed.update({key: shortened(inner, share) for key, inner in _inner(block).items()})
    return block.model_copy(update=changed)


def _declared(block: StrictConfig, kind: str) -> list[str]:
    return [name for own in type(block).__mro__ for name in vars(own).get(kind, ())]


def _inner(block: StrictConfig) -> dict[str, StrictConfig]:
    values = {key: getattr(block, key) for key in type(block).model_fields}
    return {key: value for key, value in values.items() if isinstance(value, StrictConfig)}

"""The state of a strategy as JSON plus tensors: what a checkpoint needs, without pickle.

Handled: None, numbers, strings, NumPy arrays, torch tensors, Flower's ArrayRecord, lists, tuples
and dicts of these, and objects that hold a further strategy (Flower's privacy wrappers).
Functions and anything else the constructor made are left as the constructor makes them again.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from flwr.app import ArrayRecord
from flwr.serverapp.strategy import Strategy

from fedzda.platform.records import array_record, arrays_of

_SKIP = object()


def state_of(strategy: Strategy) -> dict[str, Any]:
    """Attributes of a strategy that can be saved; its own ``state()`` if it has one."""
    if hasattr(strategy, "state"):
        state: dict[str, Any] = strategy.state()
        return state
    return {key: value for key, value in vars(strategy).items() if _savable(value)}


def restore(strategy: Strategy, state: dict[str, Any]) -> None:
    """Take over what :func:`state_of` gave."""
    if hasattr(strategy, "load_state"):
        strategy.load_state(state)
        return
    for key, value in state.items():
        current = getattr(strategy, key, None)
        if isinstance(current, Strategy) and isinstance(value, dict):
            restore(current, value)
        else:
            setattr(strategy, key, value)


def encode(value: Any, tensors: dict[str, np.ndarray], path: str = "") -> Any:
    """JSON for a value; arrays go to ``tensors`` under their path."""
    if isinstance(value, Strategy):
        return encode(state_of(value), tensors, path)
    if isinstance(value, np.bool_ | np.integer | np.floating):
        return value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, torch.Tensor):
        tensors[path] = value.detach().cpu().numpy()
        return {"$tensor": path}
    if isinstance(value, np.ndarray):
        tensors[path] = value
        return {"$array": path}
    if isinstance(value, ArrayRecord):
        return {"$record": encode(arrays_of(value), tensors, path)}
    if isinstance(value, dict):
        items = [
            [encode(k, tensors, path), encode(v, tensors, f"{path}/{k}")] for k, v in value.items()
        ]
        return {"$dict": items}
    if isinstance(value, list | tuple):
        kind = "$list" if isinstance(value, list) else "$tuple"
        return {kind: [encode(v, tensors, f"{path}/{i}") for i, v in enumerate(value)]}
    raise TypeError(f"a strategy's state cannot hold a {type(value).__name__} (at '{path}')")


def decode(value: Any, tensors: dict[str, np.ndarray]) -> Any:
    """The inverse of :func:`encode`."""
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "$tensor":
        return torch.from_numpy(np.array(tensors[inner]))
    if kind == "$float":
        return float(inner)
    if kind == "$array":
        return np.array(tensors[inner])
    if kind == "$record":
        return array_record(decode(inner, tensors))
    if kind == "$dict":
        return {decode(k, tensors): decode(v, tensors) for k, v in inner}
    items = [decode(item, tensors) for item in inner]
    return tuple(items) if kind == "$tuple" else items


def _savable(value: Any) -> bool:
    try:
        encode(value, {})
    except TypeError:
        return False
    return True

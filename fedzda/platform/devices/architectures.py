"""Several architectures in one set of arrays: the run's own model, and others beside it.

Clients may train models that have nothing in common. The global model then holds all of them: the
run's own under its own names, every other as a sub-module that the forward pass of the first never
uses. An architecture is called by its title, the run's own by None.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

ARCHITECTURES = "architectures"
"""Name of the sub-module that holds the others."""


def prefix_of(title: str | None) -> str:
    """What the names of an architecture's arrays begin with in the global model."""
    return "" if title is None else f"{ARCHITECTURES}.{title}."


def own_arrays(arrays: Mapping[str, Any], title: str | None) -> dict[str, Any]:
    """The arrays of one architecture, under its own names."""
    if title is None:
        others = f"{ARCHITECTURES}."
        return {name: value for name, value in arrays.items() if not name.startswith(others)}
    start = prefix_of(title)
    return {
        name.removeprefix(start): value for name, value in arrays.items() if name.startswith(start)
    }


def global_arrays(arrays: Mapping[str, Any], title: str | None) -> dict[str, Any]:
    """The arrays of one architecture, under the names that they have in the global model."""
    return {prefix_of(title) + name: value for name, value in arrays.items()}


def architecture_of(model: nn.Module, title: str | None) -> nn.Module:
    """A copy of one architecture of a global model, without the others.

    Raises:
        AttributeError: The model holds no architecture of that title.
    """
    if title is not None:
        return copy.deepcopy(model.get_submodule(f"{ARCHITECTURES}.{title}"))
    others = model._modules.get(ARCHITECTURES)
    if others is None:
        return copy.deepcopy(model)
    # what stands in the memo is not copied: the others would only be thrown away
    alone = copy.deepcopy(model, {id(others): object()})
    del alone._modules[ARCHITECTURES]
    return alone

"""Calls of denoisers and of their parts, whatever their style: positional or by name, tensor, tuple
or output object."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from fedzda.base import UserError


class Caller:
    """Finds the input and the time step among the arguments of one module.

    Args:
        module: A denoiser: its first argument is the noisy input, ``timestep`` (or the second one)
            the time step.
    """

    def __init__(self, module: nn.Module) -> None:
        # the class, because hooks hang on the object
        names = list(inspect.signature(type(module).forward).parameters)[1:]
        self.first = names[0]
        self.position = names.index("timestep") if "timestep" in names else 1
        self.time = names[self.position] if len(names) > self.position else "timestep"

    def timesteps(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> torch.Tensor:
        """The time steps of a call, ``()`` or ``(N,)``.

        Raises:
            UserError: The call gives none.
        """
        found = kwargs.get(self.time, args[self.position] if len(args) > self.position else None)
        if found is None:
            raise UserError(
                f"the denoiser was called without '{self.time}' (got none). Give the time step as "
                f"argument {self.position + 1} or by this name."
            )
        return torch.as_tensor(found)

    def input(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> torch.Tensor:
        """The noisy input of a call."""
        return first_argument(args, kwargs)


def first_argument(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> torch.Tensor:
    """The tensor a module works on: its first argument, by place or by name."""
    found: torch.Tensor = args[0] if args else next(iter(kwargs.values()))
    return found


def tensor_of(output: Any) -> torch.Tensor:
    """The tensor in an output: itself, the first of a tuple, or ``sample``."""
    if isinstance(output, torch.Tensor):
        return output
    found: torch.Tensor = output[0]
    return found


def with_tensor(output: Any, tensor: torch.Tensor) -> Any:
    """An output of the same form with another tensor."""
    if isinstance(output, torch.Tensor):
        return tensor
    if isinstance(output, tuple):
        return (tensor, *output[1:])
    return type(output)(**{**output, "sample": tensor})

"""Look at a model's intermediate outputs while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import nn

from fedzda.base import UserError
from fedzda.clients.incremental.head import head_of


@dataclass
class Views:
    """What one pass through a model shows.

    Attributes:
        logits: ``(N, num_classes)``.
        features: ``(N, D)``, what enters the head.
        maps: Outputs of the chosen layers, ``(N, C, H, W)`` or ``(N, C)``.
    """

    logits: torch.Tensor
    features: torch.Tensor
    maps: list[torch.Tensor]

    def split(self, size: int) -> tuple[Views, Views]:
        """The first ``size`` samples, and the others."""
        first = Views(self.logits[:size], self.features[:size], [m[:size] for m in self.maps])
        rest = Views(self.logits[size:], self.features[size:], [m[size:] for m in self.maps])
        return first, rest


class Probe:
    """A model with a growing head, whose layers are looked at until :meth:`close`.

    Args:
        model: Left as it is, but for hooks that only read.
        layers: Names of modules; none: only features are shown.

    Raises:
        UserError: The model has no growing head or no such layer.
    """

    def __init__(self, model: nn.Module, layers: Sequence[str] = ()) -> None:
        self.model = model
        self.head = head_of(model)
        named = dict(model.named_modules())
        missing = [name for name in layers if name not in named]
        if missing:
            raise UserError(
                f"strategy.dtid.layers names '{missing[0]}', which model {type(model).__name__} "
                "does not have. Name modules as torch's named_modules() does, or leave it out."
            )
        self._maps: dict[str, torch.Tensor] = {}
        self._features: torch.Tensor = torch.empty(0)
        self._layers = list(layers)
        self._handles: list[Any] = [self.head.register_forward_pre_hook(self._see_features)]
        for name in layers:
            self._handles.append(named[name].register_forward_hook(self._see(name)))

    def _see_features(self, module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self._features = inputs[0]

    def _see(self, name: str) -> Any:
        def look(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            self._maps[name] = output

        return look

    def __call__(self, x_NCHW: torch.Tensor) -> Views:
        """Run the model on normalised images."""
        logits = self.model(x_NCHW)
        return Views(logits, self._features, [self._maps[name] for name in self._layers])

    def close(self) -> None:
        """Stop looking."""
        for handle in self._handles:
            handle.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def layers_of(model: nn.Module, wanted: Sequence[str] | None) -> list[str]:
    """The layers asked for, or the outputs of all stages of a built-in model.

    Raises:
        UserError: None was asked for, and the model does not name its stages.
    """
    if wanted is not None:
        return list(wanted)
    stages: Any = getattr(model, "stages", None)
    if stages is None:
        raise UserError(
            f"strategy.dtid.layers is left out, and model {type(model).__name__} does not name its "
            "stages. List the modules whose outputs are to be distilled."
        )
    return list(stages)


@torch.no_grad()
def features_of(model: nn.Module, images_NCHW: torch.Tensor, batch: int = 256) -> torch.Tensor:
    """What enters the head, ``(N, D)``, in eval mode; the model is left in eval mode."""
    model.eval()
    with Probe(model) as probe:
        return torch.cat([probe(part).features for part in torch.split(images_NCHW, batch)])

"""Look at a model's intermediate outputs while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import nn

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


class Maps:
    """A model whose layers are looked at until :meth:`close`.

    Args:
        model: Left as it is, but for hooks that only read.
        layers: Names of modules that it has.
    """

    def __init__(self, model: nn.Module, layers: Sequence[str] = ()) -> None:
        self.model = model
        named = dict(model.named_modules())
        self._maps: dict[str, torch.Tensor] = {}
        self._layers = list(layers)
        self._handles: list[Any] = []
        for name in layers:
            self._handles.append(named[name].register_forward_hook(self._see(name)))

    def _see(self, name: str) -> Any:
        def look(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            self._maps[name] = output

        return look

    def look(self, x_NCHW: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Logits of normalised images, and the layers' outputs."""
        logits = self.model(x_NCHW)
        return logits, [self._maps[name] for name in self._layers]

    def close(self) -> None:
        """Stop looking."""
        for handle in self._handles:
            handle.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Probe(Maps):
    """A model with a growing head, of which what enters the head is seen as well.

    Args:
        model: Left as it is, but for hooks that only read.
        layers: Names of modules that it has; none: only features are shown.

    Raises:
        UserError: The model has no growing head.
    """

    def __init__(self, model: nn.Module, layers: Sequence[str] = ()) -> None:
        self.head = head_of(model)
        super().__init__(model, layers)
        self._features: torch.Tensor = torch.empty(0)
        self._handles.append(self.head.register_forward_pre_hook(self._see_features))

    def _see_features(self, module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self._features = inputs[0]

    def __call__(self, x_NCHW: torch.Tensor) -> Views:
        """Run the model on normalised images."""
        logits, maps = self.look(x_NCHW)
        return Views(logits, self._features, maps)


@torch.no_grad()
def features_of(model: nn.Module, images_NCHW: torch.Tensor, batch: int = 256) -> torch.Tensor:
    """What enters the head, ``(N, D)``, in eval mode; the model is left in eval mode."""
    model.eval()
    with Probe(model) as probe:
        return torch.cat([probe(part).features for part in torch.split(images_NCHW, batch)])

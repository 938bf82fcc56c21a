"""Distance between the statistics of a batch and those stored in BatchNorm layers.

For each BatchNorm layer l and channel c the stored mean and variance (mu, v) face the mean and
biased variance (mu_h, v_h) of the layer's input. Distances (d = mu_h - mu):

    kl_gen_bn  (d^2 + v_h) / (2 v) - log(v_h / v) / 2 - 1/2     KL(N(mu_h, v_h) || N(mu, v))
    kl_bn_gen  (d^2 + v) / (2 v_h) - log(v / v_h) / 2 - 1/2     KL(N(mu, v) || N(mu_h, v_h))
    mse        (v_h - v)^2 + d^2
    std_mse    (sqrt v_h - sqrt v)^2 + d^2
    l2norm     ||v_h - v||_2 + ||d||_2, norms over the channels of a layer

Gaussian KL: Choi et al. 2020 (arXiv 2005.04136); l2norm: DeepInversion; mse: GDFQ; std_mse:
ZeroQ, here on the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from fedzda.base import UserError
from fedzda.generators.config import BNMatchConfig


class BNMatch:
    """Reads BatchNorm inputs during a forward pass and measures them.

    >>> with BNMatch(classifier) as match:                        # doctest: +SKIP
    ...     logits = classifier(images)
    ...     loss = cross_entropy(logits, labels) + match.loss()

    The stored statistics are copied at construction. Batch statistics are cleared at the start of
    each forward pass of the model and computed in at least float32, also under autocast. The model
    should be in eval mode, or its own statistics would move. Leaving the context removes all hooks.
    While ``reading`` is off, forward passes cost nothing extra and are not measured. A layer that
    the first measured pass does not use (an auxiliary head, which works in training only) is left
    out for good.

    Args:
        model: A model with BatchNorm layers that keep running statistics.
        config: Distance, reduction, eps and the weight of the first layer.

    Raises:
        UserError: ``model`` has no BatchNorm layer with running statistics.
    """

    def __init__(self, model: nn.Module, config: BNMatchConfig | None = None) -> None:
        self.config = config or BNMatchConfig()
        self._layers = [
            m for m in model.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None
        ]
        if not self._layers:
            raise UserError(
                "synthesis matches BatchNorm statistics, but model "
                f"{type(model).__name__} has no BatchNorm layer with running statistics. Choose a "
                "model with BatchNorm (norm: batch for the built-in models)."
            )
        self._used = list(range(len(self._layers)))
        self._look_up()
        self.reading = True
        self._known = False
        self._seen: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._handles = [model.register_forward_pre_hook(self._clear)]
        for index, layer in enumerate(self._layers):
            self._handles.append(layer.register_forward_pre_hook(self._reader(index)))

    def _look_up(self) -> None:
        """Copy the stored statistics of the layers in use."""
        layers = [self._layers[index] for index in self._used]
        self._sizes = [int(layer.num_features) for layer in layers]
        self._mean = torch.cat([_stored(layer.running_mean) for layer in layers])
        self._var = torch.cat([_stored(layer.running_var) for layer in layers])
        self._var += self.config.eps
        self._weights = self._channel_weights().to(self._mean)

    def __enter__(self) -> BNMatch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove all hooks and forget the last batch."""
        for handle in self._handles:
            handle.remove()
        self._seen.clear()

    def loss(self) -> torch.Tensor:
        """The distance for the last forward pass, a scalar that carries gradients to its input.

        Reductions: ``sum`` over channels and layers; ``mean`` is the channel mean per layer, then
        the mean over layers; ``pooled`` is the sum over the number of all channels. The norms of
        ``l2norm`` count as one value per layer: ``mean`` averages them over layers.
        """
        if self.config.distance == "l2norm":
            return (self._layer_norms() * self._layer_weights().to(self._mean)).sum()
        return (self._channel_distances() * self._weights).sum()

    def layer_losses(self) -> list[float]:
        """The distance per layer, in the order of the model: channel mean, or the layer's norms."""
        if self.config.distance == "l2norm":
            return [float(v) for v in self._layer_norms().detach()]
        terms = torch.split(self._channel_distances().detach(), self._sizes)
        return [float(term.mean()) for term in terms]

    def _clear(self, _module: nn.Module, _inputs: object) -> None:
        self._seen.clear()

    def _reader(self, index: int) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
        def read(_module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            if not self.reading:
                return
            x = inputs[0]
            if x.dtype in (torch.float16, torch.bfloat16):
                x = x.float()
            dims = [dim for dim in range(x.dim()) if dim != 1]
            # two passes: torch.var_mean over several dims is twice as slow on a CPU
            mean = x.mean(dim=dims)
            shape = [-1 if dim == 1 else 1 for dim in range(x.dim())]
            var = (x - mean.view(shape)).square().mean(dim=dims)
            self._seen[index] = (mean, var)

        return read

    def _batch_statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        if not self._known and self._seen:
            self._known = True
            if len(self._seen) < len(self._used):
                self._used = sorted(self._seen)
                self._look_up()
        if sorted(self._seen) != self._used:
            raise RuntimeError(
                f"{len(self._seen)} of {len(self._used)} BatchNorm layers saw a batch: call the "
                "model inside the context first, and use every layer once"
            )
        pairs = [self._seen[index] for index in self._used]
        mean = torch.cat([pair[0] for pair in pairs])
        return mean, torch.cat([pair[1] for pair in pairs]) + self.config.eps

    def _channel_distances(self) -> torch.Tensor:
        mean, var = self._batch_statistics()
        square = (mean - self._mean) ** 2
        if self.config.distance == "kl_gen_bn":
            return (square + var) / (2 * self._var) - 0.5 * torch.log(var / self._var) - 0.5
        if self.config.distance == "kl_bn_gen":
            return (square + self._var) / (2 * var) - 0.5 * torch.log(self._var / var) - 0.5
        if self.config.distance == "mse":
            return square + (var - self._var) ** 2
        return square + (var.sqrt() - self._var.sqrt()) ** 2

    def _layer_norms(self) -> torch.Tensor:
        mean, var = self._batch_statistics()
        mean_gaps = torch.split(mean - self._mean, self._sizes)
        var_gaps = torch.split(var - self._var, self._sizes)
        return torch.stack([m.norm() + v.norm() for m, v in zip(mean_gaps, var_gaps, strict=True)])

    def _layer_weights(self) -> torch.Tensor:
        """What a value of each layer counts, before its channels are averaged."""
        weights = torch.ones(len(self._sizes))
        weights[0] = self.config.first_layer_weight
        if self.config.reduction == "mean":
            return weights / len(self._sizes)
        if self.config.reduction == "pooled":
            return weights / sum(self._sizes)
        return weights

    def _channel_weights(self) -> torch.Tensor:
        weights = self._layer_weights()
        sizes = torch.tensor(self._sizes)
        if self.config.reduction == "mean":
            weights = weights / sizes
        return weights.repeat_interleave(sizes)


def _stored(buffer: torch.Tensor | nn.Module | None) -> torch.Tensor:
    assert isinstance(buffer, torch.Tensor)
    wide = buffer.detach().float() if buffer.dtype.itemsize < 4 else buffer.detach()
    return wide.clone()

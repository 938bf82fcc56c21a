"""What a network costs: parameters, multiply-adds of every operation, latency.

Unlike counters of convolutions alone this one sees attention, resizing and gates as well, because
it watches the operations that PyTorch really carries out.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

_aten = torch.ops.aten


@dataclass(frozen=True)
class Costs:
    """Costs of one image.

    Attributes:
        parameters: Trained numbers.
        macs: Multiply-adds by kind: ``convolution``, ``product`` (matrix products), ``resize``,
            ``normalisation``, ``elementwise``, ``reduction``, ``sort`` (comparisons).
    """

    parameters: int
    macs: dict[str, int]

    @property
    def total_macs(self) -> int:
        """Multiply-adds of all kinds."""
        return sum(self.macs.values())


def count_costs(model: nn.Module, shape: tuple[int, int, int]) -> Costs:
    """Costs of a forward pass on one image of ``shape`` (channels, height, width).

    BatchNorm counts nothing: in use it is part of the convolution before it.
    """
    reference = next(model.parameters())
    was_training = model.training
    model.eval()
    counter = _Counter()
    with torch.no_grad(), counter:
        model(torch.zeros(1, *shape, dtype=reference.dtype, device=reference.device))
    model.train(was_training)
    return Costs(sum(p.numel() for p in model.parameters()), dict(counter.macs))


def latency_ms(model: nn.Module, shape: tuple[int, int, int], repeats: int = 20) -> float:
    """Median milliseconds of a forward pass on one image, after two that do not count."""
    image = torch.zeros(1, *shape, device=next(model.parameters()).device)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        times = [_seconds(lambda: model(image), image.is_cuda) for _ in range(repeats + 2)]
    model.train(was_training)
    return 1000 * statistics.median(times[2:])


def _seconds(action: Callable[[], Any], on_gpu: bool) -> float:
    start = time.perf_counter()
    action()
    if on_gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - start


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up multiply-adds while operations run."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        kind, rule = _RULES.get(func.overloadpacket, ("", None))
        if rule is not None:
            self.macs[kind] += rule(args, result[0] if isinstance(result, tuple) else result)
        return result


_Rule = Callable[[Any, torch.Tensor], int]


def _convolution(args: Any, result: torch.Tensor) -> int:
    return int(result.numel() * args[1][0].numel())


def _product(args: Any, result: torch.Tensor) -> int:
    return int(result.numel() * args[0].shape[-1])


def _per_output(number: int) -> _Rule:
    return lambda _, result: number * result.numel()


def _per_input(args: Any, _: torch.Tensor) -> int:
    return int(args[0].numel())


def _sort(args: Any, _: torch.Tensor) -> int:
    size = args[0].shape[-1]
    return int(args[0].numel() * math.ceil(math.log2(max(size, 2))))


_RULES: dict[Any, tuple[str, _Rule | None]] = {
    _aten.convolution: ("convolution", _convolution),
    _aten.mm: ("product", _product),
    _aten.bmm: ("product", _product),
    _aten.upsample_bilinear2d: ("resize", _per_output(4)),
    _aten.native_group_norm: ("normalisation", _per_output(2)),
    _aten._softmax: ("elementwise", _per_output(2)),
    _aten.mul: ("elementwise", _per_output(1)),
    _aten.add: ("elementwise", _per_output(1)),
    _aten.sub: ("elementwise", _per_output(1)),
    _aten.div: ("elementwise", _per_output(1)),
    _aten.sigmoid: ("elementwise", _per_output(1)),
    _aten.mean: ("reduction", _per_input),
    _aten.sum: ("reduction", _per_input),
    _aten.cumsum: ("reduction", _per_input),
    _aten.amax: ("reduction", _per_input),
    _aten.sort: ("sort", _sort),
}

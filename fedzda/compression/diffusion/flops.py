"""Counted cost of sampling: deterministic, from ``torch.utils.flop_counter``."""

from __future__ import annotations

from collections.abc import Callable

from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def count_flops(work: Callable[[], object]) -> int:
    """Floating-point operations of ``work()``: convolutions and products of matrices.

    One multiply-add counts as two. Skipped and reused parts are not executed, so they do not count.
    """
    # the fused attention of CPUs is unknown to the counter; its plain form is two products
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())

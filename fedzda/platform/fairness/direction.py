"""Which end of the clients is the worst, told by the name of a metric."""

from __future__ import annotations

import re

_LEAST = re.compile(
    r"(^|_)(loss|error|errors|mse|mae|rmse|nll|perplexity|brier|ece|gap|distance|divergence|frechet"
    r"|fid|lpips|mmd|gflop)(_|$)"
)
"""Words of metrics of which less is better: losses, errors, distances, costs."""


def higher_is_better(metric: str) -> bool:
    """Whether clients with low values of ``metric`` are the worst off.

    Known from the name, because tables, result files and metrics of Flower apps carry nothing else:
    ``loss``, ``noise_error``, ``warping_error_framewise`` and ``kernel_mmd`` are better when lower.
    What follows a slash (``recall/3``, ``bin_error/0``) does not count.
    """
    return _LEAST.search(metric.partition("/")[0]) is None

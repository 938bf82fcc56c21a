"""What the name of a metric tells: which end of the clients is the worst, and if it is a share."""

from __future__ import annotations

import re

_LEAST = re.compile(
    r"(^|_)(loss|error|errors|mse|mae|rmse|nll|perplexity|brier|ece|gap|distance|divergence|frechet"
    r"|fid|lpips|mmd|gflop)(_|$)"
)
"""Words of metrics of which less is better: losses, errors, distances, costs."""


_PREFIX = re.compile(r"^(eval|test|val|valid|train)[_-]")
"""What the metrics of Flower apps begin with."""
_SHARES = ("accuracy", "recall", "miou", "iou", "pixel_accuracy", "class_accuracy", "boundary_f")


def core(metric: str) -> str:
    """The name without what a Flower app puts before it."""
    return _PREFIX.sub("", metric)


def is_share(metric: str) -> bool:
    """Whether a metric lies in [0, 1] and is shown in per cent."""
    name = core(metric)
    return name == "acc" or name.startswith(_SHARES)


def higher_is_better(metric: str) -> bool:
    """Whether clients with low values of ``metric`` are the worst off.

    Known from the name, because tables, result files and metrics of Flower apps carry nothing else:
    ``loss``, ``noise_error``, ``warping_error_framewise`` and ``kernel_mmd`` are better when lower.
    What follows a slash (``recall/3``, ``bin_error/0``) does not count.
    """
    return _LEAST.search(metric.partition("/")[0]) is None

"""Fairness as pure functions on arrays: over clients, between groups, and of benefit against cost.

``clients``: figures of one value per client. ``groups``: gaps between groups, in the shape of
Fairlearn's ``MetricFrame``. ``benefit``: what clients gain over training alone, against their cost.
"""

from fedzda.platform.fairness.benefit import benefit, gain
from fedzda.platform.fairness.clients import (
    BOOTSTRAP_LIMIT,
    INTERVALS,
    RESAMPLES,
    TAIL,
    describe,
    entropy,
    gini,
    intervals,
    jain,
    paired_intervals,
    summarise,
    tail_size,
)
from fedzda.platform.fairness.direction import higher_is_better
from fedzda.platform.fairness.groups import (
    Gap,
    GroupCounts,
    MetricFrame,
    accuracy,
    demographic_parity,
    equal_opportunity,
    selection_rate,
    true_positive_rate,
)

__all__ = [
    "BOOTSTRAP_LIMIT",
    "INTERVALS",
    "RESAMPLES",
    "TAIL",
    "Gap",
    "GroupCounts",
    "MetricFrame",
    "accuracy",
    "benefit",
    "demographic_parity",
    "describe",
    "entropy",
    "equal_opportunity",
    "gain",
    "gini",
    "higher_is_better",
    "intervals",
    "jain",
    "paired_intervals",
    "selection_rate",
    "summarise",
    "tail_size",
    "true_positive_rate",
]

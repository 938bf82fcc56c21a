"""FedNova, normalised averaging (Wang, Liu, Liang, Joshi, Poor, NeurIPS 2020, arXiv 2007.07481).

Clients that take more local steps pull the average towards their own optimum. FedNova averages the
clients' mean gradients instead of their sums, and takes the mean number of steps:

    w <- w - (sum_k p_k a_k) * sum_k p_k (w - w_k) / a_k

where ``a_k = ||a_k||_1`` is the number of steps of client k, each weighted as momentum weighs it.
The steps follow from the reply's ``steps``, and momentum from the configuration. Limit case: with
the same number of steps for all clients (``local.steps``) it is FedAvg up to rounding.
"""

from __future__ import annotations

import numpy as np
from flwr.app import MetricRecord

from fedzda.platform.local_steps import reach
from fedzda.strategies.config.drift import FedNovaConfig
from fedzda.strategies.weighing import Cohort, WeighingStrategy, Weights


class FedNova(WeighingStrategy):
    """Updates are divided by the steps that made them.

    Leaves the client: its model in the clear, its sample count, its number of steps.
    """

    Config = FedNovaConfig
    needs_losses = False

    def weights(self, cohort: Cohort, metrics: MetricRecord) -> Weights:
        """``(sum_j p_j a_j) p_k / a_k``; what is left to 1 stays with the old model."""
        optimizer = self.setting.config.local.optimizer
        assert optimizer.name == "sgd", "the configuration's own check comes first"
        steps = np.array([reach(optimizer, int(own["steps"])) for own in cohort.metrics])
        share = cohort.shares / cohort.shares.sum()
        coefficients = normalised(share, steps)
        metrics["fed-nova-steps"] = float(share @ steps)
        return Weights(coefficients, received=1.0 - float(coefficients.sum()))


def normalised(share: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """``(m,)`` coefficients of the updates; ``share`` sums to 1, ``steps`` are above 0."""
    coefficients: np.ndarray = float(share @ steps) * share / steps
    return coefficients

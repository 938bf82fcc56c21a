"""pfl-research through its own API, in its own environment; alone or under torchrun.

FedAvg as its benchmarks set it up: local SGD, weights by data points, a server step of 1. Users
come from a shuffled cycle, so that a cohort holds nobody twice; pfl-research does not shuffle a
user's samples. Its images are channels-last in memory, as in its CIFAR-10 benchmark.
"""

# pfl is installed in its own environment only
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from pfl.aggregate.simulate import SimulatedBackend
from pfl.aggregate.weighting import WeightByDatapoints
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.callback.base import TrainingProcessCallback
from pfl.data.dataset import Dataset
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.sampling import get_user_sampler
from pfl.hyperparam import NNEvalHyperParams, NNTrainHyperParams
from pfl.internal.ops.selector import get_default_framework_module
from pfl.metrics import Metrics, Weighted
from pfl.model.pytorch import PyTorchModel
from torch import nn

from engine_cases.job import Job, Outcome
from engine_cases.tensors import client_tensors, initial_model


class Counted(nn.Module):
    """The shared model with the two methods that pfl-research asks for; counts its training."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.samples = self.steps = 0

    def loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Loss of one training batch."""
        self.train()
        self.samples += len(labels)
        self.steps += 1
        return nn.functional.cross_entropy(self.net(images), labels)

    @torch.no_grad()
    def metrics(self, images: torch.Tensor, labels: torch.Tensor) -> dict[str, Any]:
        """Loss of a batch in evaluation; called in the first round only."""
        self.eval()
        total = nn.functional.cross_entropy(self.net(images), labels, reduction="sum")
        return {"loss": Weighted(total.item(), len(labels))}


class Stamps(TrainingProcessCallback):  # type: ignore[misc]
    """Notes the end of every round and the work of the last one."""

    def __init__(self, outcome: Outcome, model: Counted) -> None:
        self.outcome, self.model = outcome, model

    def after_central_iteration(
        self, aggregate_metrics: Any, model: Any, *, central_iteration: int
    ) -> tuple[bool, Metrics]:
        """See pfl-research."""
        self.outcome.stamp()
        self.outcome.samples, self.outcome.steps = self.model.samples, self.model.steps
        self.model.samples = self.model.steps = 0
        return False, Metrics()


def dataset(job: Job) -> FederatedDataset:
    """All users in memory, sampled in a shuffled cycle."""
    images, labels = client_tensors(job.data)
    images = images.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    parts = torch.split(images, job.workload.samples)
    users = np.random.default_rng(job.seed).permutation(job.workload.clients).tolist()

    def user(number: int) -> Dataset:
        return Dataset([parts[number], labels[number]], user_id=str(number))

    return FederatedDataset(user, get_user_sampler("minimize_reuse", users))


def main() -> None:
    """Run the job of the command line."""
    torch.set_num_threads(1)
    job, outcome = Job.from_command_line(), Outcome()
    workload = job.workload
    np.random.seed(job.seed)  # noqa: NPY002
    torch.manual_seed(job.seed)
    net = Counted(initial_model(workload.model, job.data))
    model = PyTorchModel(net, torch.optim.SGD, torch.optim.SGD(net.parameters(), lr=1.0))
    users = dataset(job)
    FederatedAveraging().run(
        algorithm_params=NNAlgorithmParams(
            central_num_iterations=job.rounds,
            evaluation_frequency=job.rounds + 1,
            train_cohort_size=workload.cohort,
            val_cohort_size=0,
        ),
        backend=SimulatedBackend(users, users, postprocessors=[WeightByDatapoints()]),
        model=model,
        model_train_params=NNTrainHyperParams(
            local_learning_rate=workload.lr,
            local_num_epochs=1,
            local_batch_size=workload.batch_size,
        ),
        model_eval_params=NNEvalHyperParams(local_batch_size=workload.samples),
        callbacks=[Stamps(outcome, net)],
    )
    distributed = get_default_framework_module().distributed
    if distributed.world_size > 1:
        work = torch.tensor([outcome.samples, outcome.steps])
        torch.distributed.all_reduce(work)
        outcome.samples, outcome.steps = work.tolist()
    if distributed.global_rank == 0:
        outcome.write(job, net.net.state_dict())


if __name__ == "__main__":
    main()

"""A plain PyTorch loop, one process, one thread: the reference.

Per client a new model, a plain SGD, batches by indexing a tensor; the mean is summed as it goes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from engine_cases.job import Job, Outcome
from engine_cases.models import make_model
from engine_cases.tensors import client_tensors, initial_model

State = dict[str, torch.Tensor]


def train(state: State, images: torch.Tensor, labels: torch.Tensor, job: Job) -> tuple[State, int]:
    """One client's epoch; its weights and the number of steps."""
    workload = job.workload
    model = make_model(workload.model)
    model.load_state_dict(state)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=workload.lr)
    batches = torch.split(torch.randperm(len(labels)), workload.batch_size)
    for rows in batches:
        optimizer.zero_grad()
        loss: Any = nn.functional.cross_entropy(model(images[rows]), labels[rows])
        loss.backward()
        optimizer.step()
    return model.state_dict(), len(batches)


def main() -> None:
    """Run the job of the command line."""
    torch.set_num_threads(1)
    job, outcome = Job.from_command_line(), Outcome()
    torch.manual_seed(job.seed)
    rng = np.random.default_rng(job.seed)
    images, labels = client_tensors(job.data)
    state: State = initial_model(job.workload.model, job.data).state_dict()
    for _ in range(job.rounds):
        total = {name: torch.zeros_like(value) for name, value in state.items()}
        outcome.samples = outcome.steps = 0
        for client in rng.choice(job.workload.clients, job.workload.cohort, replace=False):
            trained, steps = train(state, images[client], labels[client], job)
            for name, value in trained.items():
                total[name] += value * len(labels[client])
            outcome.samples += len(labels[client])
            outcome.steps += steps
        state = {name: value / outcome.samples for name, value in total.items()}
        outcome.stamp()
    outcome.write(job, state)


if __name__ == "__main__":
    main()

"""A Flower app as Flower's PyTorch quickstart writes it, and a client that echoes.

A module of its own, so that Flower's actors import it and keep the data from message to message.
Rounds are stamped by ``evaluate_fn``, which Flower calls at the end of every round; it evaluates
nothing.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from engine_cases.job import Job, Outcome
from engine_cases.models import EchoModel, make_model
from engine_cases.tensors import client_tensors, initial_model

server = ServerApp()
trainer = ClientApp()
echo = ClientApp()


@server.main()
def main(grid: Grid, context: Context) -> None:
    """Run the job of the command line with Flower's FedAvg and write the outcome."""
    job, outcome = Job.from_command_line(), Outcome()
    workload = job.workload

    def stamp(server_round: int, arrays: ArrayRecord) -> None:
        if server_round:
            outcome.stamp()

    strategy = FedAvg(
        fraction_train=workload.cohort / workload.clients,
        fraction_evaluate=0.0,
        min_train_nodes=workload.cohort,
        min_available_nodes=workload.clients,
        train_metrics_aggr_fn=totals,
    )
    device = "cuda" if job.options.get("gpus") else "cpu"
    config = {"data": job.data, "model": workload.model, "device": device}
    steps = {"lr": workload.lr, "batch-size": workload.batch_size}
    result = strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord(initial(job)),
        num_rounds=job.rounds,
        train_config=ConfigRecord({**config, **steps}),
        evaluate_fn=stamp,
    )
    metrics: Any = result.train_metrics_clientapp[job.rounds]
    outcome.samples, outcome.steps = int(metrics["num-examples"]), int(metrics["steps"])
    outcome.write(job, result.arrays.to_torch_state_dict())


def totals(contents: list[RecordDict], weighted_by: str) -> MetricRecord:
    """Samples and steps of a cohort, summed."""
    rows: list[Any] = [content["metrics"] for content in contents]
    return MetricRecord({n: sum(int(row[n]) for row in rows) for n in ("num-examples", "steps")})


def initial(job: Job) -> Any:
    """The weights to start from."""
    if job.workload.kind == "echo":
        return EchoModel(job.workload.echo_floats).state_dict()
    return initial_model(job.workload.model, job.data).state_dict()


@cache
def load_data(folder: str) -> tuple[torch.Tensor, torch.Tensor]:
    """All clients' tensors, once per process."""
    torch.set_num_threads(1)
    return client_tensors(folder)


def fit(
    net: nn.Module, loader: DataLoader[tuple[torch.Tensor, ...]], lr: float, device: str
) -> float:
    """One epoch; the mean loss over batches."""
    net.to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    net.train()
    running_loss = 0.0
    for images, labels in loader:
        optimizer.zero_grad()
        loss = criterion(net(images.to(device)), labels.to(device))
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    return running_loss / len(loader)


@trainer.train()
def train(message: Message, context: Context) -> Message:
    """Build the model, load the weights received, train, send weights and figures back."""
    content: Any = message.content
    config = content["config"]
    images, labels = load_data(str(config["data"]))
    partition = int(context.node_config["partition-id"])
    dataset = TensorDataset(images[partition], labels[partition])
    loader = DataLoader(dataset, batch_size=int(config["batch-size"]), shuffle=True)
    model = make_model(str(config["model"]))
    model.load_state_dict(content["arrays"].to_torch_state_dict())
    loss = fit(model, loader, float(config["lr"]), str(config["device"]))
    metrics = MetricRecord({"train_loss": loss, "num-examples": len(dataset), "steps": len(loader)})
    answer = RecordDict({"arrays": ArrayRecord(model.state_dict()), "metrics": metrics})
    return Message(content=answer, reply_to=message)


@echo.train()
def send_back(message: Message, context: Context) -> Message:
    """Send back what came."""
    metrics = MetricRecord({"num-examples": 1, "steps": 0})
    answer = RecordDict({"arrays": message.content["arrays"], "metrics": metrics})
    return Message(content=answer, reply_to=message)

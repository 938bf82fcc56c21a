"""A Flower app in the style of Flower's own examples, which knows nothing of fedzda, runs here."""

import numpy as np
import pytest

from fedzda.base import RunError, UserError
from fedzda.platform.config import InlineConfig, RayConfig
from fedzda.platform.flower.app import run_apps

pytestmark = pytest.mark.e2e

SERVER = """
import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, MetricRecord, RecordDict
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAdagrad

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    torch.manual_seed(0)
    arrays = ArrayRecord(torch.nn.Linear(4, 2).state_dict())
    strategy = FedAdagrad(fraction_train=0.5, fraction_evaluate=1.0)
    result = strategy.start(
        grid=grid,
        initial_arrays=arrays,
        train_config=ConfigRecord({"lr": context.run_config["lr"]}),
        num_rounds=3,
    )
    context.state["final"] = result.arrays
    context.state["losses"] = MetricRecord(
        {str(r): float(m["loss"]) for r, m in result.evaluate_metrics_clientapp.items()}
    )
    context.state["visits"] = MetricRecord(
        {"max": result.evaluate_metrics_clientapp[3]["visits"]}
    )
"""
CLIENT = """
import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


def load(context):
    rng = torch.Generator().manual_seed(int(context.node_config["partition-id"]))
    x = torch.randn(20, 4, generator=rng)
    return x, (x.sum(1) > 0).long()


def visit(context):
    seen = context.state["seen"]["n"] if "seen" in context.state else 0
    context.state["seen"] = MetricRecord({"n": seen + 1})
    return seen + 1


@app.train()
def train(msg: Message, context: Context) -> Message:
    if context.node_config["partition-id"] == context.run_config.get("broken", -1):
        raise ValueError("this phone is off")
    model = torch.nn.Linear(4, 2)
    model.load_state_dict(msg.content["arrays"].to_torch_state_dict())
    x, y = load(context)
    optimizer = torch.optim.SGD(model.parameters(), lr=msg.content["config"]["lr"])
    for _ in range(3):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    visit(context)
    metrics = MetricRecord({"num-examples": len(x), "steps": 3})
    content = RecordDict({"arrays": ArrayRecord(model.state_dict()), "metrics": metrics})
    return Message(content=content, reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    model = torch.nn.Linear(4, 2)
    model.load_state_dict(msg.content["arrays"].to_torch_state_dict())
    x, y = load(context)
    loss = torch.nn.functional.cross_entropy(model(x), y).item()
    metrics = MetricRecord({"num-examples": len(x), "loss": loss, "visits": visit(context)})
    return Message(content=RecordDict({"metrics": metrics}), reply_to=msg)
"""


@pytest.fixture
def apps(tmp_path):
    (tmp_path / "foreign_server.py").write_text(SERVER)
    (tmp_path / "foreign_client.py").write_text(CLIENT)
    return tmp_path


def run(folder, **more):
    return run_apps(
        "foreign_server:app",
        "foreign_client:app",
        6,
        folder=folder,
        run_config={"lr": 0.1, **more.pop("run_config", {})},
        **more,
    )


def test_runs_unchanged_inline_and_on_ray_with_the_same_bits(apps, monkeypatch):
    seen = []
    results = []
    for engine in (InlineConfig(), RayConfig(workers=2)):
        context = run(apps, engine=engine, observe=lambda e: seen.append(e.phase))
        results.append(context.state)
    first, second = results
    losses = [first["losses"][str(r)] for r in (1, 2, 3)]
    assert losses[2] < losses[0]
    assert first["losses"] == second["losses"]
    for name, array in first["final"].items():
        assert np.array_equal(array.numpy(), second["final"][name].numpy())
    assert first["visits"]["max"] > 3  # the nodes' state outlives a message
    assert seen[:2] == ["train", "evaluate"]


def test_a_client_that_raises_is_named(apps):
    with pytest.raises(RunError, match="this phone is off") as caught:
        run(apps, run_config={"broken": 2})
    assert "client 2 failed in round" in str(caught.value)


def test_an_app_that_is_none_is_refused(apps):
    with pytest.raises(UserError, match="must be a flwr ClientApp, found type"):
        run_apps("foreign_server:app", "foreign_client:Message", 2, folder=apps)

"""The client halves of methods, on real runs of two clients."""

import numpy as np
import pytest
import torch

from fedzda.clients.hooks.zda import deficit
from fedzda.platform.config import plain
from fedzda.platform.config_load import from_dict
from fedzda.platform.data.federation import prepare
from fedzda.platform.engines.calls import Call
from fedzda.platform.parts import build_model
from fedzda.platform.records import Content

RAW = {
    "name": "hooks",
    "data": {
        "name": "digits",
        "clients": 5,
        "max_samples": 200,
        "partition": {"name": "pathological", "classes_per_client": 2},
    },
    "model": {"name": "lenet-bn"},
    "local": {"batch_size": 8},
    "strategy": {"name": "fed-avg"},
}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    from fedzda.clients.runtime import ClientRuntime

    config = from_dict(RAW)
    federation = prepare(config.data, 0, tmp_path_factory.mktemp("data"))
    return ClientRuntime(plain(config), str(federation.folder), "cpu")


def call(runtime, client=0, **config):
    arrays = build_model(runtime.config, runtime.image).state_dict()
    content = Content(arrays={"arrays": {k: v.numpy() for k, v in arrays.items()}})
    content.configs["config"] = {"server-round": 1, **config}
    return Call(client, "train", 1, content, Content())


def trained(reply):
    return reply.content.arrays["arrays"]


def test_deficit_by_hand():
    """Sheet fed-zda, section 7: n = (5, 0, 3) needs (0, 5, 2)."""
    counts = torch.tensor([5, 0, 3])
    assert deficit(counts, "to_max", 100.0).tolist() == [0, 5, 2]
    assert deficit(counts, "to_mean", 100.0).tolist() == [0, 4, 1]
    assert deficit(counts, "to_max", 1.0).tolist() == [0, 3, 2]


def test_proximal_term_is_the_squared_distance(runtime):
    """One step by hand: the gradient of (mu / 2) ||w - w_received||^2 is 0 at w_received, so one
    step is FedAvg's; from the second step on the weights are pulled back."""
    plainly = runtime.train(call(runtime))
    zero = runtime.train(call(runtime, **{"proximal-mu": 0.0}))
    strong = runtime.train(call(runtime, **{"proximal-mu": 10.0}))
    start = call(runtime).content.arrays["arrays"]

    def distance(reply):
        names = [name for name, _ in runtime.model.named_parameters()]
        return sum(
            float((trained(reply)[n] - torch.tensor(start[n])).square().sum()) for n in names
        )

    for name, value in trained(plainly).items():
        assert torch.equal(value, trained(zero)[name]), name
    assert distance(strong) < 0.5 * distance(plainly)


def test_proximal_gradient_equals_autograd():
    from types import SimpleNamespace

    from fedzda.clients.hooks.proximal import Proximal

    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    hook = Proximal()
    run = SimpleNamespace(model=model, config={"proximal-mu": 0.7})
    hook.start(run)
    received = [p.detach().clone() for p in model.parameters()]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    x = torch.randn(4, 3)
    model(x).square().sum().backward()
    hook.gradient(run)
    ours = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    pairs = zip(model.parameters(), received, strict=True)
    term = 0.35 * sum((p - r).square().sum() for p, r in pairs)
    (model(x).square().sum() + term).backward()
    for mine, parameter in zip(ours, model.parameters(), strict=True):
        torch.testing.assert_close(mine, parameter.grad)


def test_initial_loss_is_the_loss_of_the_received_model(runtime):
    request = call(runtime, **{"initial-loss": True})
    reply = runtime.train(request)
    model = runtime.model_with(request.content.arrays["arrays"]).eval()
    data = runtime.batch(runtime.federation.indices(0, "train"))
    with torch.no_grad():
        expected = torch.nn.functional.cross_entropy(model(data["image"]), data["label"])
    assert reply.content.metrics["metrics"]["train_loss"] == pytest.approx(
        float(expected), rel=1e-5
    )


def test_class_counts_are_those_of_the_client(runtime):
    reply = runtime.train(call(runtime, client=3, **{"report-class-counts": True}))
    counts = reply.content.metrics["metrics"]["class-counts"]
    assert np.array_equal(counts, runtime.federation.label_counts("train")[3])


def test_augmentation_fills_the_missing_classes_and_weighs_real_samples(runtime):
    import json

    options = {
        "fill": "to_max",
        "cap": 1.0,
        "loss_mix": "equal",
        "gate_agreement": 0.0,
        "synthesizer": {"name": "zs-cgan", "steps": 2, "channels": 8},
    }
    reply = runtime.train(call(runtime, **{"zda": json.dumps(options)}))
    counts = runtime.federation.label_counts("train")[0]
    need = deficit(torch.tensor(counts), "to_max", 1.0)
    assert reply.details["requested"] == need.tolist()
    assert sum(reply.details["obtained"]) == int(need.sum())
    assert reply.content.metrics["metrics"]["synthetic"] == int(need.sum())
    assert reply.content.metrics["metrics"]["num-examples"] == counts.sum()
    options["gate_agreement"] = 1.0
    closed = runtime.train(call(runtime, **{"zda": json.dumps(options)}))
    assert closed.content.metrics["metrics"]["synthetic"] == 0
    for name, value in trained(runtime.train(call(runtime))).items():
        assert torch.equal(value, trained(closed)[name]), name
    options.update(gate_agreement=0.0, loss_mix="count")
    mixed = runtime.train(call(runtime, **{"zda": json.dumps(options)}))
    assert mixed.content.metrics["metrics"]["steps"] == -(-int(counts.sum()) // 8)

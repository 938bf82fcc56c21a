"""The client halves of methods, on real runs of two clients."""

import json

import numpy as np
import pytest
import torch

from fedzda.clients.hooks.oversampling import balanced
from fedzda.platform.devices.work import deficit
from fedzda.platform.records import Content

from .one_client import call, make_runtime


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    return make_runtime(tmp_path_factory.mktemp("data"))


def trained(reply):
    return reply.content.arrays["arrays"]


def same(first, second):
    return first.keys() == second.keys() and all(
        np.array_equal(value, second[name]) for name, value in first.items()
    )


def test_proximal_term_is_the_squared_distance(runtime):
    """One step by hand: the gradient of (mu / 2) ||w - w_received||^2 is 0 at w_received, so one
    step is FedAvg's; from the second step on the weights are pulled back."""
    plainly = runtime.train(call(runtime))
    zero = runtime.train(call(runtime, **{"proximal-mu": 0.0}))
    strong = runtime.train(call(runtime, **{"proximal-mu": 10.0}))
    start = call(runtime).content.arrays["arrays"]

    def distance(reply):
        names = [name for name, _ in runtime.model.named_parameters()]
        return sum(float(np.square(trained(reply)[n] - start[n]).sum()) for n in names)

    for name, value in trained(plainly).items():
        assert np.array_equal(value, trained(zero)[name]), name
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
    options = {
        "fill": "to_max",
        "cap": 1.0,
        "loss_mix": "equal",
        "gate_agreement": 0.0,
        "synthesizer": {"name": "zs-cgan", "steps": 2, "channels": 8},
    }
    reply = runtime.train(call(runtime, **{"zda": json.dumps(options)}))
    counts = runtime.federation.label_counts("train")[0]
    need = deficit(counts, "to_max", 1.0)
    assert reply.details["requested"] == need.tolist()
    assert sum(reply.details["obtained"]) == int(need.sum())
    assert reply.content.metrics["metrics"]["synthetic"] == int(need.sum())
    assert reply.content.metrics["metrics"]["num-examples"] == counts.sum()
    options["gate_agreement"] = 1.0
    closed = runtime.train(call(runtime, **{"zda": json.dumps(options)}))
    assert closed.content.metrics["metrics"]["synthetic"] == 0
    for name, value in trained(runtime.train(call(runtime))).items():
        assert np.array_equal(value, trained(closed)[name]), name
    options.update(gate_agreement=0.0, loss_mix="count")
    mixed = runtime.train(call(runtime, **{"zda": json.dumps(options)}))
    assert mixed.content.metrics["metrics"]["steps"] == -(-int(counts.sum()) // 8)


def apart(first, second):
    exact = "donot_use_mm_for_euclid_dist"
    return torch.cdist(first.flatten(1), second.flatten(1), compute_mode=exact)


FILL = {"fill": "to_max", "cap": 1.0, "loss_mix": "equal"}


def data_of(runtime, **config):
    """The client's data after the hooks of a request stepped in, and the figures they added."""
    from fedzda.clients.hooks.base import LocalRun

    request = call(runtime, **config)
    rows = runtime.federation.indices(0, "train")
    run = LocalRun(runtime, request, runtime.model, runtime.batch(rows))
    for hook in runtime._hooks(request.content.config()):
        hook.start(run)
    return run


@pytest.mark.parametrize("key", ["noise-images", "real-images"])
def test_placebo_and_oracle_add_what_fed_zdac_adds(runtime, key):
    run = data_of(runtime, **{key: json.dumps(FILL)})
    counts = runtime.federation.label_counts("train")[0]
    need = deficit(counts, "to_max", 1.0)
    found = torch.bincount(run.data["label"], minlength=10)
    assert found.tolist() == (counts + need).tolist()
    own = int(counts.sum())
    extra = run.data["image"][own:]
    pool = runtime.batch(runtime.federation.pool("train"))
    held_out = runtime.batch(runtime.federation.pool("test"))["image"]
    distances = apart(extra, pool["image"])
    if key == "noise-images":
        assert abs(float(extra.mean())) < 0.05
        assert float(extra.std()) == pytest.approx(1.0, abs=0.05)
        assert distances.min() > 1.0
        return
    nearest = distances.argmin(1)
    assert float(distances.min(1).values.max()) < 1e-3
    assert torch.equal(pool["label"][nearest], run.data["label"][own:])
    assert float(apart(extra, held_out).min()) > 1e-3


def test_permuted_labels_keep_images_and_histogram(runtime):
    options = {**FILL, "labels": "permuted"}
    asked = data_of(runtime, **{"real-images": json.dumps(FILL)}).data
    permuted = data_of(runtime, **{"real-images": json.dumps(options)}).data
    assert torch.equal(asked["image"], permuted["image"])
    assert not torch.equal(asked["label"], permuted["label"])
    assert torch.equal(asked["label"].bincount(), permuted["label"].bincount())


@pytest.mark.parametrize("repeat", ["rare", "all"])
def test_oversampling_repeats_own_samples(runtime, repeat):
    options = {"repeat": repeat, "amount": "as-zdac", "fill": "to_max", "cap": 1.0}
    run = data_of(runtime, oversampling=json.dumps(options))
    counts = runtime.federation.label_counts("train")[0]
    own, added = int(counts.sum()), int(deficit(counts, "to_max", 1.0).sum())
    assert len(run.data["label"]) == own + added
    repeats = apart(run.data["image"][own:], run.data["image"][:own])
    assert float(repeats.min(1).values.max()) < 1e-3
    histogram = torch.bincount(run.data["label"], minlength=10)
    assert (histogram[counts == 0] == 0).all()
    if repeat == "rare":
        held = histogram[counts > 0]
        assert int(held.max() - held.min()) <= 1


def test_balance_by_hand():
    counts = np.array([5, 0, 3, 1])
    assert balanced(counts, None).tolist() == [0, 0, 2, 4]
    assert balanced(counts, 3).tolist() == [0, 0, 1, 2]
    assert balanced(counts, 8).tolist() == [1, 0, 3, 4]


def test_own_model_goes_on_where_it_stood(runtime):
    """Training on kept arrays is training on received ones; nothing leaves the client."""
    first = runtime.train(call(runtime, **{"keep-model": True}))
    assert first.content.arrays == {}
    second = runtime.train(call(runtime, state=first.state, **{"keep-model": True}))
    request = call(runtime)
    request.content.arrays["arrays"] = first.state.arrays["personal"]
    assert same(second.state.arrays["personal"], trained(runtime.train(request)))
    assert not same(first.state.arrays["personal"], second.state.arrays["personal"])


def test_own_model_is_what_is_evaluated(runtime):
    first = runtime.train(call(runtime, **{"keep-model": True}))
    request = call(runtime, state=first.state, split="train", stage="personalised")
    request.phase = "evaluate"
    shared = call(runtime, split="train", stage="global")
    shared.phase = "evaluate"
    shared.content.arrays["arrays"] = first.state.arrays["personal"]
    (own,), (other,) = runtime.handle_many([request]), runtime.handle_many([shared])
    assert own.content == other.content
    assert own.state == Content()


def test_pooled_data_is_everybodys(runtime):
    run = data_of(runtime, **{"pooled-data": "[1, 3]"})
    counts = runtime.federation.label_counts("train")
    assert (
        torch.bincount(run.data["label"], minlength=10).tolist() == (counts[1] + counts[3]).tolist()
    )
    everything = data_of(runtime, **{"pooled-data": "null"})
    assert everything.metrics["num-examples"] == counts.sum()


@pytest.mark.parametrize("decay", [{"poly": 1.0}, {"lr_decay": 0.5}])
def test_scaffolds_control_variate_is_the_gradient_whatever_the_step_size(runtime, decay):
    """One step from the same weights; round 2 has half of the step size."""
    before, found = runtime.config, []
    for more in ({}, decay):
        local = before.local.model_copy(update={"steps": 1, **more})
        runtime.config = before.model_copy(update={"rounds": 2, "local": local})
        request = call(runtime, round_=2, scaffold=True)
        names = [name for name, _ in runtime.model.named_parameters()]
        received = request.content.arrays["arrays"]
        request.content.arrays["control"] = {name: np.zeros_like(received[name]) for name in names}
        found.append(runtime.train(request).state.arrays["control"])
    runtime.config = before
    for name, value in found[0].items():
        np.testing.assert_allclose(found[1][name], value, rtol=1e-3, atol=1e-5, err_msg=name)


def test_noise_leaves_frozen_weights_alone(runtime):
    frozen = runtime.model.features[0].weight.requires_grad_(False)
    request = call(runtime, **{"clipping_norm": 1.0, "noise-stddev": 0.1})
    reply = runtime.train(request)
    frozen.requires_grad_(True)
    start = request.content.arrays["arrays"]
    assert np.array_equal(trained(reply)["features.0.weight"], start["features.0.weight"])
    assert not np.array_equal(trained(reply)["features.0.bias"], start["features.0.bias"])

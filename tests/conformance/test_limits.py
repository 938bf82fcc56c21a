"""Limit cases: switched off, a method is FedAvg, bit for bit."""

import functools

import numpy as np
import pytest

from fedzda.platform.simulation import Simulation

from . import tiny
from .played import kept, run


def weights(tmp_path, **strategy):
    return arrays(tmp_path, strategy=strategy).arrays


def arrays(tmp_path, **changes):
    return kept(run(tmp_path, **changes))


@pytest.fixture(scope="module")
def fed_avg(tmp_path_factory):
    """What FedAvg ends with, by its settings; each is run once."""

    @functools.cache
    def ends(**settings):
        return weights(tmp_path_factory.mktemp("fed-avg"), name="fed-avg", **settings)

    return ends


def assert_equal(expected, found):
    for name, value in expected.items():
        assert np.array_equal(value, found[name]), name


def assert_close(expected, found, rtol, atol):
    for name, value in expected.items():
        np.testing.assert_allclose(value, found[name], rtol=rtol, atol=atol, err_msg=name)


@pytest.mark.parametrize(
    "switched_off",
    [
        {"name": "fed-zdac", "start_round": 99},
        {"name": "fed-zdas", "server_start_round": 99},
        {"name": "fed-zda", "start_round": 99, "server_start_round": 99},
        {"name": "placebo", "start_round": 99},
        {"name": "oracle", "start_round": 99},
        {"name": "oversampling", "start_round": 99},
        {"name": "equal-steps", "start_round": 99},
        {"name": "fed-cog", "start_round": 99},
        {"name": "ensemble-distillation", "start_round": 99},
        {"name": "fed-gen", "alpha": 0.0, "generator_steps": 2},
        {"name": "term", "t": 0.0},
        {"name": "gifair", "coeff": 0.0},
        {"name": "fed-prox", "mu": 0.0},
        {"name": "moon", "mu": 0.0},
        {"name": "ditto", "lam": 0.0},
        {"name": "ditto", "lam": 5.0},
    ],
)
def test_off_is_fed_avg_bit_for_bit(tmp_path, fed_avg, switched_off):
    found = weights(tmp_path, clients_per_round=4, **switched_off)
    assert_equal(fed_avg(clients_per_round=4), found)


@pytest.mark.parametrize(
    ("switched_off", "weighting"),
    [
        ({"name": "q-ffl", "q": 0.0}, "size"),
        ({"name": "q-ffl", "q": 0.0, "weighting": "uniform"}, "uniform"),
        ({"name": "afl", "gamma": 0.0, "weighting": "uniform"}, "uniform"),
        ({"name": "fed-mgda", "epsilon": 0.0, "normalize": False}, "size"),
        ({"name": "fed-fv", "alpha": 1.0, "tau": 0}, "uniform"),
        ({"name": "fed-fv", "alpha": 1.0, "tau": 0, "weighting": "size"}, "size"),
    ],
)
def test_off_is_fed_avg_up_to_rounding(tmp_path, fed_avg, switched_off, weighting):
    reference = fed_avg(clients_per_round=4, weighting=weighting)
    found = weights(tmp_path, clients_per_round=4, **switched_off)
    assert_close(reference, found, rtol=1e-4, atol=1e-5)


def test_prop_fair_with_a_large_base(tmp_path):
    """Its loss is then loss / base, which a step size as many times larger makes up for."""
    steps = {"batch_size": 16, "optimizer": {"name": "sgd", "lr": 50.0}}
    strategy = {"name": "prop-fair", "base": 1000.0}
    found = arrays(tmp_path, strategy=strategy, local=steps, rounds=1).arrays
    reference = arrays(tmp_path, strategy={"name": "fed-avg"}, rounds=1).arrays
    assert_close(reference, found, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(
    "switched_off",
    [
        {"name": "flwr-fed-prox", "proximal_mu": 0.0},
        {"name": "flwr-fed-avg-m", "server_momentum": 0.0},
    ],
)
def test_flowers(tmp_path, switched_off):
    reference = weights(tmp_path, name="flwr-fed-avg", clients_per_round=4)
    found = weights(tmp_path, clients_per_round=4, **switched_off)
    assert_close(reference, found, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("batchnorm", ["naive", "strategy"])
def test_flowers_fed_avg_is_ours(tmp_path, batchnorm):
    """With every client in every round both average the same models."""
    ours = weights(tmp_path, name="fed-avg", batchnorm="naive")
    found = weights(tmp_path, name="flwr-fed-avg", batchnorm=batchnorm)
    assert_close(ours, found, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("decay", [{"lr_decay": 0.5}, {"poly": 1.0}])
def test_flowers_q_fed_avg_is_ours(tmp_path, decay):
    """With every client in every round, also where the step size decays."""
    local = {"batch_size": 16, **decay}
    q_ffl = {"name": "q-ffl", "q": 1.0, "weighting": "uniform"}
    ours = arrays(tmp_path, strategy=q_ffl, local=local).arrays
    flowers = {"name": "flwr-q-fed-avg", "q": 1.0}
    found = arrays(tmp_path, strategy=flowers, local=local).arrays
    trained = [name for name in ours if "running" not in name and "num_batches" not in name]
    assert_close({n: ours[n] for n in trained}, found, rtol=1e-3, atol=1e-5)


def test_one_client_pooled_is_fed_avg(tmp_path):
    reference = weights(tmp_path, name="fed-avg", clients_per_round=1)
    found = weights(tmp_path, name="centralised", pool="cohort", clients_per_round=1)
    assert_equal(reference, found)


def test_local_only_is_fed_avg_of_one_client(tmp_path):
    """After a round, the one client of FedAvg's cohort has made the global model."""
    reference = run(tmp_path, strategy={"name": "fed-avg", "clients_per_round": 1}, rounds=1)
    (client,) = set(reference.clients[reference.clients.phase == "train"].client)
    found = run(tmp_path, strategy={"name": "local-only"}, rounds=1)
    clients = kept(found).clients
    assert sorted(clients) == list(range(6))
    assert set(found.clients[found.clients.phase == "evaluate"].stage) == {"personalised"}
    assert found.summary["stage"] == "personalised"
    assert found.summary["bytes"] == {"down": 0, "up": 0}
    assert found.summary["global_test"] == {}
    assert_equal(kept(reference).arrays, clients[client].arrays["personal"])


def test_ditto_without_pull_is_training_alone(tmp_path):
    alone = arrays(tmp_path, strategy={"name": "local-only"}).clients
    found = arrays(tmp_path, strategy={"name": "ditto", "lam": 0.0}).clients
    pulled = arrays(tmp_path, strategy={"name": "ditto", "lam": 2.0}).clients
    differs = 0
    for client, state in alone.items():
        for name, value in state.arrays["personal"].items():
            assert np.array_equal(value, found[client].arrays["personal"][name]), name
            differs += not np.array_equal(value, pulled[client].arrays["personal"][name])
    assert differs > 0


def test_fed_bn_without_batchnorm_is_fed_avg(tmp_path):
    model = {"name": "mlp"}
    reference = arrays(tmp_path, model=model, strategy={"name": "fed-avg"})
    found = arrays(tmp_path, model=model, strategy={"name": "fed-bn"})
    assert_equal(reference.arrays, found.arrays)


def test_fed_bn_leaves_batchnorm_on_the_clients(tmp_path):
    found = arrays(tmp_path, strategy={"name": "fed-bn"})
    start = Simulation.build(tiny.config(tmp_path)).model.state_dict()
    own, other = (found.clients[client].arrays["personal"] for client in (0, 1))
    assert own
    for name, value in start.items():
        assert np.array_equal(found.arrays[name], value.numpy()) == (name in own), name
    assert any(not np.array_equal(own[name], other[name]) for name in own)


def test_scaffold_starts_as_fed_avg(tmp_path):
    reference = arrays(tmp_path, rounds=1, strategy={"name": "fed-avg"}).arrays
    found = arrays(tmp_path, rounds=1, strategy={"name": "scaffold"}).arrays
    later = arrays(tmp_path, rounds=2, strategy={"name": "scaffold"}).arrays
    assert_equal(reference, found)
    reference = arrays(tmp_path, rounds=2, strategy={"name": "fed-avg"}).arrays
    assert any(not np.array_equal(value, later[name]) for name, value in reference.items())


def test_scaffold_keeps_the_mean_of_the_control_variates(tmp_path):
    """With every client in every round, c is the mean of all c_k (the paper's section 4)."""
    found = arrays(tmp_path, strategy={"name": "scaffold"})
    for name, value in found.strategy["control"].items():
        own = np.mean([state.arrays["control"][name] for state in found.clients.values()], axis=0)
        np.testing.assert_allclose(value, own, rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_fed_nova_with_equal_steps_is_fed_avg(tmp_path, momentum):
    local = {"batch_size": 8, "steps": 3, "optimizer": {"name": "sgd", "momentum": momentum}}
    reference = arrays(tmp_path, local=local, strategy={"name": "fed-avg"}).arrays
    found = arrays(tmp_path, local=local, strategy={"name": "fed-nova"}).arrays
    assert_close(reference, found, rtol=1e-4, atol=1e-5)


def test_power_of_choice_without_choice_is_size_weighted_sampling(tmp_path):
    base = {"name": "fed-avg", "clients_per_round": 3}
    reference = arrays(tmp_path, strategy={**base, "sampling": "size-weighted"}).arrays
    chosen = {**base, "sampling": "power-of-choice", "candidates": 3}
    found = arrays(tmp_path, strategy=chosen).arrays
    assert_equal(reference, found)


def test_power_of_choice_takes_the_highest_losses(tmp_path):
    strategy = {
        "name": "fed-avg",
        "clients_per_round": 2,
        "sampling": "power-of-choice",
        "candidates": 5,
    }
    table = run(tmp_path, strategy=strategy).clients
    for round_ in (1, 2, 3):
        now = table[table["round"] == round_]
        asked = now[(now.phase == "query") & (now.metric == "loss")].set_index("client").value
        assert len(asked) == 5
        trained = set(now[now.phase == "train"].client)
        assert trained == set(asked.nlargest(2).index)
        assert set(now[now.phase == "query"].split) == {"train"}


def test_equal_clients_weigh_the_same_either_way(tmp_path):
    data = {
        "name": "digits",
        "clients": 4,
        "max_samples": 80,
        "partition": {"name": "size", "sizes": [20, 20, 20, 20]},
        "test_fraction": 0.25,
    }
    by_size = arrays(tmp_path, data=data, strategy={"name": "fed-avg"}).arrays
    uniform = {"name": "fed-avg", "weighting": "uniform"}
    found = arrays(tmp_path, data=data, strategy=uniform).arrays
    assert_close(by_size, found, rtol=1e-6, atol=1e-8)

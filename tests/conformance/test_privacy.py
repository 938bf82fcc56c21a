"""The four privacy wrappers and local noise: in whole runs, and over a resume."""

import numpy as np
import pandas as pd
import pytest

from fedzda.base import RunError, UserError
from fedzda.platform.simulation import Simulation

from . import tiny
from .played import same, weights

KINDS = {
    "central-fixed": {"noise_multiplier": 0.05, "clipping_norm": 0.5},
    "client-fixed": {"noise_multiplier": 0.05, "clipping_norm": 0.5},
    "central-adaptive": {"noise_multiplier": 0.05, "initial_clipping_norm": 0.5},
    "client-adaptive": {"noise_multiplier": 0.05, "initial_clipping_norm": 0.5},
    "local": {"clipping_norm": 0.5, "epsilon": 1000.0},
}
COLUMNS = ["round", "phase", "client", "metric", "value"]
LENET = {"buffers": "expose"}


def run(output, kind, method="fed-avg", **changes):
    privacy = {"name": kind, **KINDS[kind], **LENET, **changes.pop("privacy", {})}
    return Simulation.build(tiny.config(output, method, privacy=privacy, **changes)).run()


@pytest.mark.parametrize("method", ["fed-avg", "flwr-fed-avg", "flwr-fed-prox"])
@pytest.mark.parametrize("kind", KINDS)
def test_resuming_gives_the_same_end(kind, method, tmp_path):
    """Bit for bit: noise, cohorts, the adapted norm and what the run guarantees."""
    straight = run(tmp_path, kind, method)
    short = run(tmp_path, kind, method, rounds=2)
    resumed = Simulation.resume(short.path, rounds=3)
    assert same(weights(straight), weights(resumed))
    pd.testing.assert_frame_equal(straight.clients[COLUMNS], resumed.clients[COLUMNS])
    assert straight.summary["privacy"] == resumed.summary["privacy"]
    assert straight.summary["privacy"]["epsilon"] >= short.summary["privacy"]["epsilon"]
    if "adaptive" in kind:
        assert straight.summary["privacy"]["clipping_norm"] != 0.5
    else:
        assert straight.summary["privacy"]["clipping_norm"] == 0.5


@pytest.mark.parametrize("kind", ["fixed", "adaptive"])
def test_clipping_at_the_client_is_clipping_at_the_server(kind, tmp_path):
    """Same cohorts, same noise, same arithmetic: only the place differs."""
    server, client = (weights(run(tmp_path, f"{place}-{kind}")) for place in ("central", "client"))
    for name, value in server.items():
        np.testing.assert_allclose(value, client[name], atol=2e-4, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_only_trained_weights_get_noise(kind, tmp_path):
    """After one round BatchNorm statistics are those of a run without privacy and equal weights."""
    found = weights(run(tmp_path, kind, rounds=1))
    louder = {"epsilon": 10.0} if kind == "local" else {"noise_multiplier": 0.35}
    other = weights(run(tmp_path, kind, rounds=1, privacy=louder))
    trained = [name for name in found if "running" not in name and "num_batches" not in name]
    assert 0 < len(trained) < len(found)
    for name, value in found.items():
        assert np.isfinite(value).all()
        assert np.array_equal(value, other[name]) != (name in trained), name
    counters = [value for name, value in found.items() if "num_batches" in name]
    assert all(value.dtype == np.int64 for value in counters)
    assert all(0 < value < 10 for value in counters)


@pytest.mark.parametrize("kind", ["central-fixed", "client-fixed", "local"])
def test_no_client_moves_the_model_further_than_the_norm(kind, tmp_path):
    alone = {"name": "fed-avg", "clients_per_round": 1}
    quiet = {"epsilon": 1e9} if kind == "local" else {"noise_multiplier": 0.0}
    config = {"rounds": 1, "strategy": alone, "local": {"batch_size": 16, "epochs": 3}}
    found = run(tmp_path, kind, **config, privacy=quiet)
    start = Simulation.build(found.config).model
    moved = [weights(found)[n] - p.detach().numpy() for n, p in start.named_parameters()]
    length = np.sqrt(sum(float((m.astype(np.float64) ** 2).sum()) for m in moved))
    assert length == pytest.approx(0.5, rel=1e-3)


def test_noise_of_clients_is_their_own_and_averages_out(tmp_path):
    """Four clients' independent noise leaves half its standard deviation in the mean."""
    quiet = weights(run(tmp_path, "local", rounds=1, privacy={"epsilon": 1e9}))
    loud = weights(run(tmp_path, "local", rounds=1, privacy={"epsilon": 100.0}))
    names = [name for name in quiet if name.endswith(("weight", "bias"))]
    noise = np.concatenate([(loud[n] - quiet[n]).ravel() for n in names])
    stddev = 2 * 0.5 * np.sqrt(2 * np.log(1.25 / 1e-5)) / 100.0
    assert noise.std() == pytest.approx(stddev / 2, rel=0.03)


def test_robust_strategies_run_on_local_noise(tmp_path):
    assert run(tmp_path, "local", "flwr-fed-median").summary["privacy"]["name"] == "local"


def test_an_update_of_length_zero(tmp_path):
    """Flower's clipping at the server cannot do it and says so; ours at the client can."""
    still = {"local": {"batch_size": 16, "optimizer": {"name": "sgd", "lr": 1e-60}}, "rounds": 1}
    with pytest.raises(RunError, match=r"round 1.*'client-fixed'"):
        run(tmp_path, "central-fixed", **still)
    found = run(tmp_path, "client-fixed", **still, privacy={"noise_multiplier": 0.0})
    start = Simulation.build(found.config).model
    for name, parameter in start.named_parameters():
        assert np.array_equal(weights(found)[name], parameter.detach().numpy()), name


def test_build_refuses_what_only_the_data_and_the_model_show(tmp_path):
    refused = tiny.config(tmp_path, privacy={"name": "central-fixed"})
    with pytest.raises(UserError, match=r"privacy\.buffers"):
        Simulation.build(refused)
    noisy = tiny.config(tmp_path, privacy={"name": "central-adaptive", **LENET})
    with pytest.raises(UserError, match="4 clients per round"):
        Simulation.build(noisy)
    assert not list(tmp_path.iterdir())

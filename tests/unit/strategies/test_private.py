"""Clipping, weights, noise and accounting of private strategies, with numbers to redo by hand."""

from dataclasses import replace

import numpy as np
import pytest
from flwr.app import ConfigRecord, Message, MetricRecord, RecordDict

from fedzda.base import ImageSpec, UserError
from fedzda.platform.config.load import from_dict
from fedzda.platform.engines.grid import FIRST_NODE, adopt_task_identity
from fedzda.platform.parts import build_strategy
from fedzda.platform.privacy import rdp
from fedzda.platform.records import array_record, arrays_of
from fedzda.platform.rounds import seeded_globals
from fedzda.platform.setting import Setting

SIZES = np.ones(20, dtype=np.int64)
RAW = {
    "name": "private",
    "data": {"name": "digits", "clients": 20},
    "model": {"name": "mlp"},
    "strategy": {"name": "fed-avg", "clients_per_round": 2},
}


def config(**changes):
    return from_dict({**RAW, **changes})


def strategy(privacy, cohort=2, name="fed-avg", frozen=()):
    """A bound strategy for a model with weight ``w`` and statistics ``m`` and ``n``, of which
    some may be frozen weights instead."""
    adopt_task_identity()
    found = config(privacy=privacy, strategy={"name": name, "clients_per_round": cohort})
    made = build_strategy(found)
    image = ImageSpec((1, 8, 8), 10, (0.0,), (1.0,))
    buffers = frozenset({"m", "n"}) - set(frozen)
    setting = Setting(found, 20, image, buffers, lambda job, items: [], SIZES)
    made.bind(replace(setting, frozen=frozenset(frozen)))
    return made


def aggregate(made, models, received, round_=1, sizes=None):
    """One round: ``models`` are the weights ``w`` that the clients send back."""
    arrays = array_record(
        {"w": np.asarray(received, np.float32), "m": np.zeros(1, np.float32), "n": np.array(0)}
    )
    with seeded_globals(0, round_):
        messages = list(made.configure_train(round_, arrays, ConfigRecord(), None))
        replies = []
        for index, (message, weights) in enumerate(zip(messages, models, strict=True)):
            state = {
                "w": np.asarray(weights, np.float32),
                "m": np.full(1, index, np.float32),
                "n": np.array(10 * index),
            }
            size = sizes[index] if sizes else 1
            metrics = MetricRecord({"num-examples": size, "loss": float(index), "norm_bit": 1})
            content = RecordDict({"arrays": array_record(state), "metrics": metrics})
            replies.append(Message(content, reply_to=message))
        new, figures = made.aggregate_train(round_, replies)
    return arrays_of(new), figures, messages


@pytest.mark.parametrize("kind", ["central-fixed", "central-adaptive"])
def test_the_server_clips_and_every_client_counts_the_same(kind):
    """Updates (6, 8), 10 long, and (0, 1) with norm 5: the mean of (3, 4) and (0, 1)."""
    norm = "clipping_norm" if kind == "central-fixed" else "initial_clipping_norm"
    made = strategy({"name": kind, "noise_multiplier": 0.0, norm: 5.0})
    models = [[7.0, 9.0], [1.0, 2.0]]
    new, figures, messages = aggregate(made, models, [1.0, 1.0], sizes=[1, 99])
    assert new["w"] == pytest.approx([1 + 1.5, 1 + 2.5], rel=1e-6)
    assert figures["loss"] == 0.5
    assert [m.metadata.dst_node_id >= FIRST_NODE for m in messages] == [True, True]


def test_statistics_are_averaged_apart_without_noise():
    made = strategy({"name": "central-fixed", "noise_multiplier": 100.0})
    new, _, _ = aggregate(made, [[1.0], [2.0]], [0.0])
    assert new["m"] == pytest.approx([0.5])
    assert new["n"] == 5
    assert abs(new["w"][0] - 1.5) > 1, "50 standard deviations of noise is what the weight got"


@pytest.mark.parametrize("kind", ["client-fixed", "client-adaptive", "local"])
def test_clients_are_told_what_to_do(kind):
    quiet = {} if kind == "local" else {"noise_multiplier": 0.1}
    made = strategy({"name": kind, **quiet})
    _, _, messages = aggregate(made, [[1.0], [2.0]], [0.0])
    for message in messages:
        sent = message.content["config"]
        assert sent["clipping_norm"] == (0.1 if kind == "client-adaptive" else 1.0)
        assert ("noise-stddev" in sent) == (kind == "local")
        assert ("report-norm-bit" in sent) == (kind == "client-adaptive")
        assert "fedzda.reduce" not in sent


@pytest.mark.parametrize(
    ("privacy", "stddev"),
    [
        ({"name": "central-fixed", "noise_multiplier": 2.0, "clipping_norm": 3.0}, 2 * 3 / 4),
        ({"name": "client-fixed", "noise_multiplier": 2.0, "clipping_norm": 3.0}, 2 * 3 / 4),
        # (0.1^-2 - (2 * 4 / 20)^-2)^(-1/2) = 0.10328 times the norm *before* it moves
        ({"name": "central-adaptive", "noise_multiplier": 0.1}, 0.10328 * 0.1 / 4),
        ({"name": "client-adaptive", "noise_multiplier": 0.1}, 0.10328 * 0.1 / 4),
    ],
)
def test_the_noise_on_the_mean_has_the_right_size(privacy, stddev):
    made = strategy(privacy, cohort=4)
    size = 40_000
    noise, _, _ = aggregate(made, [np.full(size, 1e-9)] * 4, np.zeros(size))
    assert noise["w"].std() == pytest.approx(stddev, rel=0.02)
    assert abs(noise["w"].mean()) < 5 * stddev / np.sqrt(size)


@pytest.mark.parametrize("start", [0.05, 5.0])
def test_the_clipping_norm_settles_at_the_quantile(start):
    """Updates of length 1 to 10; 30 % of them are to be clipped. Flower's own rule runs away."""
    made = strategy(
        {
            "name": "central-adaptive",
            "noise_multiplier": 0.0,
            "initial_clipping_norm": start,
            "target_clipped_quantile": 0.3,
        },
        cohort=10,
    )
    lengths = [[float(i)] for i in range(1, 11)]
    seen = [aggregate(made, lengths, [0.0], r)[1]["clipping-norm"] for r in range(1, 80)]
    assert seen[0] > start if start < 1 else seen[0] < 7
    assert all(6.5 < norm < 8.5 for norm in seen[-10:])


def test_the_clipping_norm_is_its_state():
    made = strategy({"name": "central-adaptive", "noise_multiplier": 0.1})
    aggregate(made, [[1.0], [2.0]], [0.0])
    other = strategy({"name": "central-adaptive", "noise_multiplier": 0.1})
    assert other.clipping_norm != made.clipping_norm
    other.load_state(made.state())
    assert other.clipping_norm == made.clipping_norm


@pytest.mark.parametrize(
    ("amplification", "expected", "releases"),
    [
        ("none", lambda a: rdp.gaussian(2.0, a), 3),
        ("without-replacement", lambda a: rdp.without_replacement(1.0, 0.1, a), 8),
        ("poisson", lambda a: rdp.poisson(2.0, 0.1, a), 8),
    ],
)
def test_epsilon_under_each_assumption(amplification, expected, releases):
    """Cohorts of 2 out of 20 in 8 rounds; one client took part in three of them."""
    made = strategy(
        {"name": "central-fixed", "noise_multiplier": 2.0, "amplification": amplification}
    )
    found = made.privacy_spent(rounds=8, participation=3)
    assert found["epsilon"] == rdp.epsilon(expected, releases, 1e-5)
    assert found["releases"] == releases
    assert found["not_covered"] == ["metrics", "batchnorm"]


def test_local_epsilon_follows_the_noise_not_the_claimed_sensitivity():
    """A sensitivity of half the true one halves the noise, and epsilon must say so."""
    honest = strategy({"name": "local", "epsilon": 1.0})
    daring = strategy({"name": "local", "epsilon": 1.0, "sensitivity": 1.0})
    one = honest.privacy_spent(rounds=1, participation=1)
    other = daring.privacy_spent(rounds=1, participation=1)
    assert one["noise_multiplier"] == 2 * other["noise_multiplier"]
    assert one["epsilon"] < 1.0 < other["epsilon"]


def test_without_noise_there_is_no_epsilon():
    made = strategy({"name": "central-fixed", "noise_multiplier": 0.0})
    assert made.privacy_spent(rounds=8, participation=3)["epsilon"] is None


CENTRAL = {"name": "central-fixed"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"strategy": {"name": "fed-zdas"}}, "fed-zdas.*fed-avg"),
        ({"strategy": {"name": "fed-zda"}}, "fed-zda'.*fed-avg"),
        ({"strategy": {"name": "fed-zdac"}, "privacy": {"name": "local"}}, "fed-zdac.*fed-avg"),
        ({"strategy": {"name": "flwr-krum"}}, "flwr-krum.*'local'"),
        ({"strategy": {"name": "flwr-fed-adam"}}, "flwr-fed-adam.*'local'"),
        ({"strategy": {"name": "flwr-q-fed-avg"}, "privacy": {"name": "local"}}, "q-fed-avg"),
        ({"strategy": {"target": "mine:Own"}}, "cannot be imported|mine:Own"),
        ({"on_client_error": "skip"}, "'skip'.*'fail'"),
        ({"on_client_error": "retry"}, "'retry'.*min_success: 1.0"),
        ({"strategy": {"name": "flwr-fed-avg", "batchnorm": "strategy"}}, "batchnorm.*'pooled'"),
    ],
)
def test_what_breaks_the_guarantee_is_refused(changes, words):
    with pytest.raises(UserError, match=words):
        config(**{"privacy": CENTRAL, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"strategy": {"name": "flwr-fed-prox"}},
        {"strategy": {"name": "flwr-krum"}, "privacy": {"name": "local"}},
        {"on_client_error": "retry", "min_success": 1.0},
    ],
)
def test_what_keeps_it_is_not(changes):
    assert config(**{"privacy": CENTRAL, **changes}).privacy is not None


def test_batchnorm_is_refused_unless_it_is_exposed_knowingly():
    import torch

    model = torch.nn.BatchNorm1d(3)
    with pytest.raises(UserError, match=r"'running_mean'.*privacy.buffers"):
        strategy(CENTRAL).check(model)
    strategy({**CENTRAL, "buffers": "expose"}).check(model)
    strategy(CENTRAL).check(torch.nn.Linear(2, 2))


def test_more_noise_than_the_count_can_carry_is_refused():
    made = build_strategy(config(privacy={"name": "client-adaptive", "noise_multiplier": 1.0}))
    with pytest.raises(UserError, match=r"noise_multiplier is 1.0.*10 clients.*below 1"):
        made.check_cohort(10)
    made.check_cohort(11)


@pytest.mark.parametrize("name", ["central-fixed", "client-fixed"])
def test_frozen_weights_get_no_noise(name):
    made = strategy({"name": name, "noise_multiplier": 5.0}, frozen=("m",))
    arrays, _, _ = aggregate(made, [[1.0], [2.0]], [0.0])
    assert arrays["m"].tolist() == [0.5]
    assert arrays["w"].tolist() != [0.5]

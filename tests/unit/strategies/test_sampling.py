"""Who is drawn, and what the configuration refuses."""

import numpy as np
import pytest

from fedzda.base import ImageSpec, UserError
from fedzda.platform.config.load import from_dict
from fedzda.platform.setting import Setting
from fedzda.strategies.sampling import drawn

RAW = {
    "name": "sampling",
    "data": {"name": "digits", "clients": 20},
    "model": {"name": "mlp"},
}


def setting(sizes):
    image = ImageSpec((1, 8, 8), 10, (0.0,), (1.0,))
    config = from_dict({**RAW, "strategy": {"name": "fed-avg"}})
    return Setting(config, len(sizes), image, frozenset(), lambda job, items: [], np.array(sizes))


def test_large_clients_come_more_often():
    found = setting([1] * 10 + [9] * 10)
    rounds = [drawn(found, 4, True, round_) for round_ in range(1, 401)]
    assert all(own == sorted(set(own)) and len(own) == 4 for own in rounds)
    large = np.mean([client >= 10 for own in rounds for client in own])
    assert 0.8 < large < 0.95
    uniform = [drawn(found, 4, False, round_) for round_ in range(1, 401)]
    assert np.mean([client >= 10 for own in uniform for client in own]) == pytest.approx(
        0.5, abs=0.05
    )


def test_clients_without_samples_are_not_drawn():
    assert drawn(setting([0, 5, 0, 3]), 3, True, 1) == [1, 3]


@pytest.mark.parametrize(
    ("strategy", "sentence"),
    [
        ({"name": "fed-avg", "candidates": 5}, "needs strategy.sampling 'power-of-choice'"),
        (
            {
                "name": "q-ffl",
                "sampling": "power-of-choice",
                "clients_per_round": 6,
                "candidates": 5,
            },
            "at least strategy.clients_per_round, which is 6",
        ),
    ],
)
def test_candidates_that_make_no_sense(strategy, sentence):
    with pytest.raises(UserError, match=sentence):
        from_dict({**RAW, "strategy": strategy})


def test_privacy_needs_uniform_sampling():
    raw = {
        **RAW,
        "strategy": {"name": "fed-avg", "sampling": "size-weighted"},
        "privacy": {"name": "central-fixed", "noise_multiplier": 1.0, "clipping_norm": 1.0},
    }
    with pytest.raises(UserError, match="the accountant counts on it"):
        from_dict(raw)


@pytest.mark.parametrize("name", ["scaffold", "fed-nova"])
def test_steps_are_those_of_sgd(name):
    raw = {**RAW, "strategy": {"name": name}, "local": {"optimizer": {"name": "adam"}}}
    with pytest.raises(UserError, match=f"strategy '{name}' counts the steps"):
        from_dict(raw)

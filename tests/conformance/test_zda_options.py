"""Options of Fed-ZDAC and Fed-ZDAS that change when and from what images are made."""

import numpy as np

from fedzda.platform.simulation import Simulation

from . import played, tiny
from .played import rounds, same, weights


def run(output, method, rounds=4, **options):
    strategy = {"name": method, "clients_per_round": 3, **tiny.EXTRA[method], **options}
    return played.run(output, rounds=rounds, strategy=strategy)


def inverted(found):
    return [row["round"] for row in rounds(found) if "zda-agreement" in row["server"]]


def test_inversion_in_every_second_round(tmp_path):
    every, second = (run(tmp_path, "fed-zdac", invert_every=k) for k in (1, 2))
    assert inverted(every) == [2, 3, 4]
    assert inverted(second) == [2, 4]
    used = second.clients[second.clients.metric == "synthetic"]
    assert set(used[used.value > 0]["round"]) == {2, 3, 4}  # in round 3 from the last generator
    short = run(tmp_path, "fed-zdac", rounds=2, invert_every=2)
    assert same(weights(second), weights(Simulation.resume(short.path, rounds=4)))


def test_a_closed_gate_stays_closed_between_inversions(tmp_path):
    found = run(tmp_path, "fed-zdac", invert_every=3, gate_agreement=1.0)
    assert inverted(found) == [2]
    assert "synthetic" not in set(found.clients.metric)


def test_the_average_is_the_student_of_an_adversarial_synthesizer(tmp_path):
    plain = run(tmp_path, "fed-zdas", rounds=2)
    against = {**tiny.ZS_CGAN, "adversarial_weight": 1.0}
    found = run(tmp_path, "fed-zdas", rounds=2, server_synthesizer=against)
    assert not same(weights(plain), weights(found))


def test_the_server_can_train_the_last_layer_alone(tmp_path):
    plain = weights(run(tmp_path, "fed-zdas", rounds=2, server_start_round=3))
    moved = {}
    for layers in ("all", "last"):
        found = weights(run(tmp_path, "fed-zdas", rounds=2, server_lr=0.1, server_layers=layers))
        moved[layers] = {name for name in plain if not np.array_equal(plain[name], found[name])}
    assert moved["last"] == {"classifier.weight", "classifier.bias"}
    assert moved["last"] < moved["all"]
    assert "features.0.weight" in moved["all"]


def test_the_received_model_joins_the_groups_and_survives_a_resume(tmp_path):
    plain = weights(run(tmp_path, "fed-zdas", rounds=2))
    short = run(tmp_path, "fed-zdas", rounds=1, server_received=True)
    found = weights(run(tmp_path, "fed-zdas", rounds=2, server_received=True))
    assert not same(plain, found)
    assert same(found, weights(Simulation.resume(short.path, rounds=2)))


def test_training_the_clients_models_begins_at_their_average(tmp_path):
    average = weights(run(tmp_path, "fed-zdas", rounds=2, server_start_round=3))
    small = {"server_refine": "clients", "server_lr": 1e-9}
    found = weights(run(tmp_path, "fed-zdas", rounds=2, **small))
    assert all(np.allclose(value, found[name], atol=1e-5) for name, value in average.items())
    large = weights(run(tmp_path, "fed-zdas", rounds=2, server_refine="clients", server_lr=0.1))
    assert not same(average, large)
    assert not same(large, weights(run(tmp_path, "fed-zdas", rounds=2, server_lr=0.1)))

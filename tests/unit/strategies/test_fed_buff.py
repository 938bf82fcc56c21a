"""FedBuff's arithmetic by hand: one weight, three updates."""

from pathlib import Path

import numpy as np
import pytest
from flwr.app import Message, MessageType, MetricRecord, RecordDict

from fedzda.base import ImageSpec
from fedzda.platform.config.load import from_dict
from fedzda.platform.devices.clock import VirtualClock
from fedzda.platform.devices.fleet import Fleet
from fedzda.platform.devices.work import Samples
from fedzda.platform.devices.workload import Workload
from fedzda.platform.engines.grid import FIRST_NODE, adopt_task_identity
from fedzda.platform.records import array_record
from fedzda.platform.setting import Setting
from fedzda.strategies.fed_buff import FedBuff

BUFFERS = frozenset({"running_mean"})
RAW = {
    "name": "buffer",
    "data": {"name": "digits", "clients": 3},
    "model": {"name": "mlp"},
    "devices": [{"profile": "phone-mid", "share": 1.0}],
}


def bound(**strategy):
    """A strategy in a simulation in which nobody is at work."""
    wanted = {
        "name": "fed-buff",
        "clients_per_round": 3,
        "concurrency": 3,
        "batchnorm": "naive",
        **strategy,
    }
    config = from_dict({**RAW, "strategy": wanted})
    sizes = np.array([10, 20, 30])
    fleet = Fleet(config.devices, 3, 0, Path())
    clock = VirtualClock(Workload(fleet, 1, Samples(sizes), config.local, BUFFERS, None), 0, None)
    image = ImageSpec((1, 8, 8), 10, (0.0,), (1.0,))
    made = FedBuff(config.strategy)
    made.bind(Setting(config, 3, image, BUFFERS, lambda job, items: [], sizes, clock))
    return made


def model(weight, mean=0.0):
    values = {"w": np.float32([weight]), "running_mean": np.float32([mean])}
    return array_record(values)


def reply(client, weight, examples, mean):
    request = Message(RecordDict(), FIRST_NODE + client, MessageType.TRAIN)
    metrics = MetricRecord({"num-examples": examples})
    content = RecordDict({"arrays": model(weight, mean), "metrics": metrics})
    return Message(content, reply_to=request)


def aggregated(staleness, **config):
    """Round 5: the model is 10, that of round r was r; clients moved theirs by 1, 2 and 6."""
    adopt_task_identity()
    strategy = bound(**config)
    strategy.versions = {version: model(float(version)) for version in (1, 2, 4)}
    strategy.versions[5] = model(10.0)
    strategy.received = {"w": np.float32([10.0])}
    strategy.staleness = dict(enumerate(staleness))
    starts = [10.0 if tau == 0 else 5.0 - tau for tau in staleness]
    moves, sizes, means = (1.0, 2.0, 6.0), (10, 20, 30), (1.0, 2.0, 3.0)
    replies = [
        reply(client, start + move, size, mean)
        for client, (start, move, size, mean) in enumerate(
            zip(starts, moves, sizes, means, strict=True)
        )
    ]
    arrays, metrics = strategy.aggregate_train(5, replies)
    assert strategy.versions == {}
    return {name: float(value.numpy()[0]) for name, value in arrays.items()}, metrics


def test_without_staleness_it_is_the_mean_update():
    found, metrics = aggregated([0, 0, 0])
    assert found["w"] == pytest.approx(10 + (1 + 2 + 6) / 3)
    assert found["running_mean"] == pytest.approx(2.0)
    assert metrics["fed-buff-staleness"] == 0


def test_stale_updates_count_less():
    """Staleness 0, 1 and 3: weights 1, 1 / sqrt 2 and 1 / 2; the sum is divided by K."""
    found, metrics = aggregated([0, 1, 3])
    assert found["w"] == pytest.approx(10 + (1 + 2 / np.sqrt(2) + 6 / 2) / 3)
    weights = np.array([1, 1 / np.sqrt(2), 1 / 2])
    assert found["running_mean"] == pytest.approx(weights @ [1, 2, 3] / weights.sum())
    assert metrics["fed-buff-staleness"] == pytest.approx(4 / 3)
    assert metrics["fed-buff-largest-staleness"] == 3


def test_all_stale_step_size_and_sizes():
    found, _ = aggregated([1, 3, 4], staleness_exponent=0.0, server_lr=0.5)
    assert found["w"] == pytest.approx(10 + 0.5 * (1 + 2 + 6) / 3)
    found, _ = aggregated([1, 1, 1], staleness_exponent=1.0, weighting="size")
    assert found["w"] == pytest.approx(10 + (1 * 10 + 2 * 20 + 6 * 30) / 60 / 2)

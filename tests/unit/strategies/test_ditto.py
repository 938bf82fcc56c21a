"""What Ditto tells the clock about its second training."""

from pathlib import Path

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, RecordDict

from fedzda.base import ImageSpec
from fedzda.platform.config.load import from_dict
from fedzda.platform.devices.clock import VirtualClock
from fedzda.platform.devices.fleet import Fleet
from fedzda.platform.devices.work import ExtraWork, Samples
from fedzda.platform.devices.workload import Workload
from fedzda.platform.setting import Setting
from fedzda.strategies.ditto import Ditto


def seconds(local, **strategy):
    """Of one client with 32 samples, for a round beyond what FedAvg takes, in passes."""
    config = from_dict(
        {
            "name": "ditto",
            "data": {"name": "digits", "clients": 1},
            "model": {"name": "mlp"},
            "devices": [{"profile": "phone-mid", "share": 1.0}],
            "local": {"batch_size": 8, **local},
            "strategy": {"name": "ditto", **strategy},
        }
    )
    sizes = np.array([32])
    fleet = Fleet(config.devices, 1, 0, Path())
    workload = Workload(fleet, 10**9, Samples(sizes), config.local, frozenset(), None)
    made, image = Ditto(config.strategy), ImageSpec((1, 8, 8), 10, (0.0,), (1.0,))
    clock = VirtualClock(workload, 0, None)
    made.bind(Setting(config, 1, image, frozenset(), lambda job, items: [], sizes, clock))
    record = RecordDict({"config": ConfigRecord()})
    made.request(1, ArrayRecord(), record)
    extra = ExtraWork.of(record.config_records["config"])
    with_it, without = (
        float(workload.train_sec(np.array([0]), 0, 0, 1, work)[0]) for work in (extra, None)
    )
    one_pass = float(workload.train_sec(np.array([0]), 0, 0, 1, ExtraWork(trainings=1.0))[0])
    plain = config.local.steps / 4 if config.local.steps else config.local.epochs
    return (with_it - without) / ((one_pass - without) / plain)


@pytest.mark.parametrize(
    ("local", "strategy", "passes"),
    [
        ({"epochs": 2}, {}, 2),
        ({"epochs": 2}, {"personal_epochs": 3}, 3),
        ({"steps": 2}, {}, 0.5),
        ({"steps": 2}, {"personal_epochs": 3}, 3),
    ],
)
def test_the_personal_training_is_charged_as_long_as_it_is(local, strategy, passes):
    assert seconds(local, **strategy) == pytest.approx(passes)

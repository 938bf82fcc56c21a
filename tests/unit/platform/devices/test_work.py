"""What clients compute in a round, by hand."""

import numpy as np
import pytest

from fedzda.platform.config import LocalConfig
from fedzda.platform.devices.config import ProfilesConfig
from fedzda.platform.devices.fleet import Fleet
from fedzda.platform.devices.work import EXTRA_WORK, ExtraWork, Samples, deficit
from fedzda.platform.devices.workload import Workload
from fedzda.platform.scenario.schedule import PhaseSchedule

COUNTS = np.array([[10, 0, 0], [6, 4, 0]])
SIZES = COUNTS.sum(axis=1)
BOTH = np.array([0, 1])


def workload(tmp_path, samples=None):
    """1 MAC per sample, 1 MAC/s, a step costs three forward passes; links take no time."""
    numbers = {"compute": 1.0, "inference": 1.0, "memory": 1e9, "uplink": 1e9, "downlink": 1e9}
    profile = {"profile": {"name": "p", **numbers}, "share": 1.0}
    fleet = Fleet(ProfilesConfig.model_validate({"profiles": [profile]}), 2, 0, tmp_path)
    samples = samples or Samples(SIZES, lambda: COUNTS)
    return Workload(fleet, 1, samples, LocalConfig(batch_size=5), frozenset(), None)


def seconds(load, extra=None, round_=1):
    return load.train_sec(BOTH, 0, 0, round_, extra).tolist()


def test_deficit_by_hand():
    """Sheet fed-zda, section 7: n = (5, 0, 3) needs (0, 5, 2)."""
    counts = np.array([5, 0, 3])
    assert deficit(counts, "to_max", 100.0).tolist() == [0, 5, 2]
    assert deficit(counts, "to_mean", 100.0).tolist() == [0, 4, 1]
    assert deficit(counts, "to_max", 1.0).tolist() == [0, 3, 2]
    assert deficit(np.array([30, 0, 10]), "every_class", 1.0).tolist() == [14, 14, 14]
    assert deficit(np.array([30, 0, 10]), "every_class", 0.5).tolist() == [7, 7, 7]


def test_plain_training_sees_every_sample_once_per_epoch(tmp_path):
    assert seconds(workload(tmp_path)) == [30.0, 30.0]


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (ExtraWork(trainings=1.0), [60, 60]),
        (ExtraWork(trainings=0.5), [45, 45]),
        (ExtraWork(forward=2.0), [50, 50]),
        (ExtraWork(images=100), [330, 330]),
        # up to the largest class, at most ceil(10 / 3) = 4 a class: 4 + 4, and 2 + 4
        (ExtraWork(fill="to_max"), [54, 48]),
        (ExtraWork(fill="to_max", apart=True), [60, 60]),
        # client 0 holds one class and has nothing to balance
        (ExtraWork(fill="balance"), [30, 36]),
        (ExtraWork(fill="balance", apart=True), [30, 60]),
    ],
)
def test_what_a_method_adds(tmp_path, extra, expected):
    assert seconds(workload(tmp_path), extra) == expected


def test_a_request_carries_it():
    extra = ExtraWork(trainings=2.0, images=7, fill="to_max", cap=0.5, apart=True)
    assert ExtraWork.of({EXTRA_WORK: extra.told()}) == extra
    assert ExtraWork.of({}) == ExtraWork()


def test_samples_of_classes_to_come_cost_nothing(tmp_path):
    schedule = PhaseSchedule((0, 1, 2), (1, 3), base_rounds=2, phase_rounds=1)
    load = workload(tmp_path, Samples(SIZES, lambda: COUNTS, schedule))
    assert seconds(load, round_=2) == [30.0, 18.0]
    assert seconds(load, round_=3) == [0.0, 12.0]
    assert load.query_sec(BOTH, 0, 3).tolist() == [0.0, 4.0]
    assert seconds(load, ExtraWork(images=5), round_=3)[0] == 0.0

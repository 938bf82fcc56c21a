import pytest

from fedzda.base import UserError
from fedzda.platform.config import RayConfig
from fedzda.platform.engines.placement import Footprint, Placement, place

GIB = 2**30


def placed(cpus, gpus, worker=4 * GIB, **block):
    return place(RayConfig(**block), cpus, gpus, lambda: Footprint(worker, 80 * GIB))


def refuse():
    raise AssertionError("measured without need")


def test_without_gpus_there_is_one_worker_per_core():
    assert place(RayConfig(), 8, 0, refuse) == Placement(8, 0.0)
    assert place(RayConfig(workers=3), 8, 0, refuse) == Placement(3, 0.0)


def test_a_gpu_gets_as_many_workers_as_its_memory_holds():
    assert Footprint(4 * GIB, 80 * GIB).fitting() == 18
    assert placed(64, 1) == Placement(18, 1 / 18)
    assert placed(64, 2) == Placement(36, 1 / 18)


def test_cores_limit_the_workers_of_a_gpu():
    assert placed(16, 1) == Placement(16, 1 / 16)
    assert placed(16, 4) == Placement(16, 1 / 4)
    assert placed(2, 4) == Placement(2, 1.0)


def test_a_model_that_fills_the_gpu_runs_alone_on_it():
    assert placed(16, 2, worker=60 * GIB) == Placement(2, 1.0)
    assert placed(16, 1, worker=90 * GIB) == Placement(1, 1.0)


def test_numbers_that_are_given_are_taken_and_nothing_is_measured():
    assert place(RayConfig(workers=4), 16, 1, refuse) == Placement(4, 1 / 4)
    assert place(RayConfig(workers=3), 16, 2, refuse) == Placement(3, 1 / 2)
    assert place(RayConfig(gpus_per_worker=0.3), 16, 2, refuse) == Placement(6, 0.3)
    assert place(RayConfig(gpus_per_worker=0), 16, 2, refuse) == Placement(16, 0.0)
    assert place(RayConfig(gpus_per_worker=2), 16, 4, refuse) == Placement(2, 2.0)


def test_more_gpus_than_there_are_is_an_error():
    with pytest.raises(UserError, match="gpus_per_worker is 1, but Ray has 0 GPUs"):
        place(RayConfig(gpus_per_worker=1), 16, 0, refuse)


def test_one_and_a_half_gpus_are_nobodys():
    with pytest.raises(UserError, match=r"gpus_per_worker is 1\.5, and above 1 only whole GPUs"):
        place(RayConfig(gpus_per_worker=1.5), 16, 4, refuse)

"""Whole runs on Ray's workers end like those in one process, to the last bit.

What is compared is one of each kind: strategies, asynchronous rounds, noise, forms of the model.
They stand in one file because they share a Ray.
"""

import pandas as pd
import pytest

from fedzda.platform.catalog import CATALOG
from fedzda.platform.conformance import runs

from . import test_architectures, test_devices, test_privacy, test_variants
from .played import run, same, weights

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("running_ray")]
TWO = {"name": "ray", "workers": 2}
FORMS = ["round", "client", "metric", "value", "variant", "bytes_up"]

# one of each kind: means, jobs at the clients and at the server, client state, all models kept
ON_RAY = ["fed-avg", "fed-zda", "ditto", "scaffold", "fed-mgda"]
OWN = [name for name in sorted(CATALOG["strategies"]) if not name.startswith("flwr")]


@pytest.mark.parametrize(
    "name",
    [name if name in ON_RAY else pytest.param(name, marks=pytest.mark.regression) for name in OWN],
)
def test_engines_agree_to_the_last_bit(name, tmp_path):
    inline = run(tmp_path, name, rounds=2)
    ray = run(tmp_path, name, rounds=2, engine=TWO)
    assert same(runs.weights(inline), runs.weights(ray))
    columns = ["round", "phase", "client", "stage", "metric", "value", "bytes_down", "bytes_up"]
    pd.testing.assert_frame_equal(inline.clients[columns], ray.clients[columns])


def test_fed_buff_is_the_same_on_ray(tmp_path):
    columns = test_devices.COLUMNS
    changes = {"devices": test_devices.MOODY, "rounds": 5, "uplink": {"name": "qsgd"}}
    inline = run(tmp_path, "fed-buff", **changes)
    for workers in (1, 2):
        ray = run(tmp_path, "fed-buff", engine={"name": "ray", "workers": workers}, **changes)
        assert same(weights(inline), weights(ray))
        pd.testing.assert_frame_equal(inline.clients[columns], ray.clients[columns])
        assert inline.summary["virtual"] == ray.summary["virtual"]


def test_the_noise_does_not_depend_on_the_engine(tmp_path):
    inline = test_privacy.run(tmp_path, "client-adaptive", rounds=2)
    ray = test_privacy.run(tmp_path, "client-adaptive", rounds=2, engine=TWO)
    assert same(weights(inline), weights(ray))


def test_forms_of_the_model_do_not_depend_on_the_engine(tmp_path):
    inline = run(tmp_path, devices=test_variants.MIXED)
    by_two = run(tmp_path, devices=test_variants.MIXED, engine=TWO)
    assert same(weights(inline), weights(by_two))
    pd.testing.assert_frame_equal(inline.clients[FORMS], by_two.clients[FORMS])


def test_architectures_do_not_depend_on_the_engine(tmp_path):
    method, devices = test_architectures.METHOD, test_architectures.APART
    inline = run(tmp_path, method, devices=devices)
    by_two = run(tmp_path, method, devices=devices, engine=TWO)
    assert same(weights(inline), weights(by_two))
    pd.testing.assert_frame_equal(inline.clients[FORMS], by_two.clients[FORMS])

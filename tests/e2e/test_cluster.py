"""Several nodes, by Ray's own cluster utility; one of them is lost in the middle of a round."""

import shutil
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import ray
import yaml
from ray.cluster_utils import Cluster

from fedzda.base import UserError
from fedzda.platform import checkpoint
from fedzda.platform.config.load import load_config
from fedzda.platform.engines.cluster import join, travelling
from fedzda.platform.simulation import Simulation

pytestmark = pytest.mark.e2e
COLUMNS = ["round", "phase", "client", "split", "metric", "value", "bytes_down", "bytes_up"]

MODEL = '''
import time
from pathlib import Path

from torch import nn

from travelling_part import node_id


class Net(nn.Module):
    """Leaves a file per node that trains, with the place of this module in it."""

    def __init__(self, signs, pause):
        super().__init__()
        self.signs, self.pause = Path(signs), pause
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

    def forward(self, x):
        if self.training:
            (self.signs / node_id()).write_text(__file__)
            time.sleep(self.pause)
        return self.net(x)
'''
PART = """
def node_id():
    import ray
    return ray.get_runtime_context().get_node_id() if ray.is_initialized() else "inline"
"""


@pytest.fixture(scope="module")
def cluster():
    """A head and a second node, one CPU each, apart from any other Ray on this machine."""
    folder = tempfile.mkdtemp(prefix="fz", dir="/tmp")  # sockets need a short path
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        size = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
        made = Cluster(True, head_node_args={**size, "include_dashboard": False})
        made.add_node(**size)
        yield made
        ray.shutdown()
        made.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


def run(folder, engine, pause):
    """A study in ``<folder>/study``, its runs and signs beside it."""
    study = folder / "study"
    signs = folder / "signs"
    for made in (study, signs):
        made.mkdir(parents=True)
    (study / "travelling_model.py").write_text(MODEL)
    (study / "travelling_part").mkdir()
    (study / "travelling_part/__init__.py").write_text(PART)
    raw = {
        "name": "cluster",
        "rounds": 4,
        "data": {"name": "digits", "clients": 8, "max_samples": 320},
        "model": {
            "target": "travelling_model:Net",
            "args": {"signs": str(signs), "pause": pause},
        },
        "strategy": {"name": "fed-avg", "clients_per_round": 6},
        "engine": engine,
        "report": False,
        "output": str(folder / "runs"),
    }
    path = study / "study.yaml"
    path.write_text(yaml.safe_dump(raw))
    loaded = load_config(path)
    return Simulation.build(loaded.config, loaded.folder).run()


def lose(cluster, node, folder):
    """Once a round is done, wait for a client to train on the node, and take the node away."""
    sign = folder / "signs" / node.node_id
    while not list(folder.glob("runs/*/checkpoints/round-000001")):
        time.sleep(0.02)
    sign.unlink(missing_ok=True)
    while not sign.exists():
        time.sleep(0.01)
    cluster.remove_node(node, allow_graceful=False)


def test_a_node_lost_in_the_middle_of_a_round_changes_nothing(cluster, tmp_path):
    (node,) = cluster.worker_nodes
    thread = threading.Thread(target=lose, args=(cluster, node, tmp_path / "two"), daemon=True)
    thread.start()
    engine = {"name": "ray", "workers": 2, "address": cluster.address}
    found = run(tmp_path / "two", engine, 0.1)
    thread.join(timeout=30)
    assert not cluster.worker_nodes
    assert "a worker was lost and is replaced" in (found.path / "run.log").read_text()
    calm = run(tmp_path / "one", {"name": "inline"}, 0.0)
    first, second = (checkpoint.load_latest(r.path / "checkpoints").arrays for r in (found, calm))
    assert all(np.array_equal(value, second[name]) for name, value in first.items())
    pd.testing.assert_frame_equal(found.clients[COLUMNS], calm.clients[COLUMNS])
    assert found.summary["failures"] == {"retried": 0, "lost": 0}
    signs = list((tmp_path / "two" / "signs").iterdir())
    assert len(signs) == 2
    for sign in signs:
        place = Path(sign.read_text())
        assert place.name == "travelling_model.py"
        assert tmp_path not in place.parents, "the workers must not need the study's own folder"


@pytest.mark.parametrize("address", ["127.0.0.1:1", "no-port"])
def test_no_cluster_at_the_address_is_said(tmp_path, address):
    with pytest.raises(UserError, match=f"engine.address is '{address}', and no Ray cluster"):
        join(address, [])


def test_modules_travel_and_data_stays(tmp_path):
    for name in ("models.py", "my-notes.py", "README.md", "pkg/__init__.py", "runs/x/config.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert travelling(tmp_path) == [str(tmp_path / "models.py"), str(tmp_path / "pkg")]

"""What only a GPU can show. Run with ``pytest -m gpu tests/gpu``."""

import json

import pytest
import torch

from fedzda.platform.config.load import load_config
from fedzda.platform.engines.placement import place
from fedzda.platform.simulation import Simulation

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU"),
]


def accuracy(output, *changes):
    changes = [*changes, f"output={output}", "rounds=10", "evaluate={every: 10}"]
    loaded = load_config("quickstart-fed-avg", list(changes))
    run = Simulation.build(loaded.config, folder=loaded.folder).run()
    return run.summary["metrics"]["accuracy"]["mean"]


@pytest.mark.parametrize("vectorise", ["true", "false"])
def test_a_gpu_learns_what_a_cpu_learns(tmp_path, vectorise):
    on_cpu = accuracy(tmp_path / "cpu", "engine={name: inline, device: cpu}")
    block = f"engine={{name: inline, device: cuda, vectorise: {vectorise}}}"
    assert accuracy(tmp_path / "gpu", block) == pytest.approx(on_cpu, abs=0.03)


def test_workers_that_share_a_gpu_are_as_many_as_fit(tmp_path, monkeypatch):
    measured = []

    def spy(config, cpus, gpus, measure):
        placement = place(config, cpus, gpus, lambda: measured.append(measure()) or measured[0])
        measured.append(placement)
        return placement

    monkeypatch.setattr("fedzda.platform.engines.ray.place", spy)
    assert accuracy(tmp_path, "engine={name: ray, device: cuda}") > 0.5
    footprint, placement = measured
    assert 2**26 < footprint.worker < footprint.total
    assert placement.workers * placement.gpus <= torch.cuda.device_count()


def test_phases_on_a_gpu(tmp_path):
    """Replay and two teachers learn what they learn on a CPU, up to rounding."""
    found = {}
    for device in ("cpu", "cuda"):
        changes = ["rounds=12", f"output={tmp_path / device}"]
        changes.append(f"engine={{name: inline, device: {device}}}")
        loaded = load_config("fed-dfgr-digits", changes)
        run = Simulation.build(loaded.config, folder=loaded.folder).run()
        figures = json.loads((run.path / "artifacts" / "incremental.json").read_text())
        found[device] = figures["average"]
    assert found["cuda"] == pytest.approx(found["cpu"], abs=0.03)

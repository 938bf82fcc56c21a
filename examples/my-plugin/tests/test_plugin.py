"""Every component keeps the rules, and the simulation learns."""

from pathlib import Path

import fedzda
import pytest
from fedzda.platform.conformance import check

COMPONENTS = [
    "model:Net",
    "task:FocalLoss",
    "dataset:bars",
    "partitioner:steps",
    "strategy:SlowServer",
    "variant:LastLayers",
]


@pytest.mark.parametrize("component", COMPONENTS)
def test_keeps_the_rules(component):
    assert check(f"my_plugin.{component}").problems == []


def test_the_simulation_learns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = fedzda.run(Path(__file__).parents[1] / "sim.yaml", report=False)
    assert run.summary["metrics"]["accuracy"]["mean"] > 0.4

"""Figures of a task that are no sums over samples, in runs that end on time and early."""

import pytest

from fedzda.platform.config.load import from_dict
from fedzda.platform.simulation import Simulation

TASK = """
from fedzda.clients.tasks.classification import Classification
from fedzda.clients.tasks.config import ClassificationConfig


class Numbered(Classification):
    def __init__(self, image):
        super().__init__(ClassificationConfig(), image)

    def client_figures(self, runtime, client, model):
        return {"number": float(client)}
"""


def rounds_with_figures(tmp_path, **changes):
    (tmp_path / "numbered.py").write_text(TASK)
    raw = {
        "name": "figures",
        "rounds": 4,
        "data": {"name": "digits", "clients": 3, "max_samples": 60, "test_fraction": 0.25},
        "model": {"name": "mlp"},
        "task": {"target": "numbered:Numbered"},
        "strategy": {"name": "fed-avg"},
        "engine": {"name": "inline"},
        "output": str(tmp_path / "runs"),
        "report": False,
        **changes,
    }
    run = Simulation.build(from_dict(raw), folder=tmp_path).run()
    rows = run.clients[run.clients.metric == "number"]
    assert (rows.value == rows.client).all()
    assert (rows.phase == "evaluate").all()
    return sorted(set(rows["round"])), run.summary


def test_the_last_evaluation_has_them(tmp_path):
    rounds, summary = rounds_with_figures(tmp_path)
    assert rounds == [4]
    assert summary["metrics"]["number"]["mean"] == pytest.approx(1.0)


@pytest.mark.parametrize("rule", [{"target": 0.0}, {"patience": 1, "min_delta": 1.0}])
def test_so_has_that_of_a_run_that_is_ended_early(rule, tmp_path):
    rounds, summary = rounds_with_figures(tmp_path, stop=rule)
    assert summary["rounds"] < 4
    assert rounds[-1] == summary["rounds"]
    assert summary["metrics"]["number"]["mean"] == pytest.approx(1.0)

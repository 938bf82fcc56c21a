"""benchmarks/incremental.py: every arm is a valid configuration, cells resume, tables."""

import importlib
import json
import sys
from pathlib import Path

import pytest

from fedzda.platform.config.load import load_config

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setenv("FEDZDA_DATA", str(tmp_path))
    monkeypatch.setenv("FEDZDA_CACHE", str(tmp_path / "cache"))
    found = importlib.import_module("incremental")
    monkeypatch.setattr(found, "RESULTS", tmp_path / "results")
    yield found
    for name in ("incremental", "docs_page"):
        sys.modules.pop(name, None)


def test_every_arm_is_valid(bench):
    for setting, (shipped, arms, _) in bench.SETTINGS.items():
        for arm in arms:
            changes = bench.changes_of(setting, arm, 0, {})
            overrides = [f"{k.replace('__', '.')}={json.dumps(v)}" for k, v in changes.items()]
            assert load_config(shipped, overrides).config.strategy.base == arms[arm][0]


def test_a_finished_cell_is_not_run_again(bench, monkeypatch, capsys):
    quick = {
        **{"rounds": 2, "scenario__phases": 1, "scenario__base_rounds": 1},
        **{"scenario__rounds_per_phase": 1, "strategy__dtid__teacher_rounds": 0},
        **{"data__max_samples": 200, "engine__name": "inline", "local__epochs": 1},
    }
    monkeypatch.setitem(bench.SETTINGS, "digits", ("fed-dfgr-digits", bench.FEDERATED, quick))
    bench.run_all("digits", ["fed-avg"], [0], {})
    path = bench.cell_path("digits", "fed-avg", 0)
    cell = json.loads(path.read_text())
    assert len(cell["clients"]) == 2
    assert set(cell["clients"][0]) == {"mean", "worst10", "variance_pp2", "gini"}
    assert cell["rule"] == "classifier"
    capsys.readouterr()
    before = path.stat().st_mtime_ns
    bench.run_all("digits", ["fed-avg"], [0], {})
    assert path.stat().st_mtime_ns == before
    assert not capsys.readouterr().out
    text = bench.table("digits")
    assert text.count("| fed-avg |") == 2  # the averages, and the clients phase by phase
    assert "phase 1" in text


def test_the_other_rule_is_named(bench):
    assert bench.other_rule([{"average_nme": 0.5}, {"average_nme": 0.7}]) == (
        "60.0 ± 14.1 (nearest mean)"
    )
    assert bench.other_rule([{"average_classifier": 0.5}]) == "50.0 (classifier)"
    assert bench.other_rule([{}]) == "–"

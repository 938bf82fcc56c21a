"""``fedzda sweep`` on real, tiny simulations: each cell in a process of its own."""

import json

import pytest
from typer.testing import CliRunner

from fedzda.platform.cli.app import app
from fedzda.platform.config.yaml_loader import dump

pytestmark = pytest.mark.e2e

SWEEP = {
    "name": "tiny",
    "base": {
        "rounds": 3,
        "data": {"name": "digits", "clients": 4, "max_samples": 120, "test_fraction": 0.25},
        "model": {"name": "mlp"},
        "strategy": {"name": "fed-avg"},
        "engine": {"name": "inline"},
    },
    "arms": {
        "fed-avg": {},
        "alone": {"changes": {"strategy.name": "local-only"}},
    },
    "last": 2,
    "baseline": "fed-avg",
    "alone": "alone",
    "results": "results",
    "keep_runs": False,
}


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments, **changes):
        (tmp_path / "tiny.yaml").write_text(dump(SWEEP | changes), encoding="utf-8")
        return CliRunner().invoke(app, ["sweep", "tiny.yaml", *arguments])

    return call


def test_cells_run_once_and_leave_small_files(sweep, tmp_path):
    first = sweep("--jobs", "4096")
    assert first.exit_code == 0, first.output
    assert "--jobs is 4096, and " in first.output
    assert "2 cells: 2 to run" in first.output
    found = json.loads((tmp_path / "results" / "fed-avg-s0.json").read_text())
    figures, curves = found["figures"]["global"], found["curves"]["global"]
    assert len(curves["mean"]) == 3
    assert figures["mean"] == pytest.approx(sum(curves["mean"][-2:]) / 2, abs=1e-3)
    assert len(found["clients"]["global"]) == 4
    assert found["cpu_seconds"] > 0
    assert found["bytes"]["down"] > 0
    assert found["versions"]["fedzda"]
    assert (tmp_path / "results" / "fed-avg-s0.json").stat().st_size < 4000
    alone = json.loads((tmp_path / "results" / "alone-s0.json").read_text())
    assert list(alone["figures"]) == ["personalised"]
    assert not list((tmp_path / "runs").glob("2*"))  # keep_runs: false
    assert (tmp_path / "runs" / "sweeps" / "tiny" / "fed-avg-s0.yaml").is_file()
    again = sweep()
    assert "2 cells: 0 to run, 2 have a result" in again.output
    tables = sweep("--tables", "pages")
    assert tables.exit_code == 0, tables.output
    assert "alone, personalised" in (tmp_path / "pages" / "tables.md").read_text()
    longer = sweep("--only", "arm=alone", base={**SWEEP["base"], "rounds": 4})
    assert "1 cells: 1 to run" in longer.output
    assert json.loads((tmp_path / "results" / "alone-s0.json").read_text())["rounds"] == 4


def test_a_cell_that_fails_stops_no_other(sweep, tmp_path):
    arms = {
        "broken": {"changes": {"data.max_samples": 5}},
        "fed-avg": {},
    }
    result = sweep(arms=arms, alone=None)
    assert result.exit_code == 1
    assert "broken-s0  FAILED: " in result.output
    assert "fedzda sweep tiny.yaml --only arm=broken,seed=0" in result.output
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["fed-avg-s0.json"]


def test_dry_run_shows_cells_and_their_time(sweep, tmp_path):
    result = sweep("--dry-run")
    assert result.exit_code == 0, result.output
    assert "Time to run what is left" in result.output
    assert not (tmp_path / "results").exists()
    lines = [line.split() for line in result.output.splitlines()]
    assert ["fed-avg", "1", "0", "1"] in [line[:4] for line in lines]


def test_wrong_input_is_told_in_a_sentence(sweep):
    result = sweep("--only", "arm=nobody")
    assert result.exit_code == 2
    assert "matches no cell" in result.output
    assert "shipped sweep" in CliRunner().invoke(app, ["sweep", "fair-zd"]).output

"""The records of a run as tables that other programs read."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import fedzda
from fedzda.base import UserError
from fedzda.platform.cli.app import app
from fedzda.platform.export_records import export_records

from .report.make_run import make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "a", rounds=3, clients=6)


@pytest.mark.parametrize(("kind", "read"), [("csv", pd.read_csv), ("parquet", pd.read_parquet)])
def test_both_tables_hold_everything(run, tmp_path, kind, read):
    paths = export_records(run, tmp_path / "new" / "folder", kind)
    clients, rounds = (read(path) for path in paths)
    stored = fedzda.load(run)
    assert len(clients) == len(stored.clients)
    assert list(clients.columns) == list(stored.clients.columns)
    for column in ("round", "client", "metric", "num_examples"):
        assert clients[column].tolist() == stored.clients[column].tolist()
    np.testing.assert_allclose(clients["value"], stored.clients["value"], rtol=1e-15)
    assert rounds["round"].tolist() == [1, 2, 3]
    expected = stored.rounds["metrics.accuracy.worst10"]
    np.testing.assert_allclose(rounds["metrics.accuracy.worst10"], expected, rtol=1e-15)


def test_tables_of_two_runs_do_not_meet(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = make_run(tmp_path / "b", rounds=2, clients=6)
    for one in (run, other):
        found = CliRunner().invoke(app, ["export", "records", str(one)])
        assert found.exit_code == 0, found.output
    lengths = [len(pd.read_csv(Path("records") / name / "rounds.csv")) for name in ("a", "b")]
    assert lengths == [3, 2]


def test_a_run_that_has_not_begun_gives_empty_tables(run, tmp_path):
    begun = tmp_path / "begun"
    begun.mkdir()
    for name in ("config.yaml", "meta.json"):
        (begun / name).write_bytes((run / name).read_bytes())
    clients, rounds = (pd.read_csv(path) for path in export_records(begun, tmp_path / "out"))
    assert clients.empty
    assert "virtual_sec" in clients.columns
    assert rounds.empty


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(UserError, match="is not a run folder"):
        export_records(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_that_was_killed_while_it_wrote_loses_its_half_line(tmp_path):
    killed = make_run(tmp_path / "killed", rounds=2, clients=4)
    with (killed / "rounds.jsonl").open("a") as file:
        file.write('{"round": 3, "seco')
    rounds = pd.read_csv(export_records(killed, tmp_path / "out")[1])
    assert rounds["round"].tolist() == [1, 2]


def test_a_round_without_a_list_has_an_empty_cell(tmp_path):
    found = make_run(tmp_path / "some", rounds=2, clients=4)
    first, second = (json.loads(x) for x in (found / "rounds.jsonl").read_text().splitlines())
    first["metrics"] = {}  # not evaluated
    (found / "rounds.jsonl").write_text(f"{json.dumps(first)}\n{json.dumps(second)}\n")
    table = pd.read_csv(export_records(found, tmp_path / "out")[1], keep_default_na=False)
    empty, pair = table["metrics.accuracy.mean_ci95"]
    assert empty == ""
    assert json.loads(pair) == second["metrics"]["accuracy"]["mean_ci95"]

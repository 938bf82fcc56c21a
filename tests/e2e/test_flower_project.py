"""``fedzda run --flower-app``: a folder in the form that ``flwr new`` writes."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import fedzda
from fedzda.base import UserError
from fedzda.platform.cli.app import app
from fedzda.platform.flower.project import read_project, with_overrides
from fedzda.platform.flower.run import FlowerAppRun

pytestmark = pytest.mark.e2e
APP = Path(__file__).parent / "flower_quickstart"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments):
    return CliRunner().invoke(app, ["run", "--flower-app", str(APP), *arguments])


def rows(run):
    return [json.loads(line) for line in (run.path / "rounds.jsonl").read_text().splitlines()]


def test_it_gets_our_records_and_our_report(folder):
    result = call("engine.name=inline", "--run-config", "local-epochs=2 learning-rate=0.2")
    assert result.exit_code == 0, result.output
    assert "round 3/3" in result.output
    assert "eval_acc over 6 clients: mean" in result.output
    run = fedzda.load(result.output.splitlines()[-1].removeprefix("run folder: "))
    assert run.status["state"] == "finished"
    assert [row["clients"]["sampled"] for row in rows(run)] == [3, 3, 3]
    table = run.clients
    assert set(table[table.phase == "evaluate"].metric) == {"eval_loss", "eval_acc"}
    accuracy = table[(table.metric == "eval_acc") & (table["round"] == 3)]
    assert sorted(accuracy.client) == list(range(6))
    assert (accuracy.num_examples > 0).all()
    figures = run.summary["metrics"]["eval_acc"]
    assert figures["mean"] == pytest.approx(accuracy.value.mean())
    assert figures["worst10"] == accuracy.value.min() > 0.3
    losses = run.summary["metrics"]["eval_loss"]
    assert losses["worst10"] == losses["max"], "of a loss the highest is the worst"
    page = (run.path / "report.html").read_text()
    assert "quickstart-digits" in page
    assert "Mean eval acc" in page
    assert (folder / "final_model.pt").exists(), "the app did what it does on Flower"
    config = (run.path / "config.yaml").read_text()
    assert "learning-rate: 0.2" in config
    assert "local-epochs: 2" in config


def test_equal_seeds_give_equal_records_and_runs_can_be_compared(folder):
    runs = [
        FlowerAppRun.build(APP, "num-server-rounds=2", ["engine.name=inline", f"seed={seed}",
                                                        "report=false"]).run()
        for seed in (0, 0, 1)
    ]  # fmt: skip
    first, again, other = (run.clients[["round", "client", "metric", "value"]] for run in runs)
    assert first.equals(again)
    assert not first.equals(other)
    result = CliRunner().invoke(app, ["compare", str(runs[0].path), str(runs[2].path)])
    assert result.exit_code == 0, result.output
    assert "2 seeds" in result.output
    resumed = CliRunner().invoke(app, ["resume", str(runs[0].path)])
    assert resumed.exit_code == 2
    assert "cannot be resumed. Run the app again." in resumed.output


def test_an_app_that_fails_is_told_with_its_traceback(folder):
    broken = folder / "broken"
    shutil.copytree(APP, broken)
    server = broken / "digitsexample" / "server_app.py"
    server.write_text(server.read_text().replace("torch.manual_seed(0)", "raise KeyError('lr')"))
    (broken / "digitsexample").rename(broken / "brokenexample")
    for file in [*broken.rglob("*.py"), broken / "pyproject.toml"]:
        file.write_text(file.read_text().replace("digitsexample", "brokenexample"))
    result = CliRunner().invoke(
        app, ["run", "--flower-app", str(broken), "engine.name=inline", "--quiet"]
    )
    assert result.exit_code == 1
    assert "the ServerApp failed" in result.output
    assert "server_app.py" in result.output
    assert "KeyError: 'lr'" in result.output
    (run,) = (folder / "runs").iterdir()
    assert fedzda.load(run).status["state"] == "failed"


def test_the_project_file_is_read():
    project = read_project(APP)
    assert project.clients == 6
    assert project.server_app == "digitsexample.server_app:app"
    assert project.run_config["learning-rate"] == 0.1
    changed = with_overrides(project.run_config, "learning-rate=1 batch-size=8")
    assert changed["learning-rate"] == 1.0
    assert isinstance(changed["learning-rate"], float)
    assert changed["batch-size"] == 8


def test_wrong_input_is_told_in_a_sentence(folder):
    config = read_project(APP).run_config
    with pytest.raises(UserError, match=r"no key 'learning_rate'\. Did you mean 'learning-rate'"):
        with_overrides(config, "learning_rate=0.1")
    with pytest.raises(UserError, match="takes key=value pairs"):
        with_overrides(config, "batch-size 8")
    (folder / "changes.toml").write_text("batch-size = = 8\n")
    with pytest.raises(UserError, match=r"changes\.toml' is not readable TOML"):
        with_overrides(config, str(folder / "changes.toml"))
    with pytest.raises(UserError, match=r"has no pyproject\.toml"):
        read_project(folder)
    (folder / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    with pytest.raises(UserError) as caught:
        read_project(folder)
    assert len(caught.value.problems) == 2
    result = call("clents=3")
    assert result.exit_code == 2
    assert "Did you mean 'clients'" in result.output
    both = call("--dry-run", "--fast")
    assert both.exit_code == 2
    assert "--dry-run does nothing for a Flower app" in both.output
    assert "--fast does nothing for a Flower app" in both.output
    alone = CliRunner().invoke(app, ["run", "quickstart", "--run-config", "a=1"])
    assert "--run-config is for Flower apps" in alone.output
    assert not (folder / "runs").exists()

"""When a run ends before its last round, and what resume makes of it."""

import json

import pytest
import yaml

from fedzda.base import UserError
from fedzda.platform import checkpoint as checkpoints
from fedzda.platform.config import StopConfig
from fedzda.platform.config.load import from_dict
from fedzda.platform.engines.inline import InlineEngine
from fedzda.platform.resume import begin, reopen
from fedzda.platform.runs import RunFolder
from fedzda.platform.simulation import Simulation
from fedzda.platform.stopping import Stopping


def row(value=None, seconds=1.0, **figures):
    found = {"accuracy": {"mean": value, "worst10": 0.0, **figures}} if value is not None else {}
    return {"metrics": found, "seconds": {"total": seconds}}


def feed(stop, rows, better=None):
    """Rule and round of the end, or (None, rounds) if there is none."""
    stopping = Stopping(StopConfig(**stop), "accuracy", better or {})
    for number, item in enumerate(rows, 1):
        stopping.after(item, may_end=bool(item["metrics"]))
        if stopping.stopped:
            return stopping.state.rule, number
    return None, len(rows)


def test_patience_counts_evaluated_rounds_without_an_improvement():
    rows = [row(0.5), row(), row(0.6), row(0.6), row(), row(0.59), row(0.7)]
    assert feed({"patience": 2}, rows) == ("patience", 6)
    assert feed({"patience": 3}, rows) == (None, 7)


def test_an_improvement_must_exceed_min_delta_over_the_best_so_far():
    creeping = [row(0.50), row(0.54), row(0.58), row(0.62)]
    assert feed({"patience": 2, "min_delta": 0.05}, creeping) == (None, 4)
    assert feed({"patience": 2, "min_delta": 0.1}, creeping) == ("patience", 3)


def test_the_target_counts_when_it_is_reached_or_passed():
    assert feed({"target": 0.6}, [row(0.5), row(0.6), row(0.9)]) == ("target", 2)


def test_a_loss_gets_better_downwards():
    rows = [row(0.9), row(0.5), row(0.6), row(0.7)]
    assert feed({"patience": 2}, rows, {"accuracy": False}) == ("patience", 4)
    assert feed({"target": 0.5}, rows, {"accuracy": False}) == ("target", 2)


def test_another_figure_can_be_looked_at():
    rows = [row(0.5, worst10=0.1), row(0.6, worst10=0.3)]
    assert feed({"target": 0.3, "figure": "worst10"}, rows) == ("target", 2)


def test_a_round_without_a_figure_says_nothing():
    nothing = {"metrics": {"accuracy": {"mean": None}}, "seconds": {"total": 1.0}}
    assert feed({"patience": 1, "target": 0.0}, [nothing, nothing]) == (None, 2)


def test_the_time_budget_ends_on_an_evaluated_round():
    stopping = Stopping(StopConfig(seconds=3.0), "accuracy", {})
    stopping.after(row(0.5, 2.0), may_end=True)
    assert not stopping.stopped
    assert not stopping.out_of_time(0.9)
    assert stopping.out_of_time(1.0)
    stopping.after(row(None, 1.5), may_end=False)
    assert not stopping.stopped
    stopping.after(row(0.6, 0.1), may_end=True)
    assert stopping.state.rule == "seconds"


def test_an_unknown_metric_is_the_users_error():
    with pytest.raises(UserError, match=r"'acuracy'.*accuracy"):
        feed({"patience": 1, "metric": "acuracy"}, [row(0.5)])


def simulate(output, stop, **changes):
    raw = {
        "name": "tiny",
        "rounds": 6,
        "data": {"name": "digits", "clients": 4, "max_samples": 120},
        "model": {"name": "mlp"},
        "strategy": {"name": "fed-avg", "clients_per_round": 2},
        "engine": {"name": "inline"},
        "checkpoint": {"every": 4},
        "output": str(output),
        "report": False,
        "stop": stop,
    }
    return Simulation.build(from_dict({**raw, **changes})).run()


def arrays(run):
    return checkpoints.load_latest(run.path / "checkpoints")


def test_a_stopped_run_equals_one_with_fewer_rounds(tmp_path):
    stopped = simulate(tmp_path, {"patience": 1, "min_delta": 1.0})
    short = simulate(tmp_path, {}, rounds=2)
    assert stopped.summary["stopped"]["rule"] == "patience"
    assert stopped.summary["stopped"]["round"] == stopped.summary["rounds"] == 2
    assert short.summary["stopped"] is None
    assert stopped.summary["metrics"] == short.summary["metrics"]
    first, second = arrays(stopped), arrays(short)
    assert first.round == second.round == 2
    assert all((first.arrays[k] == second.arrays[k]).all() for k in first.arrays)
    assert stopped.status["state"] == stopped.meta["exit_reason"] == "finished"
    assert "did not improve" in stopped.status["stopped"]


def test_out_of_time_the_last_round_is_evaluated_and_kept(tmp_path):
    run = simulate(tmp_path, {"seconds": 1e-6}, evaluate={"every": 3})
    assert run.summary["stopped"]["rule"] == "seconds"
    assert run.summary["rounds"] == 1
    assert set(run.clients[run.clients.phase == "evaluate"]["round"]) == {1}
    assert arrays(run).round == 1


def test_resume_after_a_stop_needs_a_number_of_rounds_and_lifts_the_rule(tmp_path):
    run = simulate(tmp_path, {"patience": 1, "min_delta": 1.0, "target": 1.0})
    with pytest.raises(UserError, match=r"ended by stop.patience in round 2.*rounds=6"):
        Simulation.resume(run.path)
    with pytest.raises(UserError, match="larger than the 2 rounds done"):
        Simulation.resume(run.path, rounds=2)
    longer = Simulation.resume(run.path, rounds=4)
    assert longer.summary["rounds"] == 4
    assert longer.summary["stopped"] is None
    kept = yaml.safe_load((run.path / "config.yaml").read_text(encoding="utf-8"))["stop"]
    assert kept["patience"] is None
    assert kept["target"] == 1.0


def test_patience_is_remembered_over_a_resume(tmp_path):
    """Four rounds in a row without an improvement, two of them before the interruption."""
    stop = {"patience": 3, "min_delta": 1.0}
    straight = simulate(tmp_path, stop)
    assert straight.summary["rounds"] == 4
    resumed = Simulation.resume(simulate(tmp_path, stop, rounds=3).path, rounds=6)
    assert resumed.summary["stopped"] == straight.summary["stopped"]


def test_a_run_killed_after_its_last_checkpoint_is_finished_by_resume(tmp_path):
    run = simulate(tmp_path, {"patience": 1, "min_delta": 1.0})
    summary = run.summary
    (run.path / "summary.json").unlink()
    again = Simulation.resume(run.path).summary
    for known in (summary, again):
        known["seconds"].pop("startup"), known["seconds"].pop("total")
    assert again == summary


def test_rules_that_need_an_evaluation_are_refused_without_one(tmp_path):
    with pytest.raises(UserError, match=r"stop.patience.*evaluate.every"):
        simulate(tmp_path, {"patience": 1}, evaluate={"every": 0})
    run = simulate(tmp_path, {"seconds": 1e-6}, evaluate={"every": 0})
    assert run.summary["rounds"] == 1


def test_resume_needs_the_figures_of_the_rounds_done_and_no_source_folder(tmp_path):
    run = simulate(tmp_path, {}, rounds=1)
    assert run.summary["higher_is_better"] == {"accuracy": True, "loss": False}
    meta = {key: value for key, value in run.meta.items() if key != "source_folder"}
    (run.path / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    (run.path / "rounds.jsonl").rename(tmp_path / "kept")
    with pytest.raises(UserError, match=r"lacks the file rounds\.jsonl.*of round 1 were"):
        Simulation.resume(run.path, rounds=2)
    (tmp_path / "kept").rename(run.path / "rounds.jsonl")
    assert Simulation.resume(run.path, rounds=2).summary["rounds"] == 2


def test_rounds_whose_figures_are_lost_are_played_again(tmp_path, caplog):
    """The line of round 3 is gone and half of that of round 4; checkpoints are kept of 2 to 4."""
    every_round = {"every": 1, "keep": 3}
    straight = simulate(tmp_path, {}, rounds=5, checkpoint=every_round)
    run = simulate(tmp_path, {}, rounds=4, checkpoint=every_round)
    file = run.path / "rounds.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join([*lines[:2], lines[3][:40]]), encoding="utf-8")
    resumed = Simulation.resume(run.path, rounds=5)
    assert "has lost the figures of rounds 3 to 4: going on from the checkpoint of" in caplog.text
    assert resumed.rounds["round"].tolist() == [1, 2, 3, 4, 5]
    assert resumed.summary["metrics"] == straight.summary["metrics"]
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[i] for i in (0, 2, 4)), encoding="utf-8")
    with pytest.raises(UserError, match=r"lacks lines of .* of rounds 2 and 4 .*anew: fedzda"):
        Simulation.resume(run.path, rounds=6)
    assert file.read_text(encoding="utf-8").count("\n") == 3


def test_a_lifted_rule_stays_lifted_where_no_checkpoint_was_made_since(tmp_path):
    run = simulate(tmp_path, {"patience": 1, "min_delta": 1.0})
    config, folder, _, latest = reopen(run, 4)
    begin(config, folder, latest, changed=True)  # and interrupted before the next checkpoint
    again = Simulation.resume(run.path)
    assert again.summary["rounds"] == 4
    assert again.summary["stopped"] is None


def test_a_run_that_was_ended_while_its_data_were_described_gets_that_too(tmp_path):
    simulation = Simulation.build(simulate(tmp_path, {}, rounds=1).config)
    folder = RunFolder.at(tmp_path / "early")
    folder.describe(simulation.config, tmp_path, [])
    run = Simulation.resume(folder.path)
    assert run.summary["rounds"] == 1
    assert (folder.artifacts / "label_counts.parquet").is_file()
    assert (folder.artifacts / "classes.json").is_file()


class LongWay(InlineEngine):
    """Says that models were 1,000 s on their way to the workers, while the clients trained."""

    def run(self, chunks):
        self.transfer_sec += 1000.0
        return super().run(chunks)


def test_time_on_the_way_is_part_of_training_and_counts_once(tmp_path):
    simulation = Simulation.build(simulate(tmp_path, {}, rounds=1).config)
    simulation.make_engine = LongWay
    seconds = simulation.run().summary["seconds"]
    assert seconds["transfer"] >= 2000
    assert seconds["total"] < 1000


def test_a_share_cannot_reach_more_than_one(tmp_path):
    words = r"'stop.target' should be at most 1, as 'accuracy' is a share \(got 95\). Write 0.95"
    with pytest.raises(UserError, match=words):
        simulate(tmp_path, {"target": 95})
    with pytest.raises(UserError, match=words):
        simulate(tmp_path, {"target": 95, "metric": "accuracy"})
    loss = simulate(tmp_path, {"target": 2.5, "metric": "loss"}, rounds=1)
    assert loss.summary["rounds"] == 1


def test_a_rule_lifted_stays_lifted_where_older_rounds_are_played_again(tmp_path):
    every_round = {"every": 1, "keep": 6}
    run = simulate(tmp_path, {"target": 0.01}, rounds=6, checkpoint=every_round)
    assert run.summary["rounds"] == 1
    Simulation.resume(run.path, rounds=4)
    file = run.path / "rounds.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join([lines[0], *lines[2:]]), encoding="utf-8")
    again = Simulation.resume(run.path, rounds=5)
    assert again.summary["stopped"] is None
    assert again.rounds["round"].tolist() == [1, 2, 3, 4, 5]


def test_checkpoints_of_rounds_to_be_played_again_are_no_more(tmp_path):
    """Until then others would read the newest of them: model, start_from, trackers."""
    run = simulate(tmp_path, {}, rounds=4, checkpoint={"every": 1, "keep": 4})
    file = run.path / "rounds.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:2]), encoding="utf-8")
    config, folder, _, latest = reopen(run, 6)
    assert (latest.round, checkpoints.newest_round(folder.checkpoints)) == (2, 4)
    assert (run.path / "summary.json").exists()
    begin(config, folder, latest, changed=True)
    assert checkpoints.newest_round(folder.checkpoints) == 2
    assert (folder.checkpoints / "latest").read_text().strip() == "round-000002"


def test_a_run_that_cannot_go_on_loses_nothing(tmp_path, monkeypatch):
    run = simulate(tmp_path, {}, rounds=1)

    def fail(*_):
        raise UserError("the data are gone")

    monkeypatch.setattr(Simulation, "build", fail)
    with pytest.raises(UserError, match="the data are gone"):
        Simulation.resume(run.path, rounds=2)
    assert (run.path / "summary.json").exists()
    assert run.config.rounds == 1

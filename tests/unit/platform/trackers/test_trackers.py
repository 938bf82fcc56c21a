"""Trackers, each with the real package: what it wrote is read back by other means."""

import json
import struct
import sys
import time
import warnings

import pytest

from fedzda.base import UserError
from fedzda.platform.config.load import from_dict, load_config
from fedzda.platform.simulation import Simulation
from fedzda.platform.trackers.base import TrackedRun, final_values, round_values
from fedzda.platform.trackers.callback import Tracking, check_installed
from fedzda.platform.trackers.config import TensorBoardConfig, WandbConfig
from fedzda.platform.trackers.tensorboard import TensorBoard

RAW = {
    "name": "tiny",
    "rounds": 2,
    "data": {"name": "digits", "clients": 4, "max_samples": 120, "test_fraction": 0.25},
    "model": {"name": "mlp", "hidden": [8]},
    "strategy": {"name": "fed-avg"},
    "engine": {"name": "inline"},
    "report": False,
}


def play(output, tracker, rounds=3):
    """Two rounds, then a resume up to ``rounds``."""
    config = from_dict({**RAW, "output": str(output), "trackers": [tracker]})
    run = Simulation.build(config).run()
    return Simulation.resume(run.path, rounds=rounds)


def rows(run):
    return [json.loads(line) for line in (run.path / "rounds.jsonl").read_text().splitlines()]


def worst(run):
    return [row["metrics"]["accuracy"]["worst10"] for row in rows(run)]


def test_tensorboard_event_files_hold_every_round(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = play(tmp_path, "tensorboard")
    events = accumulator.EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    found = events.Scalars("accuracy/worst10")
    assert [event.step for event in found] == [1, 2, 3]
    assert [event.value for event in found] == pytest.approx(worst(run))
    final = events.Scalars("final/accuracy/mean")[-1]
    assert (final.step, final.value) == (
        3,
        pytest.approx(run.summary["metrics"]["accuracy"]["mean"]),
    )
    text = events.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "| strategy.name | fed-avg |" in text


class Killed:
    """A callback that ends the run after its second round, before any checkpoint."""

    def round(self, row, total_rounds):
        if row["round"] == 2:
            raise KeyboardInterrupt


def test_rounds_before_the_first_checkpoint_count_once_too(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    late = {"output": str(tmp_path), "checkpoint": {"every": 5}, "trackers": ["tensorboard"]}
    with pytest.raises(KeyboardInterrupt):
        Simulation.build(from_dict(RAW | late | {"rounds": 3})).run(callbacks=[Killed()])
    (folder,) = tmp_path.iterdir()
    events = accumulator.EventAccumulator(str(Simulation.resume(folder).path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("accuracy/worst10")] == [1, 2, 3]


def test_runs_with_a_common_tensorboard_folder_stay_apart(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("a", "b"):
        tracker = TensorBoard(TensorBoardConfig(folder="~/events"))
        tracker.open(TrackedRun(tmp_path / name, {}, 0))
        tracker.close("finished", {}, 0)
    assert {path.name for path in (tmp_path / "events").iterdir()} == {"a", "b"}


@pytest.mark.parametrize("store", ["files", "database"])
def test_mlflow_keeps_one_run_across_a_resume(tmp_path, monkeypatch, store):
    tracking = pytest.importorskip("mlflow.tracking")
    monkeypatch.chdir(tmp_path)
    uri = (tmp_path / "store").as_uri() if store == "files" else None
    run = play(tmp_path / "runs", {"name": "mlflow", "uri": uri, "experiment": "study"})
    client = tracking.MlflowClient(uri or f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("study")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED"
    assert found.info.run_name == run.path.name
    assert found.data.params["strategy.name"] == "fed-avg"
    history = client.get_metric_history(found.info.run_id, "accuracy/worst10")
    assert [metric.step for metric in history] == [1, 2, 3]
    assert [metric.value for metric in history] == pytest.approx(worst(run))
    accuracy = run.summary["metrics"]["accuracy"]["mean"]
    assert found.data.metrics["final/accuracy/mean"] == pytest.approx(accuracy)
    if store == "database":
        assert {path.name for path in tmp_path.iterdir()} == {"runs"}


def records(path):
    """The records of a W&B file: LevelDB's log format, whose pieces are joined here."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, whole = path.read_bytes(), 7, b""
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        _, size, kind = struct.unpack("<IHB", content[place : place + 7])
        whole += content[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):
            record = Record()
            record.ParseFromString(whole)
            yield record
            whole = b""


def complete(path):
    """:func:`records`, once the last is there: W&B's service writes them a little later."""
    for _ in range(300):
        found = list(records(path))
        if found and found[-1].WhichOneof("record_type") == "exit":
            return found
        time.sleep(0.1)
    raise AssertionError(f"{path} has no last record")


def test_wandb_writes_an_offline_folder(tmp_path):
    pytest.importorskip("wandb")
    run = play(tmp_path, {"name": "wandb", "project": "study"})
    files = sorted((run.path / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(files) == 2
    assert len({file.name for file in files}) == 1, "a resumed run has the same identity"
    found, projects, configs = {}, set(), {}
    for record in (record for file in files for record in complete(file)):
        if record.WhichOneof("record_type") == "run":
            projects.add(record.run.project)
            configs |= {own.key: json.loads(own.value_json) for own in record.run.config.update}
        if record.WhichOneof("record_type") == "history":
            values = {
                own.key or "/".join(own.nested_key): json.loads(own.value_json)
                for own in record.history.item
            }
            found[values["_step"]] = values["accuracy/worst10"]
    assert projects == {"study"}
    assert configs["strategy.name"] == "fed-avg"
    assert list(found) == [1, 2, 3]
    assert list(found.values()) == pytest.approx(worst(run))


class Flaky:
    """A tracker that takes one round and then fails, as a full disk or a lost server would."""

    def __init__(self, config):
        self.rounds = []

    def open(self, run):
        if run.config["name"] == "closed":
            raise ConnectionError("no server at 127.0.0.1:5000.")

    def log(self, round_, values):
        if self.rounds:
            raise OSError("the server went away\nwith many details")
        self.rounds.append(round_)

    def close(self, state, values, rounds):
        self.rounds.append(state)


def test_a_tracker_that_fails_warns_once_and_the_run_goes_on(tmp_path):
    config = from_dict({**RAW, "rounds": 4, "output": str(tmp_path)})
    tracker = Flaky(None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run = Simulation.build(config).run([Tracking("flaky", tracker)])
    told = [str(item.message) for item in caught if "tracker" in str(item.message)]
    assert told == [
        "tracker 'flaky' failed after round 2 and gets nothing more; the run goes on, its own "
        "records are complete. OSError: the server went away."
    ]
    assert tracker.rounds == [1]
    assert len(rows(run)) == 4
    assert "the server went away" in (run.path / "run.log").read_text()


def test_a_tracker_that_cannot_be_opened_stops_the_run_before_its_first_round(tmp_path):
    config = from_dict({**RAW, "name": "closed", "output": str(tmp_path)})
    with pytest.raises(UserError, match=r"'flaky' cannot be opened: ConnectionError: no server"):
        Simulation.build(config).run([Tracking("flaky", Flaky(None))])
    assert not list(tmp_path.iterdir())


def test_a_run_that_ends_early_closes_its_trackers(tmp_path):
    class Interrupts:
        def round(self, row, total):
            raise KeyboardInterrupt

    config = from_dict({**RAW, "output": str(tmp_path)})
    tracker = Flaky(None)
    with pytest.raises(KeyboardInterrupt):
        Simulation.build(config).run([Tracking("flaky", tracker), Interrupts()])
    assert tracker.rounds == [1, "interrupted"]


def test_a_missing_package_is_told_before_anything_is_done(monkeypatch):
    for name in ("wandb", "tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError) as caught:
        check_installed([WandbConfig(), TensorBoardConfig()])
    assert len(caught.value.problems) == 2
    assert "pip install wandb'" in caught.value.problems[0]
    assert "fedzda[track]" in caught.value.problems[0]


def test_names_and_blocks_in_a_file(tmp_path):
    text = (
        "name: t\ndata: {name: digits, clients: 2}\nmodel: {name: mlp}\n"
        "strategy: {name: fed-avg}\ntrackers: [tensorboard, {name: mlflow, uri: 'file:x'}]\n"
    )
    (tmp_path / "sim.yaml").write_text(text)
    first, second = load_config(tmp_path / "sim.yaml").config.trackers
    assert first == TensorBoardConfig()
    assert (second.name, second.uri) == ("mlflow", "file:x")
    (tmp_path / "sim.yaml").write_text(text.replace("tensorboard", "tensorbord"))
    with pytest.raises(UserError, match=r"sim\.yaml:5: .*trackers.*tensorboard"):
        load_config(tmp_path / "sim.yaml")
    (tmp_path / "sim.yaml").write_text(text.replace("uri:", "url:"))
    with pytest.raises(UserError, match=r"sim\.yaml:5: unknown key.*Did you mean 'uri'"):
        load_config(tmp_path / "sim.yaml")


def test_the_numbers_of_a_row():
    row = {
        "round": 3,
        "seconds": {"train": 1.5, "total": 2},
        "bytes": {"down": 10},
        "clients": {"done": 4},
        "metrics": {"accuracy": {"mean": 0.5, "worst10": None, "n": 4, "gini": float("nan")}},
        "personalised": {"accuracy": {"mean": 0.6}},
        "server": {"a b:c": 1.0},
        "eta_sec": 9.0,
        "virtual_sec": 7.0,
    }
    assert round_values(row) == {
        "accuracy/mean": 0.5,
        "personalised/accuracy/mean": 0.6,
        "seconds/train": 1.5,
        "seconds/total": 2.0,
        "bytes/down": 10.0,
        "clients/done": 4.0,
        "server/a b_c": 1.0,
        "virtual_sec": 7.0,
    }
    summary = {
        "metrics": {"accuracy": {"worst10": 0.25}},
        "personalised": {},
        "global_test": {"accuracy": 0.75},
        "seconds": {"total": 3.0},
    }
    assert final_values(summary) == {
        "final/accuracy/worst10": 0.25,
        "global_test/accuracy": 0.75,
        "seconds/total": 3.0,
    }

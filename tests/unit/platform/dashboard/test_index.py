"""Which runs are found, what is known of them, and that nothing outside is looked at."""

import os
import shutil
import threading
import time

import pytest

from fedzda.base import UserError
from fedzda.platform.config import plain
from fedzda.platform.config.load import load_config, shipped
from fedzda.platform.config.yaml_loader import dump
from fedzda.platform.dashboard.card import config_head, last_metrics
from fedzda.platform.dashboard.index import RunIndex
from fedzda.platform.files import json_line, write_json
from fedzda.platform.heartbeat import STALE_SEC
from fedzda.platform.report.load import load_yaml

from ..report.make_run import make_run, unfinish


def test_runs_are_found_in_sub_folders_with_their_figures(root):
    index = RunIndex(root)
    cards = {card.id: card for card in index.cards()}
    assert list(cards) == ["avg-s0", "more/early", "zdac-s0", "zdac-s1"]
    card = cards["zdac-s1"]
    now = time.time()
    assert (card.name, card.seed, card.rounds) == ("fed-zdac-digits", 1, (6, 6))
    assert card.head["strategy"] == "fed-zdac"
    assert 0 < card.figures["worst10"] < card.figures["mean"] < 1
    assert card.state(now) == "finished"
    early = cards["more/early"]
    assert (early.state(now), early.rounds) == ("interrupted", (4, 6))
    assert early.figures["mean"] > 0  # from the end of rounds.jsonl


def test_a_run_without_a_sign_of_life_counts_as_killed(tmp_path):
    run = unfinish(make_run(tmp_path / "run", rounds=1), "running")
    card = RunIndex(tmp_path).card("run")
    assert card.state(time.time()) == "running"
    assert card.state(time.time() + STALE_SEC + 1) == "killed"
    os.utime(run / "status.json", (1, 1))
    assert RunIndex(tmp_path).card("run").state(time.time()) == "killed"


def test_changes_are_seen_and_what_is_unchanged_is_not_read_again(tmp_path):
    run = make_run(tmp_path / "run", rounds=1)
    index = RunIndex(tmp_path)
    before = index.card("run")
    assert index.card("run") is before
    write_json(run / "status.json", {"state": "running", "round": 3, "rounds": 9, "eta": 1.0})
    assert index.card("run").rounds == (3, 9)
    make_run(tmp_path / "second", rounds=1)
    assert index.card("second") is not None
    shutil.rmtree(run)
    assert index.card("run") is None
    assert [card.id for card in index.cards()] == ["second"]


@pytest.mark.parametrize("id_", ["", ".", "..", "../runs", "/etc", "zdac-s0/..", "zdac-s0/clients"])
def test_only_ids_that_were_found_are_runs(root, id_):
    index = RunIndex(root)
    assert index.card(id_) is None
    with pytest.raises(UserError, match="there is no run"):
        index.folder(id_)


def test_a_folder_that_is_a_link_to_outside_is_left_out_and_counted(tmp_path):
    make_run(tmp_path / "elsewhere", rounds=1)
    make_run(tmp_path / "runs" / "own", rounds=1)
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "runs" / "latest").symlink_to("own")  # a second name inside is no second run
    (tmp_path / "runs" / "loop").symlink_to("loop")
    index = RunIndex(tmp_path / "runs")
    assert [card.id for card in index.cards()] == ["own"]
    assert index.outside == 1


@pytest.mark.parametrize("name", ["summary.json", "clients/part-000009.parquet", "artifacts/x.png"])
def test_a_file_that_is_a_link_to_outside_is_refused(tmp_path, name):
    run = make_run(tmp_path / "runs" / "run", rounds=1)
    (tmp_path / "secret").write_text('{"state": "finished"}')
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(tmp_path / "secret")
    index = RunIndex(tmp_path / "runs")
    with pytest.raises(UserError, match="is a link to outside"):
        index.folder("run")
    if name == "summary.json":  # the list reads it, too
        assert "is a link to outside" in index.card("run").problem
        assert index.card("run").state(time.time()) == "unreadable"


def test_a_linked_sub_folder_is_refused(tmp_path):
    run = make_run(tmp_path / "runs" / "run", rounds=1)
    shutil.move(run / "artifacts", tmp_path / "artifacts")
    (run / "artifacts").symlink_to(tmp_path / "artifacts")
    with pytest.raises(UserError, match="'artifacts' in 'run' is a link"):
        RunIndex(tmp_path / "runs").folder("run")


def test_a_damaged_run_does_not_hide_the_others(tmp_path):
    make_run(tmp_path / "good", rounds=1)
    bad = make_run(tmp_path / "bad", rounds=1)
    (bad / "status.json").write_text("{")
    worse = make_run(tmp_path / "worse", rounds=1)
    (worse / "config.yaml").write_bytes(b"name: \xff")
    problems = {card.id: card.problem for card in RunIndex(tmp_path).cards()}
    assert "status.json is not readable JSON" in problems["bad"]
    assert "UnicodeDecodeError" in problems["worse"]
    assert problems["good"] == ""


def test_a_run_that_was_mended_is_read_again(tmp_path):
    run = make_run(tmp_path / "run", rounds=1)
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_bytes(b"name: \xff")
    index = RunIndex(tmp_path)
    assert index.card("run").problem
    (run / "config.yaml").write_text(text)
    assert index.card("run").problem == ""


def test_what_is_known_stays_whole_during_a_walk(tmp_path):
    for number in range(20):
        (tmp_path / "runs" / f"life-{number}").mkdir(parents=True)
        (tmp_path / "runs" / f"life-{number}" / "life.yaml").write_text("")
    index = RunIndex(tmp_path / "runs")
    index.cards()
    seen, over = set(), threading.Event()

    def look():
        while not over.is_set():
            seen.add(len(index.lives))

    looker = threading.Thread(target=look)
    looker.start()
    for _ in range(200):
        index.cards()
    over.set()
    looker.join()
    assert seen == {20}


@pytest.mark.parametrize("name", ["quickstart", "scaffold", "fed-dfgr-digits"])
def test_the_quick_look_at_a_configuration_agrees_with_the_parser(name):
    text = dump(plain(load_config(shipped()[name]).config))
    parsed = load_yaml(text)
    expected = {key: str(parsed[key]) for key in ("name", "seed", "rounds")}
    expected |= {key: parsed[key]["name"] for key in ("strategy", "data", "model")}
    assert config_head(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "name: '007'\nstrategy: {name: fed-avg}\nseed: 3\n",
        'name: "007"\nstrategy:\n  name: "fed-avg"\nseed: 3 # three\n',
    ],
)
def test_other_forms_of_yaml_are_parsed(text):
    assert config_head(text) == {"name": "007", "strategy": "fed-avg", "seed": "3"}


def test_the_last_evaluated_round_is_found_from_the_end(tmp_path):
    file = tmp_path / "rounds.jsonl"
    assert last_metrics(file) == {}
    rows = [{"round": r, "metrics": {"accuracy": {"mean": r}} if r < 3 else {}} for r in range(5)]
    filler = {"round": -1, "metrics": {}, "pad": "x" * 300_000}
    file.write_text("".join(map(json_line, [filler, *rows])) + '{"round": 5, "metr')
    assert last_metrics(file) == {"accuracy": {"mean": 2}}

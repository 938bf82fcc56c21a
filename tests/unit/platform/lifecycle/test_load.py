"""The file of a life: what it says, what is wrong with it, and where."""

from pathlib import Path

import pytest

from fedzda.base import UserError
from fedzda.platform.config.load import shipped
from fedzda.platform.config.yaml_loader import load_file
from fedzda.platform.lifecycle.load import PLACE, life_file, load_life, shipped_lives

LIFE = """\
name: small
seed: 3
shared:
  data: {name: digits, clients: 4, partition: {name: dirichlet, alpha: 1.0}}
  model: {name: lenet-bn}
  engine: {name: inline}
stages:
  train:
    about: Digits are learned.
    simulation:
      rounds: 2
      strategy: {name: fed-avg}
    changes: {data.classes: [0, 1, 2, 3, 4, 5]}
  w8:
    command: quantize
    options: {checkpoint: {stage: train}, weights: 8, data: noise, settings: [kind=jacob]}
    tiny: {count: 16}
  test:
    simulation:
      rounds: 0
      start_from: {stage: train}
      strategy: {name: fed-avg}
      devices:
        - profile: phone-low
          share: 1.0
          variant: {name: onnx, label: w8, file: {stage: w8, file: model.onnx}}
"""


def written(folder: Path, text: str = LIFE) -> Path:
    path = folder / "small.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def wrong(folder: Path, before: str, after: str) -> str:
    """What is said about the file with one part replaced."""
    assert LIFE.count(before) == 1
    with pytest.raises(UserError) as caught:
        load_life(written(folder, LIFE.replace(before, after)))
    return str(caught.value)


def test_stages_get_what_they_share_and_what_they_take(tmp_path):
    life = load_life(written(tmp_path))
    train, w8, test = life.stages
    config = train.config(PLACE)
    assert (config.name, config.seed, config.rounds) == ("train", 3, 2)
    assert (config.data.clients, config.data.classes) == (4, [0, 1, 2, 3, 4, 5])
    assert w8.words(PLACE) == [
        *("--weights", "8", "--data", "noise", "--seed", "3", "--out", "LIFE/w8", "--"),
        *("LIFE/train", "kind=jacob"),
    ]
    tested = test.config(PLACE)
    assert (tested.start_from, tested.data.classes) == ("LIFE/train", None)
    assert tested.devices.profiles[0].variant.file == "LIFE/w8/model.onnx"
    assert life.notes[0] == "simulation, 2 rounds of fed-avg"
    assert life.notes[2] == "simulation, a test, no training"


def test_what_is_written_down_reads_the_same(tmp_path):
    from fedzda.platform.config import plain
    from fedzda.platform.config.yaml_loader import dump

    life = load_life(written(tmp_path), ["stages.train.simulation.rounds=5", "seed=1"])
    again = tmp_path / "life.yaml"
    again.write_text(dump(plain(life.config)), encoding="utf-8")
    second = load_life(again)
    assert [s.taken for s in second.stages] == [s.taken for s in life.stages]
    assert second.stages[0].config(PLACE) == life.stages[0].config(PLACE)
    assert second.stages[0].config(PLACE).rounds == 5
    assert second.notes == life.notes


def test_fast_makes_every_stage_tiny(tmp_path):
    life = load_life(written(tmp_path), fast=["output=/elsewhere"])
    config = life.stages[0].config(PLACE)
    assert (config.rounds, config.local.steps, config.strategy.clients_per_round) == (2, 1, 2)
    assert "16" in life.stages[1].words(PLACE)
    assert life.config.output == "/elsewhere"


def test_a_stage_may_be_a_shipped_simulation_or_a_file_beside(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "rounds: 7\ndata: {name: digits, clients: 3}\nmodel: {name: mlp}\n"
        "strategy: {name: fed-avg}\n"
    )
    text = "name: two\nstages:\n  a: {simulation: mine.yaml}\n  b: {simulation: fed-prox}\n"
    life = load_life(written(tmp_path, text))
    assert life.stages[0].config(PLACE).rounds == 7
    assert life.stages[0].config(PLACE).name == "a"
    assert life.stages[1].config(PLACE).strategy.name == "fed-prox"
    assert life.stages[1].config(PLACE).name == "b"
    with pytest.raises(UserError, match=r"no shipped simulation of that name\. Did you mean"):
        load_life(written(tmp_path, text.replace("fed-prox", "fed-prx")))
    with (tmp_path / "mine.yaml").open("a") as file:
        file.write("rounds: 8\n")
    with pytest.raises(UserError, match=r"mine.yaml:5: key 'rounds' stands twice"):
        load_life(written(tmp_path, text))


def test_the_seed_of_the_life_goes_to_a_shipped_simulation(tmp_path):
    """Shipped ones say ``seed: 0``, which nobody has asked for; a file of one's own has its own."""
    assert load_file(shipped()["fed-dfgr-digits"]).data["seed"] == 0
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nseed: 2\ndata: {name: digits, clients: 3}\nmodel: {name: mlp}\n"
        "strategy: {name: fed-avg}\nrounds: 1\n"
    )
    text = (
        "name: three\nseed: 5\nstages:\n  a: {simulation: fed-dfgr-digits}\n"
        "  b: {simulation: mine.yaml}\n  c: {simulation: fed-dfgr-digits, changes: {seed: 7}}\n"
    )
    made = [stage.config(PLACE) for stage in load_life(written(tmp_path, text)).stages]
    assert [(own.name, own.seed) for own in made] == [("a", 5), ("b", 2), ("c", 7)]


def test_null_leaves_an_option_out(tmp_path):
    text = LIFE.replace("settings: [kind=jacob]", "settings: null, test: null, seed: null")
    assert load_life(written(tmp_path, text)).stages[1].words(PLACE) == [
        *("--weights", "8", "--data", "noise", "--seed", "3", "--out", "LIFE/w8", "--"),
        "LIFE/train",
    ]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            "start_from: {stage: train}",
            "start_from: {stage: trian}",
            "small.yaml:18: stage 'test' takes something from stage 'trian', and there is no such "
            "stage. Did you mean 'train'?",
        ),
        (
            "checkpoint: {stage: train}",
            "checkpoint: {stage: test}",
            "stage 'w8' takes something from stage 'test', which comes later.",
        ),
        (
            "file: model.onnx",
            "file: ../model.onnx",
            "its file '../model.onnx' does not lie in it",
        ),
        ("rounds: 2", "round: 2", "small.yaml:11: unknown key 'round'. Did you mean 'rounds'?"),
        ("clients: 4", "clients: many", "small.yaml:4: 'data.clients' should be a valid integer"),
        (
            "data.classes: [0,",
            "data.clases: [0,",
            "small.yaml:13: stage 'train', change 'data.clases=[0, 1, 2, 3, 4, 5]': unknown key "
            "'data.clases'",
        ),
        ("weights: 8", "weigths: 8", "'quantize' has no 'weigths'. Did you mean 'weights'?"),
        ("weights: 8", "weights: eight", "'eight' is not a valid int"),
        (
            "weights: 8",
            "export: no",
            "small.yaml:14: 'export' of 'quantize' is a switch: true or false (got 'no'). Change",
        ),
        ("weights: 8", "test: false", "'test' of 'quantize' takes a value, not true or false"),
        ("settings: [kind=jacob]", "settings: true", "takes a value, not true or false (got true)"),
        ("weights: 8", "out: here", "'out' is the folder of the stage. Leave it out."),
        ("command: quantize", "command: quantise", "Did you mean 'quantize'?"),
        ("command: quantize", "command: merge", "writes no folder, so it cannot be a stage"),
        ("    command: quantize\n", "", "a stage has either 'simulation' or 'command'"),
        ("  test:\n", "  Test it:\n", "names have small letters, digits, dashes."),
        ("name: small", "nam: small", "small.yaml:1: unknown key 'nam'. Did you mean 'name'?"),
    ],
)
def test_wrong_input_is_told_in_a_sentence(before, after, said, tmp_path):
    assert said in wrong(tmp_path, before, after)


def test_all_problems_are_told_at_once(tmp_path):
    text = LIFE.replace("rounds: 2", "round: 2").replace("weights: 8", "weigths: 8")
    with pytest.raises(UserError) as caught:
        load_life(written(tmp_path, text), ["stages.test.simulation.rounds=-1"])
    said = str(caught.value)
    assert "'round'" in said
    assert "'weigths'" in said
    assert "override 'stages.test.simulation.rounds=-1': 'rounds' should be" in said


def test_which_files_are_lives(tmp_path):
    path = written(tmp_path)
    assert life_file(str(path)) == path
    assert life_file("lifecycle") == shipped_lives()["lifecycle"]
    assert life_file("quickstart") is None
    assert life_file(str(shipped()["quickstart"])) is None
    broken = tmp_path / "broken.yaml"
    broken.write_text("stages: [")
    assert life_file(str(broken)) is None


@pytest.mark.parametrize("name", shipped_lives())
def test_shipped_lives_are_sound(name):
    life = load_life(shipped_lives()[name])
    assert all(stage.about for stage in life.config.stages.values())
    load_life(shipped_lives()[name], fast=[])

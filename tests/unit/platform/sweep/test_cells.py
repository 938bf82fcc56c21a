import math
from dataclasses import replace

import pytest

from fedzda.base import UserError
from fedzda.platform.config import plain
from fedzda.platform.sweep.cells import expand, select
from fedzda.platform.sweep.load import load_sweep, shipped_sweeps


def cells(write, **changes):
    return expand(load_sweep(write(**changes)))


def test_order_is_group_then_axes_then_seed_then_arm(write):
    names = [cell.name for cell in cells(write)]
    assert names == [
        "few/fed-avg-s0",
        "few/fed-prox-s0",
        "few/fed-avg-s1",
        "few/fed-prox-s1",
        "skewed/fed-avg-s0",
        "skewed/fed-prox-s0",
        "skewed/fed-avg-s1",
        "skewed/fed-prox-s1",
        "few/alone-s0",
        "few/alone-s1",
    ]


def test_a_cell_is_the_base_with_its_changes(write):
    found = {cell.name: cell.config() for cell in cells(write)}
    config = found["skewed/fed-prox-s1"]
    assert (config.seed, config.strategy.name, config.data.partition.alpha) == (1, "fed-prox", 5.0)
    assert config.name == "small-skewed-fed-prox-s1"
    assert not config.report
    assert found["few/fed-avg-s0"].data.partition.classes_per_client == 4


def test_grid_and_points_multiply(write):
    found = cells(
        write,
        axes=None,
        arms={"prox": {"changes": {"strategy.name": "fed-prox"}}},
        grid={"strategy.mu": [0.1, 1.0]},
        points=[{"local.epochs": 1}, {"local.epochs": 2, "rounds": 1}],
        seeds=[3],
        baseline=None,
        alone=None,
    )
    named = {cell.name: cell.config() for cell in found}
    assert len(named) == 4
    last = named["prox-1.0-1-s3"]
    assert (last.strategy.mu, last.local.epochs, last.rounds) == (1.0, 2, 1)


def test_drawn_points_stay_when_more_are_drawn(write):
    space = {"local.optimizer.lr": {"low": 0.001, "high": 0.1, "log": True}, "rounds": [2, 3]}
    some = {"axes": None, "arms": None, "baseline": None, "alone": None, "seeds": [0]}
    few = cells(write, random={"draws": 3, "space": space}, **some)
    many = cells(write, random={"draws": 12, "space": space}, **some)
    assert [c.raw for c in few] == [c.raw for c in many[:3]]
    configs = [c.config() for c in many]
    rates = [config.local.optimizer.lr for config in configs]
    assert all(0.001 <= rate <= 0.1 for rate in rates)
    assert len(set(rates)) == 12
    assert math.exp(sum(map(math.log, rates)) / 12) == pytest.approx(0.01, rel=0.6)
    assert {config.rounds for config in configs} == {2, 3}


def test_hash_is_of_what_decides_the_figures(write):
    first = cells(write)[0]
    elsewhere = cells(write, output="other", results="other")[0]
    faster = replace(first, raw=first.raw | {"engine": {"name": "ray"}})
    longer = replace(first, raw=first.raw | {"rounds": 3})
    assert first.hash == elsewhere.hash == faster.hash
    assert first.hash != longer.hash
    assert len({cell.hash for cell in cells(write)}) == 10


def test_select(write):
    every = cells(write)
    assert [c.name for c in select(every, ["arm=alone", "seed=1"])] == ["few/alone-s1"]
    assert len(select(every, ["arm=fed-avg,arm=fed-prox", "data=few"])) == 4
    assert [c.name for c in select(every, [every[4].text])] == [every[4].name]
    with pytest.raises(UserError, match="Values of arm: alone, fed-avg, fed-prox"):
        select(every, ["arm=fed-sgd"])
    with pytest.raises(UserError, match="Axes: arm, data, seed"):
        select(every, ["model=mlp"])


def test_all_problems_of_all_cells_at_once(write):
    arms = {
        "fed-avg": {"changes": {"strategy.mu": 1.0}},
        "fed-prox": {"changes": {"strategy.name": "fed-proxy"}},
    }
    with pytest.raises(UserError) as error:
        cells(write, arms=arms, alone=None)
    text = str(error.value)
    assert "arm=fed-avg" in text
    assert "'strategy.mu'" in text
    assert "fed-proxy" in text
    assert text.count("data=few") == 2  # once per kind of cell, not once per seed


def test_cells_of_one_name_are_refused(write):
    with pytest.raises(UserError, match="'few/fed-avg-s0'"):
        cells(write, seeds=[0, 0])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"baseline": "fed-avgg"}, "'baseline' is 'fed-avgg', and there is no such arm"),
        ({"seeds": []}, "seeds"),
        ({"axes": {"data": {}}}, "'axes.data' has no values"),
        ({"grid": {"seed": [1]}}, "cannot be called 'seed'"),
        (
            {"random": {"draws": 1, "space": {"local.optimizer.lr": {"low": 1.0, "high": 0.1}}}},
            "'random.space.local.optimizer.lr' goes from 1 down to 0.1",
        ),
        (
            {"random": {"draws": 1, "space": {"stop.seconds": {"low": 0, "high": 1, "log": True}}}},
            "'random.space.stop.seconds' has log: true, and 0 has no logarithm",
        ),
        ({"colour": "red"}, "unknown key 'colour'"),
        ({"base": "no-such-simulation"}, "no shipped simulation"),
        ({"random": {"draws": 1, "space": {}}}, "space"),
    ],
)
def test_wrong_files(write, changes, words):
    with pytest.raises(UserError, match=r"small\.yaml|simulation") as error:
        cells(write, **changes)
    assert words in str(error.value)


def test_base_by_name(write):
    found = load_sweep(write(base="quickstart-fed-avg", axes=None, arms=None, baseline=None,
                             alone=None))  # fmt: skip
    assert expand(found)[0].config().data.name == "digits"


def test_shipped_sweeps_look_up_relative_paths_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_sweep("fair-zda").folder == tmp_path


@pytest.mark.parametrize("name", sorted(shipped_sweeps()))
def test_shipped_sweeps_are_valid(name):
    found = expand(load_sweep(name))
    assert len({cell.name for cell in found}) == len(found)
    if name != "fair-zda":
        return
    own = select(found, ["data=mnist-pathological", "seed=0"])
    headline = [plain(cell.config()) for cell in own if cell.group == "headline"]
    assert len(headline) == 8
    for config in headline:  # all arms share everything but the method
        for key in ("data", "local", "model", "rounds", "evaluate"):
            assert config[key] == headline[0][key], key
        for key in ("batchnorm", "clients_per_round", "weighting", "sampling"):
            assert config["strategy"][key] == headline[0]["strategy"][key], key


def test_a_simulation_is_told_from_a_sweep(tmp_path):
    file = tmp_path / "sim.yaml"
    file.write_text("name: x\nstrategy: {name: fed-avg}\nrounds: 3\n")
    with pytest.raises(UserError, match=r"is a simulation: it has no 'base'. Run it: fedzda run"):
        load_sweep(str(file))
    with pytest.raises(UserError, match="is a folder"):
        load_sweep(str(tmp_path))


def test_select_takes_values_with_commas(write):
    grid = {"strategy": [{"name": "fed-prox", "mu": mu} for mu in (0.1, 0.5)], "rounds": [1, 2]}
    every = cells(write, grid=grid, axes=None, arms=None, baseline=None, alone=None)
    assert [c.name for c in select(every, [every[2].text])] == [every[2].name]
    block = every[2].labels["strategy"]
    assert len(select(every, [f"strategy={block},rounds=1", "seed=0"])) == 1
    with pytest.raises(UserError, match="Axes: rounds, seed, strategy"):
        select(every, [f"strategy={block},round=1"])

"""What can be deployed, what is written, and what is said about SuperNodes that do not fit."""

import importlib.util
import tomllib

import pytest
from typer.testing import CliRunner

from fedzda.base import UserError
from fedzda.platform.cli.app import app
from fedzda.platform.config import plain
from fedzda.platform.config.load import from_dict, load_config, shipped
from fedzda.platform.deployment.read import read
from fedzda.platform.deployment.rules import problems_of
from fedzda.platform.deployment.write import files, write_app
from fedzda.platform.engines.deployed import unfit
from fedzda.platform.engines.messages import UNNUMBERED

SIM = {
    "name": "2-clients_v1.0",
    "rounds": 2,
    "data": {"name": "digits", "clients": 2, "max_samples": 60},
    "model": {"name": "lenet-bn", "width": 4},
    "strategy": {"name": "fed-avg"},
}
PROFILE = {"name": "slow", "compute": 1e8, "memory": 1e9, "uplink": 1e6, "downlink": 1e6}


def config(**changes):
    return from_dict({**SIM, **changes})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, None),
        ({"engine": {"name": "inline"}}, None),
        ({"devices": [{"profile": PROFILE, "share": 1.0}]}, "devices is 'profiles', which simul"),
        ({"uplink": {"name": "fp16"}}, "uplink is 'fp16', whose bytes are counted and not sent"),
        ({"strategy": {"name": "centralised"}}, "trains on the data of all clients in one place"),
        ({"strategy": {"name": "oracle"}}, "gives clients real images that other clients hold"),
        ({"on_client_error": "retry"}, "nobody runs a real client a second time"),
        ({"model": {"target": "own:Net"}}, "model.target is 'own:Net', which lies beside the file"),
        (
            {"data": {"name": "folder", "path": "here", "clients": 2}},
            "data.path is 'here', relative to the file",
        ),
        ({"data": {"name": "folder", "path": "${FEDZDA_DATA}/a", "clients": 2}}, None),
        ({"start_from": "runs/first"}, "start_from is 'runs/first', relative to the file"),
    ],
)
def test_blocks_that_only_simulate_are_told_in_a_sentence(changes, says):
    found = problems_of(config(**changes))
    assert len(found) == (says is not None)
    assert says is None or says in found[0]


def test_a_scenario_stays_in_the_simulation():
    sims = {name: load_config(name).config for name in shipped() if name.startswith("fed-dfgr")}
    assert sims
    for found in sims.values():
        assert any("scenario is 'class-incremental'" in text for text in problems_of(found))


def test_all_problems_come_at_once_and_nothing_is_written(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("kept")
    changes = ["strategy={name: centralised}", "uplink={name: fp16}"]
    with pytest.raises(UserError) as caught:
        write_app(load_config("quickstart", changes), tmp_path / "full")
    assert len(caught.value.problems) == 3
    assert "is not an empty folder and is left as it is" in caught.value.problems[2]
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_what_is_written_is_a_flower_app(tmp_path):
    made = files(config())
    project = tomllib.loads(made["pyproject.toml"])
    assert project["project"]["name"] == "fedzda-2-clients-v1-0"
    flower = project["tool"]["flwr"]["app"]
    assert flower["config"] == {"overrides": "", "wait-sec": 600}
    assert flower["components"]["serverapp"] == "fedzda_2_clients_v1_0.server_app:app"
    for path, text in made.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
        assert not path.endswith(".py") or len(text.splitlines()) < 10
    for part in ("server_app", "client_app"):
        file = tmp_path / "fedzda_2_clients_v1_0" / f"{part}.py"
        spec = importlib.util.spec_from_file_location(part, file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert (
            type(module.app).__name__
            == {"server_app": "ServerApp", "client_app": "ClientApp"}[part]
        )


def test_the_written_simulation_is_the_same_but_for_its_engine(tmp_path):
    before = config(engine={"name": "inline", "client_timeout": 9.0}, seed=3)
    sim = tmp_path / "sim.yaml"
    sim.write_text(files(before)["fedzda_2_clients_v1_0/sim.yaml"])
    found = read(sim, {}).config
    assert found.engine.name == "flower"
    assert found.engine.client_timeout == 9.0
    assert plain(found) | {"engine": 0} == plain(before) | {"engine": 0}
    changed = read(sim, {"overrides": "rounds=5 local.epochs=2 'name=a-b'"}).config
    assert (changed.rounds, changed.local.epochs, changed.name) == (5, 2, "a-b")
    with pytest.raises(UserError, match="unknown key 'epochs'"):
        read(sim, {"overrides": "epochs=2"})
    with pytest.raises(UserError, match="nobody runs a real client a second time"):
        read(sim, {"overrides": "on_client_error=retry"})
    with pytest.raises(UserError, match=r"overrides should be key=value .* quotation mark closed"):
        read(sim, {"overrides": "name='it"})


def test_long_names_are_cut_to_what_flower_takes():
    project = tomllib.loads(files(config(name="x" * 60))["pyproject.toml"])
    assert len(project["project"]["name"]) == 32


def test_the_command_line_says_how_to_go_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ["data.max_samples=300", "data.partition={name: iid}"]
    result = CliRunner().invoke(app, ["export", "app", "quickstart-fed-avg", "out", *small])
    assert result.exit_code == 0, result.output
    assert "wrote out/pyproject.toml" in result.output
    assert "engine 'ray' stays behind" in result.output
    assert "flwr run out CONNECTION --stream" in result.output
    again = CliRunner().invoke(app, ["export", "app", "quickstart-fed-avg", "out"])
    assert again.exit_code == 2
    assert "is not an empty folder" in again.output


@pytest.mark.parametrize(
    ("client_of", "says"),
    [
        ({11: 0, 12: 1}, ""),
        ({}, "2 of 2 clients have no SuperNode, partition-id 0, 1. Start them."),
        ({11: 1}, "1 of 2 clients have no SuperNode, partition-id 0. Start them."),
        ({11: 0, 12: 0}, "2 SuperNodes have partition-id 0. Stop all of them but one."),
        ({11: 0, 12: 2}, "SuperNode 12 has partition-id 2, and the simulation has clients 0 to 1."),
        ({11: UNNUMBERED}, "SuperNode 11 was started without a partition-id."),
    ],
)
def test_supernodes_must_be_one_per_client(client_of, says):
    found = unfit(client_of, 2)
    assert found.startswith(says)
    assert bool(found) == bool(says)


def test_a_long_list_of_missing_clients_is_cut():
    assert "partition-id 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …" in unfit({}, 40)

"""Reading configurations: errors, overrides, origins."""

import json
import sys
import textwrap
from pathlib import Path

import pytest

import fedzda
from fedzda.base import UserError
from fedzda.platform import plugins
from fedzda.platform.config import SimulationConfig, plain
from fedzda.platform.config.load import from_dict, leaves, load_config, shipped
from fedzda.platform.config.yaml_loader import dump

MINIMAL = {
    "name": "x",
    "data": {"name": "digits", "clients": 4},
    "model": {"name": "mlp"},
    "strategy": {"name": "flwr-fed-avg"},
}
TEXT = """\
name: x
data: {name: digits, clients: 4}
model: {name: mlp}
strategy: {name: flwr-fed-avg}
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load YAML text as sim.yaml in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def load_text(text, *overrides):
        (tmp_path / "sim.yaml").write_text(textwrap.dedent(text), encoding="utf-8")
        return load_config("sim.yaml", overrides)

    return load_text


def problems_of(call, *args):
    with pytest.raises(UserError) as caught:
        call(*args)
    return list(caught.value.problems)


def test_a_minimal_file_gets_all_defaults(load):
    config = load(TEXT).config
    assert config.rounds == 10
    assert config.task.name == "classification"
    assert config.engine.name == "ray"
    assert config.engine.workers == "auto"
    assert config.data.partition.name == "iid"
    assert config.local.optimizer.lr == 0.05


def test_the_four_line_example(load):
    text = TEXT + "local:\n  learnin_rate: 1\n  epochs: yes\non_client_error: stop\nroundss: 5\n"
    assert problems_of(load, text) == [
        "sim.yaml:6: unknown key 'local.learnin_rate'. "
        "Accepted here: epochs, steps, batch_size, optimizer, lr_decay, poly, clip_norm.",
        "sim.yaml:7: 'local.epochs' should be a valid integer (got 'yes').",
        "sim.yaml:8: 'on_client_error' is 'stop'. Choose one of: fail, skip, retry.",
        "sim.yaml:9: unknown key 'roundss'. Did you mean 'rounds'? Accepted here: "
        + ", ".join(SimulationConfig.model_fields)
        + ".",
    ]


def test_unknown_components_hide_no_other_errors(load):
    found = problems_of(
        load,
        """\
        name: x
        data:
          name: digitz
          clients: 0
          partition: {name: dirichlt, alpha: -1}
        model: {name: lenet_bnn, width: 3}
        strategy: {name: flwr-fed-avg, clients_per_round: 0}
        rounds: -1
        """,
    )
    places = [problem.split(": ")[0] for problem in found]
    assert places == [f"sim.yaml:{line}" for line in (3, 4, 5, 6, 7, 8)]
    assert "'data.name' is 'digitz'. Did you mean 'digits'? Choose one of: ade20k," in found[0]
    assert "Did you mean 'dirichlet'?" in found[2]
    assert "Did you mean 'lenet-bn'?" in found[3], "_ and - are the same to the suggestion"


def test_suggestions_of_values_are_only_given_where_they_are_near():
    raw = {**MINIMAL, "engine": {"name": "ray", "device": "gpu"}}
    assert problems_of(from_dict, raw) == [
        "<dict>: 'engine.device' is 'gpu'. Choose one of: auto, cpu, cuda."
    ]
    raw = {**MINIMAL, "model": {"name": "transformer"}}
    assert "Did you mean" not in problems_of(from_dict, raw)[0]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"rounds": 1.0}, "'rounds' should be a valid integer (got 1.0)."),
        ({"rounds": True}, "'rounds' should be a valid integer (got true)."),
        ({"rounds": None}, "'rounds' should be a valid integer (got null)."),
        ({"min_success": 2}, "'min_success' should be less than or equal to 1 (got 2)."),
        ({"min_success": float("nan")}, "'min_success' should be a finite number (got NaN)."),
        ({"output": 3}, "'output' should be text (got 3)."),
        ({"local": 3}, "'local' should be a block of keys (got 3)."),
        (
            {"model": "mlp"},
            "'model' should be a block of keys (got 'mlp'). Write model: {name: mlp}.",
        ),
        (
            {"model": "my_models:Net"},
            "'model' should be a block of keys (got 'my_models:Net'). "
            "Write model: {target: my_models:Net}.",
        ),
        (
            {"devices": "phone-low"},
            "'devices' should be a block of keys (got 'phone-low'). "
            "Write devices: {name: …}, with one of: profiles, uniform.",
        ),
        (
            {"evaluate": {"groups": "device"}},
            "'evaluate.groups' should be a block of keys (got 'device').",
        ),
        (
            {"local": {"optimizer": "adam"}},
            "'local.optimizer' should be a block of keys (got 'adam'). "
            "Write optimizer: {name: adam}.",
        ),
        (
            {"local": {"lr": 0.1}},
            "unknown key 'local.lr'. Did you mean 'local.optimizer.lr'? Accepted here: epochs, "
            "steps, batch_size, optimizer, lr_decay, poly, clip_norm.",
        ),
        (
            {"strategy": {"name": "fed-avg", "target": "own:Mine"}},
            "'strategy.name' is 'fed-avg', and 'strategy.target' is 'own:Mine': both say what "
            "stands there. Leave one of them out; an override that replaces the whole block is "
            "strategy='{name: fed-avg}'.",
        ),
        (
            {"model": {"name": "Net", "target": "own:Net"}},
            "unknown key 'model.name'. Accepted here: target, args.",
        ),
        (
            {"engine": {"workers": "many"}},
            "'engine.workers' should be a valid integer or 'auto' (got 'many').",
        ),
        (
            {"engine": {"workers": 0}},
            "'engine.workers' should be greater than or equal to 1 or 'auto' (got 0).",
        ),
        (
            {"evaluate": {"clients": 2.5}},
            "'evaluate.clients' should be a valid integer or 'all' (got 2.5).",
        ),
        (
            {"local": {"optimizer": {"lr": -1}}},
            "'local.optimizer.lr' should be greater than 0 (got -1).",
        ),
        (
            {"local": {"optimizer": {"name": "adam", "betas": [0.9]}}},
            "'local.optimizer.betas' should be a list of at least 2 items (got [0.9]).",
        ),
        (
            {"local": {"optimizer": {"name": "adam", "momentum": 0.9}}},
            "unknown key 'local.optimizer.momentum'. Accepted here: name, lr, betas, weight_decay.",
        ),
        (
            {"local": {"optimizer": {"name": "sdg"}}},
            "'local.optimizer.name' is 'sdg'. Choose one of: sgd, adam.",
        ),
        (
            {"name": "a b"},
            "'name' should be text of the right form (got 'a b'). "
            "Name of the run: letters, digits, dot, dash, underscore.",
        ),
        (
            {"engine": {"target": "a:b"}},
            "unknown key 'engine.target'. Accepted here: name, device, vectorise, client_timeout, "
            "workers, gpus_per_worker, address, object_store_mb, max_worker_mb.",
        ),
        ({"model": {"target": "my net"}}, None),
    ],
)
def test_single_errors(change, problem):
    found = problems_of(from_dict, {**MINIMAL, **change})
    assert len(found) == 1
    assert problem is None or found == [f"<dict>: {problem}"]


def test_a_component_of_ones_own_may_have_a_label_or_the_name_of_one_of_ours():
    for name, target in (("mine", "own:Mine"), ("ditto", "own:ditto")):
        block = {"name": name, "target": target}
        assert from_dict({**MINIMAL, "strategy": block}).strategy.name == name


def test_the_file_in_a_run_folder_looks_where_the_run_was_made_from(load, tmp_path):
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    config = load("name: a\ndata: {name: digits}\nmodel: {name: mlp}\nstrategy: {name: fed-avg}\n")
    (run / "config.yaml").write_text(dump(plain(config.config)), encoding="utf-8")
    assert load_config(run / "config.yaml").folder == run
    (run / "status.json").write_text("{}", encoding="utf-8")
    (run / "meta.json").write_text(json.dumps({"source_folder": str(tmp_path)}), encoding="utf-8")
    assert load_config(run / "config.yaml").folder == tmp_path


def test_missing_keys_stand_at_their_block(load):
    found = problems_of(load, "seed: 1\ndata:\n  clients: 3\nmodel: {}\n")
    assert [problem.split(":")[1] for problem in found] == ["1", "1", "2", "4"]
    assert "missing key 'data.name'. Choose one of: ade20k, arrays, cityscapes, digits," in found[2]
    assert "missing key 'model.name'. Choose one of: cnn," in found[3]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"strategy": {"name": "flwr-fed-avg", "clients_per_round": 5}},
            "at most data.clients, which is 4 (got 5)",
        ),
        ({"evaluate": {"clients": 5}}, "'evaluate.clients' should be at most data.clients"),
        (
            {"data": {"name": "digits", "test_fraction": 0.5, "validation_fraction": 0.5}},
            "add up to less than 1 (got 0.5 + 0.5)",
        ),
        ({"data": {"name": "digits", "validation_fraction": 0.8}}, "(got 0.2 + 0.8)"),
        ({"local": {"optimizer": {"nesterov": True}}}, "needs 'local.optimizer.momentum' above 0"),
        (
            {
                "data": {"name": "photographs", "shift": {"name": "noise"}},
                "model": {"name": "dncnn"},
                "task": {"name": "denoising", "noise": {"name": "gaussian"}},
            },
            "which the truth of task 'denoising' would carry too",
        ),
    ],
)
def test_rules_between_keys(change, words):
    found = problems_of(from_dict, {**MINIMAL, **change})
    assert len(found) == 1
    assert words in found[0]


def test_rules_between_keys_are_reported_beside_other_errors():
    raw = {**MINIMAL, "rounds": -1, "evaluate": {"clients": 5}}
    assert len(problems_of(from_dict, raw)) == 2


def test_rules_between_keys_allow_what_is_fine():
    raw = {**MINIMAL, "local": {"optimizer": {"nesterov": True, "momentum": 0.9}}}
    assert from_dict({**raw, "evaluate": {"clients": 4}}).evaluate.clients == 4


def test_equal_keys_are_reported_with_the_rest(load):
    found = problems_of(load, TEXT + "name: y\nrounds: -1\n")
    assert found == [
        "sim.yaml:5: key 'name' stands twice (first in line 1). Remove one of them.",
        "sim.yaml:6: 'rounds' should be greater than or equal to 0 (got -1).",
    ]


def test_overrides_win_and_are_the_origin(load):
    loaded = load(TEXT + "rounds: 5\n", "rounds=7", "engine.workers=2", "data.clients=6")
    assert loaded.config.rounds == 7
    assert loaded.config.engine.workers == 2
    assert loaded.config.engine.name == "ray", "a block that is made has the default component"
    origins = loaded.origins
    assert origins["rounds"] == origins["engine.workers"] == origins["data.clients"] == "override"
    assert origins["data.name"] == "sim.yaml:2"
    assert origins["engine.name"] == origins["seed"] == "default"
    assert set(origins) == {".".join(path) for path, _ in leaves(plain(loaded.config))}


def test_errors_of_overrides_name_the_override_and_come_last(load):
    found = problems_of(
        load, TEXT + "rounds: -1\n", "locl.epochs=2", "seed=-1", "data.clients.x=1", "nonsense"
    )
    assert [problem.split(": ")[0] for problem in found] == [
        "sim.yaml:5",
        "override 'locl.epochs=2'",
        "override 'seed=-1'",
        "override 'data.clients.x=1'",
        "override 'nonsense'",
    ]
    assert "unknown key 'locl'. Did you mean 'local'?" in found[1]


def test_an_override_that_replaces_a_wrong_value_mends_it(load):
    assert load(TEXT + "rounds: -1\n", "rounds=1").config.rounds == 1


def test_keys_that_no_longer_fit_name_the_override_that_chose_the_block(load):
    text = TEXT + "engine:\n  name: ray\n  workers: 2\n"
    (found,) = problems_of(load, text, "engine.name=inline")
    assert found.startswith("sim.yaml:7: unknown key 'engine.workers'.")
    assert "The override 'engine.name=inline' chose this" in found
    assert load(text, "engine={name: inline}").config.engine.name == "inline"


def test_targets_take_the_shared_keys_of_their_kind():
    raw = {
        **MINIMAL,
        "data": {"target": "mine:Data", "clients": 3, "args": {"width": 2}},
        "model": {"target": "mine:Net"},
    }
    config = from_dict(raw)
    assert config.data.clients == 3
    assert config.data.args == {"width": 2}
    assert config.model.target == "mine:Net"


def test_the_resolved_configuration_is_a_configuration():
    config = from_dict(MINIMAL)
    assert plain(from_dict(plain(config))) == plain(config)


def test_the_given_data_stay_as_they_are():
    raw = {**MINIMAL, "engine": {"workers": 1}}
    from_dict(raw)
    assert raw["engine"] == {"workers": 1}


@pytest.mark.parametrize("text", ["- a\n- b\n", "just text\n", "3\n"])
def test_a_file_that_is_no_block(load, text):
    assert problems_of(load, text) == [
        "sim.yaml:1: the file should be a block of keys such as 'name: …'."
    ]


def test_an_empty_file_misses_the_required_keys(load):
    found = problems_of(load, "# nothing\n")
    assert [problem.split("'")[1] for problem in found] == ["name", "data", "model", "strategy"]


def test_sources_that_do_not_exist(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "Did you mean 'quickstart'?" in problems_of(load_config, "quikstart")[0]
    assert "no file 'none.yaml'" in problems_of(load_config, "none.yaml")[0]
    assert "is a folder" in problems_of(load_config, str(tmp_path))[0]


def test_a_file_goes_before_a_shipped_name(load, tmp_path):
    (tmp_path / "quickstart").write_text(TEXT, encoding="utf-8")
    assert load_config("quickstart").config.name == "x"


def test_the_folder_is_that_of_the_file(load, tmp_path):
    assert load(TEXT).folder == tmp_path.resolve()


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_simulations_are_valid(name):
    loaded = load_config(name)
    assert loaded.config.name == name


def test_a_sweep_is_told_from_a_simulation(load):
    with pytest.raises(UserError, match=r"is a sweep: it has 'base'. Run it with: fedzda sweep"):
        load("name: x\nbase: quickstart\nseeds: [0]\n")


def test_a_strategy_that_is_no_block_is_told_once(load):
    text = "name: x\ndata: {name: digits, clients: 2}\nmodel: {name: mlp}\nstrategy: scaffold\n"
    with pytest.raises(UserError) as caught:
        load(text + "privacy: {name: local}\n")
    assert len(caught.value.problems) == 1


def test_an_unknown_key_names_the_component_that_knows_it():
    raw = MINIMAL | {"devices": {"profiles": [{"profile": "phone-low", "share": 1}], "deadline": 6}}
    for problem in problems_of(from_dict, raw):
        assert "Known to 'profiles': set 'devices.name' to it." in problem


def test_a_tracker_named_twice_is_refused():
    (problem,) = problems_of(from_dict, MINIMAL | {"trackers": ["wandb", "wandb"]})
    assert "'wandb' is named twice with the same settings" in problem


def test_shipped_files_look_up_relative_paths_in_the_working_directory(tmp_path, monkeypatch):
    """Their own folder lies inside the installed package, where nobody has data or modules."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "nets_at_hand.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Module): ...\n"
    )
    loaded = load_config("quickstart", ["model={target: nets_at_hand:Net}"])
    assert loaded.folder == tmp_path
    assert str(tmp_path) in sys.path
    (tmp_path / "deeper").mkdir()
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(tmp_path)])
    assert load_config("quickstart").folder == tmp_path
    assert str(tmp_path) not in sys.path  # in which a queue.py would hide Python's own
    copy = tmp_path / "deeper" / "mine.yaml"
    copy.write_text(shipped()["quickstart"].read_text())
    assert load_config(copy).folder == tmp_path / "deeper"


def test_the_folder_of_fedzda_is_never_looked_up_first(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    package = Path(fedzda.__file__).parent
    plugins.add_plugin_folder(package)
    assert str(package) not in sys.path

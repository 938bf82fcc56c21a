"""The command line: output, errors, exit codes."""

import json
import re

import pytest
import typer
from typer.testing import CliRunner

from fedzda.platform.cli.app import app
from fedzda.platform.config import SimulationConfig
from fedzda.platform.config.yaml_loader import load_text

FLAGS = {
    "run": [
        *["--dry-run", "--fast", "--flower-app", "--quiet", "--run-config", "-q"],
        *["FILE|NAME", "[a.b=value]..."],
    ],
    "validate": ["--deep", "FILE|NAME", "[a.b=value]..."],
    "show": ["FILE|NAME", "[a.b=value]..."],
    "list": ["[KIND]", "[PATTERN]"],
    "explain": ["KIND.NAME|KEY"],
    "new": ["--from", "NAME"],
    "new-plugin": ["NAME"],
    "check": ["--args", "--in", "--kind", "MODULE:NAME"],
    "schema": [],
    "resume": ["--quiet", "-q", "RUN", "[rounds=N]"],
    "watch": ["--once", "RUN"],
    "report": ["--local", "RUN"],
    "compare": ["--baseline", "--export", "--local", "RUN RUN..."],
    "plot": ["--figure", "--out", "--title", "--width", "RUN..."],
    "sweep": ["--dry-run", "--jobs", "--only", "--quiet", "--tables", "-j", "-q", "FILE|NAME"],
    "dashboard": ["--host", "--port", "--results", "--token", "[FOLDER]"],
    "doctor": [],
    "export": [],
    "demo": [],
}


def call(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_the_options_are_these():
    """Changing an option of the command line is a decision, not a side effect."""
    commands = typer.main.get_command(app).commands
    found = {}
    for name, command in commands.items():
        names = []
        for param in command.params:
            names += param.opts if param.param_type_name == "option" else [param.metavar]
        found[name] = sorted(names)
    assert found == {name: sorted(flags) for name, flags in FLAGS.items()}


def test_help_and_version():
    result = call("--help")
    assert result.exit_code == 0
    listed = re.findall(r"^  ([a-z-]+)  ", result.output, flags=re.MULTILINE)
    assert [name for name in listed if name in FLAGS] == [n for n in FLAGS if n != "demo"]
    assert "..." not in result.output.partition("Commands:")[2], "no summary is cut off"
    assert call("--version").output.startswith("fedzda 0.")


@pytest.mark.parametrize("command", list(FLAGS))
def test_every_command_has_a_help_page(command):
    result = call(command, "-h")
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_help_says_what_every_argument_is():
    """Of some pairs of versions, click takes the texts away that typer was given."""
    for name, command in typer.main.get_command(app).commands.items():
        for param in command.params:
            if param.param_type_name == "argument":
                assert param.help, f"{name} {param.metavar}"
    shown = " ".join(call("run", "--help").output.split())
    assert "FILE|NAME A YAML file, or a shipped simulation" in shown
    assert " [required]" in shown


def test_an_unknown_command_or_option_is_the_users_error():
    assert call("rum", "x").exit_code == 2
    assert call("run", "x", "--fats").exit_code == 2


def test_wrong_configurations_print_all_errors_and_no_traceback(folder):
    with (folder / "sim.yaml").open("a", encoding="utf-8") as file:
        file.write("rounds: -1\nsed: 1\n")
    for command in ("run", "validate", "show"):
        result = call(command, "sim.yaml", "seed=x")
        assert result.exit_code == 2
        assert result.stderr.splitlines() == [
            "sim.yaml:5: 'rounds' should be greater than or equal to 0 (got -1).",
            "sim.yaml:6: unknown key 'sed'. Did you mean 'seed'? Accepted here: "
            + ", ".join(SimulationConfig.model_fields)
            + ".",
            "override 'seed=x': 'seed' should be a valid integer (got 'x').",
        ]
    assert not (folder / "runs").exists()


def test_show_is_valid_yaml_with_origins(folder):
    result = call("show", "sim.yaml", "rounds=3")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert re.fullmatch(r"name: tiny +# sim.yaml:1", lines[0])
    assert re.fullmatch(r"rounds: 3 +# override", lines[2])
    assert re.fullmatch(r"seed: 0 +# default", lines[1])
    shown = load_text(result.output, "shown").data
    assert shown["data"]["partition"] == {**shown["data"]["partition"], "name": "dirichlet"}
    (folder / "again.yaml").write_text(result.output, encoding="utf-8")
    again = call("show", "again.yaml").output
    assert load_text(again, "again").data == shown


def test_list(folder):
    everything = call("list").output
    for word in ("strategies", "fed-zdac", "lenet-bn", "simulations", "quickstart"):
        assert word in everything
    assert "fed-avg" in call("list", "strategy").output
    found = call("list", "strategies", "flwr-*").output.split()
    assert "flwr-krum" in found
    assert "fed-zdac" not in found
    about = call("list", "simulations", "dfgr-cifar10").output.splitlines()[0]
    assert about.endswith("one more at a time, no exemplars"), "whole sentences"
    about = call("list", "simulations", "quickstart-fed-avg").output.splitlines()[0]
    assert about.endswith("with the same devices, data and seed"), "of the first paragraph"
    assert "no models match 'zzz'" in call("list", "models", "zzz").output
    result = call("list", "modles")
    assert result.exit_code == 2
    assert "Did you mean 'models'?" in result.stderr


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("model.lenet-bn", ["LeNet", "width: whole number, at least 1; default 16"]),
        ("models.lenet-bn", ["norm: 'batch' or 'group' or 'none'"]),
        ("local.optimizer", ["local.optimizer.sgd: ", "local.optimizer.adam: ", "betas: "]),
        ("local.optimizer.lr", ["local.optimizer.sgd.lr: number, above 0; default 0.05"]),
        ("local.optimizer.betas", ["local.optimizer.adam.betas: "]),
        ("data.digits", ["1,797", "test_fraction: number, at least 0.0, below 1.0; default 0.2"]),
        ("data.clients", ["data.clients: whole number or null", "Number of clients"]),
        ("local.batch_size", ["whole number, at least 1; default 16", "Samples per gradient step"]),
        ("local", ["Training on a client", "epochs:", "default {name: sgd"]),
        ("engine", ["Choose one by its name", "inline", "device:"]),
        ("engine.ray.workers", ["whole number at least 1 or 'auto'; default auto"]),
        ("data.partition.pathological", ["classes_per_client"]),
        ("strategy", ["Choose one by its name", "clients_per_round"]),
        ("name", ["name: text", "required"]),
    ],
)
def test_explain(what, words):
    result = call("explain", what)
    assert result.exit_code == 0, result.output
    for word in words:
        assert word in result.output


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("strategy.fed-avgg", "there is no 'fed-avgg' in 'strategy'. Did you mean 'fed-avg'?"),
        ("local.batchsize", "there is no 'batchsize' in 'local'. Did you mean 'batch_size'?"),
        ("locl", "there is no 'locl'. Did you mean 'local'?"),
        ("rounds.x", "it is a single value"),
        ("optimizer", "there is no 'optimizer'. Did you mean 'local.optimizer'?"),
        ("local.lr", "there is no 'lr' in 'local'. Did you mean 'local.optimizer.lr'?"),
        ("engine.workers", "Did you mean 'engine.ray.workers' or 'engine.flower.workers'?"),
        ("fed-zdac", "there is no 'fed-zdac'. Did you mean 'strategy.fed-zdac'?"),
        ("local.optimizer.x", "there is no 'x' in 'local.optimizer'. Known: sgd, adam."),
    ],
)
def test_explain_what_does_not_exist(what, words):
    result = call("explain", what)
    assert result.exit_code == 2
    assert words in result.stderr


def test_new_writes_a_starter_and_its_schema_and_overwrites_nothing(folder):
    result = call("new", "mine", "--from", "quickstart-fed-avg")
    assert result.exit_code == 0, result.output
    text = (folder / "mine.yaml").read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=./schema.json\n#")
    assert load_text(text, "mine.yaml").data["name"] == "mine"
    assert "# drawn anew in each round" in text, "comments are kept"
    assert json.loads((folder / "schema.json").read_text(encoding="utf-8"))["$schema"]
    assert call("show", "mine.yaml").exit_code == 0

    (folder / "mine.yaml").write_text("precious", encoding="utf-8")
    (folder / "schema.json").write_text("{}", encoding="utf-8")
    again = call("new", "mine")
    assert again.exit_code == 2
    assert "exists already" in again.stderr
    other = call("new", "other")
    assert "schema.json differs" in other.output
    assert (folder / "mine.yaml").read_text(encoding="utf-8") == "precious"
    assert (folder / "schema.json").read_text(encoding="utf-8") == "{}"


def test_new_knows_the_lives_that_list_shows_and_both_endings(folder):
    result = call("new", "mine.yml", "--from", "lifecycle")
    assert result.exit_code == 0, result.output
    assert load_text((folder / "mine.yaml").read_text(encoding="utf-8"), "").data["name"] == "mine"
    assert not (folder / "schema.json").exists(), "it is that of a simulation"
    assert call("validate", "mine.yaml").exit_code == 0
    for source in ("lifecycle", "mine.yaml"):
        result = call("export", "app", source, "app")
        assert result.exit_code == 2
        assert "is the life of a model: it has 'stages'" in result.stderr
        assert f"Run it with: fedzda run {source}" in result.stderr


@pytest.mark.parametrize("name", ["../escape", "a b", "", ".hidden"])
def test_new_refuses_odd_names(folder, name):
    result = call("new", name)
    assert result.exit_code == 2
    assert "only letters" in result.stderr


def test_doctor_speaks_of_everything(folder):
    result = call("doctor")
    assert result.exit_code == 0
    for word in ("Python", "torch", "threads", "Ray", "Flower", "cores", "memory", "disk", "GPU"):
        assert word in result.output
    assert f"{folder / 'cache'} (will be made when needed)" in result.output
    assert "'workers: auto' starts" in result.output


def test_doctor_tells_of_folders_that_cannot_be_used(folder, monkeypatch):
    (folder / "file").touch()
    monkeypatch.setenv("FEDZDA_CACHE", str(folder / "file" / "cache"))
    monkeypatch.setenv("FEDZDA_DATA", str(folder / "nowhere"))
    found = call("doctor").output
    assert "NOT writable: set FEDZDA_CACHE to another folder" in found
    assert f"{folder / 'nowhere'} (there is NO such folder)" in found
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("FEDZDA_DATA", "~")
    assert "NO such folder" not in call("doctor").output


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("rounds=x", "whole number above 0"),
        ("rounds=0", "whole number above 0"),
        ("rounds=true", "whole number above 0"),
        ("seed=1", "resume takes only rounds=N"),
        ("5", "key=value"),
    ],
)
def test_resume_takes_only_rounds(folder, change, words):
    result = call("resume", "nowhere", change)
    assert result.exit_code == 2
    assert words in result.stderr


@pytest.mark.parametrize("command", [["resume"], ["report"], ["compare", "sim.yaml"]])
def test_what_is_no_run_folder(folder, command):
    result = call(*command, "nowhere")
    assert result.exit_code == 2
    assert re.search("not a (run )?folder", result.stderr)
    assert "Traceback" not in result.output


def test_lengths_and_types_are_told_in_plain_words():
    assert "list of number, 2 items; default" in call("explain", "local.optimizer.adam").output
    wrong = call("synthesize", "x", "--count", "abc")
    assert "'abc' is not a whole number" in wrong.output

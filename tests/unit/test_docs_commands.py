"""Commands in README and docs: each is run by a test or says why not, and each could be typed."""

import functools
import re
import tomllib

import click
import pytest
from typer.main import get_command

from fedzda.platform.cli.app import app
from fedzda.platform.cli.explain import explanation
from fedzda.platform.cli.kinds import listable
from fedzda.platform.config.load import load_config, shipped
from fedzda.platform.lifecycle.load import load_life, shipped_lives
from fedzda.platform.sweep.load import load_sweep, shipped_sweeps

from ..documented import NEEDS, PAGES, ROOT, blocks, commands, label, words

ELSEWHERE = ("source", "export", "cd", "ray", "pytest", "openssl", "ssh-keygen", "echo")
"""Programs that are not ours; what stands behind them is not looked at."""


def lines():
    for page in PAGES:
        for block in commands(page):
            for line in block.lines:
                for part in re.split(r"\s&&\s", line):
                    yield pytest.param(part, id=f"{label(page)}: {part[:70]}")


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_marks(page):
    for block in blocks(page):
        if block.language in ("", "sh", "console", "shell"):
            typed = [line for line in block.text.splitlines() if line.startswith("fedzda ")]
            assert not typed, f"commands stand in blocks of bash: {typed[0]}"
        if block.mark == "needs":
            assert block.about.partition(",")[0] in NEEDS
        if block.mark == "tested-by":
            assert (ROOT / block.about).is_file()
            assert block.about.startswith("tests/")


@pytest.mark.parametrize("line", list(lines()))
def test_could_be_typed(line, monkeypatch):
    monkeypatch.setenv("FEDZDA_DATA", "/nowhere")
    found = words(line)
    assert found[0] in CHECKS or found[0] in ELSEWHERE, f"'{found[0]}' is no command we know"
    if found[0] in CHECKS:
        CHECKS[found[0]](found[1:])


def test_what_could_not_be_typed():
    for line in (
        "fedzda run quickstart --no-such-option",
        "fedzda run no-such-simulation",
        "fedzda run quickstart rounds=none",
        "fedzda no-such-command",
        "fedzda explain strategy.no-such-name",
        "fedzda sweep no-such-sweep",
        "fedzda list no-such-kind",
        "make no-such-target",
        "pip install 'fedzda[no-such-extra]'",
        "python benchmarks/no_such_file.py",
    ):
        program, *rest = words(line)
        with pytest.raises(Exception, match=r"(?i)no[- ]such|rounds"):
            CHECKS[program](rest)


def check_fedzda(arguments):
    """Command and options are parsed as if typed; names that ship are looked up."""
    group = get_command(app)
    command, rest = group, arguments
    context = click.Context(group, info_name="fedzda")
    if rest == ["--version"]:
        return
    while hasattr(command, "resolve_command"):
        name, command, rest = command.resolve_command(context, rest)
        if hasattr(command, "resolve_command"):
            context = click.Context(command, info_name=name)
    if "--help" in rest:
        return
    given = command.make_context(name, list(rest)).params
    LOOK_UP.get(name, lambda params: None)(given)


def look_up_simulation(params):
    source = str(params["source"])
    if params.get("flower_app") or source.isupper():
        return
    if source in shipped_lives():
        load_life(shipped_lives()[source], params.get("overrides") or [])
    elif not source.endswith((".yaml", ".yml")):
        assert source in shipped(), f"no-such simulation: {source}"
        load_config(source, [o for o in params.get("overrides") or [] if "…" not in o])


def look_up_sweep(params):
    source = params["source"]
    if not source.endswith(".yaml") and source != "FILE":
        assert source in shipped_sweeps(), f"no-such sweep: {source}"
        load_sweep(source)


LOOK_UP = {
    "run": look_up_simulation,
    "validate": look_up_simulation,
    "show": look_up_simulation,
    "explain": lambda params: explanation(params["what"]),
    "list": lambda params: params["kind"] and listable(params["kind"]),
    "sweep": look_up_sweep,
}


@functools.cache
def extras():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return set(project["optional-dependencies"])


def check_make(arguments):
    makefile = (ROOT / "Makefile").read_text()
    for target in arguments:
        assert re.search(rf"^{target}:", makefile, flags=re.M), f"no-such target: {target}"


def check_pip(arguments):
    assert arguments[0] == "install"
    for extra in re.findall(r"\[([\w,-]+)\]", " ".join(arguments)):
        assert set(extra.split(",")) <= extras(), f"no-such extra: {extra}"


def check_python(arguments):
    if arguments[0].startswith("benchmarks/"):
        assert (ROOT / arguments[0]).is_file(), f"no-such file: {arguments[0]}"


def check_flwr(arguments):
    from flwr.cli.app import app as flwr

    command, rest = get_command(flwr), arguments
    while hasattr(command, "resolve_command"):
        name, command, rest = command.resolve_command(click.Context(command), rest)
    command.make_context(name, list(rest))


def check_superlink(arguments):
    from flwr.superlink.cli.flower_superlink import _parse_args_run_superlink

    _parse_args_run_superlink().parse_args(arguments)


def check_supernode(arguments):
    from flwr.supernode.cli.flower_supernode import _parse_args_run_supernode

    _parse_args_run_supernode().parse_args(arguments)


CHECKS = {
    "fedzda": check_fedzda,
    "flwr": check_flwr,
    "flower-superlink": check_superlink,
    "flower-supernode": check_supernode,
    "make": check_make,
    "pip": check_pip,
    "python": check_python,
}
